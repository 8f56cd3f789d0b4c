// Decoder.cpp - the decoder that most families share, by what sets them apart.
#include "lib/import/Decoder.h"

#include "lib/checkpoint/JsonFields.h"
#include "lib/checkpoint/Refusal.h"

#include <cmath>

using mlir::Value;

namespace pianola {
namespace {

// Attention's three projections, of which rope wants query and key in its own order of lanes.
class Projections {
public:
  Projections(DecoderBuilder &decoder, Value input, int64_t layer, const LayerCard &card,
              int64_t lanes)
      : decoder(decoder), input(input), card(card), lanes(lanes),
        self("layers." + std::to_string(layer) + ".self_attn.") {}

  /// The next one, in the order in which they may stand in one matrix.
  Value next(const char *name, int64_t heads, bool isRotated) {
    const ModelConfig &config = decoder.config();
    int64_t size = config.headSize, rows = heads * size;
    bool isPaired = isRotated && !card.keyRope.empty() && card.pairedLanes;
    StoredRows stored =
        card.fusedAttention
            ? StoredRows::range(self + "qkv_proj", (config.heads + 2 * config.kvHeads) * size,
                                first, rows)
            : StoredRows::range(self + name, rows, 0, rows);
    first += rows;
    if (isPaired)
      stored.separatePairs(size, lanes);
    return decoder.linear(input, self + name, rows, card.queryKeyValueBias,
                          isPaired || card.fusedAttention ? &stored : nullptr);
  }

private:
  DecoderBuilder &decoder;
  Value input;
  const LayerCard &card;
  int64_t lanes, first = 0;
  std::string self;
};

// Rows of heads, of each `count` from `first` on.
StoredRows rowsOfHeads(std::string name, int64_t heads, int64_t size, int64_t first,
                       int64_t count) {
  StoredRows stored{std::move(name), heads * size, {}};
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t row = 0; row < count; ++row)
      stored.rows.push_back(head * size + first + row);
  return stored;
}

// `from` is what queries are made of.
Value choosePositions(DecoderBuilder &decoder, Value input, Value from, int64_t layer,
                      const LayerCard &card) {
  const Latent &latent = *card.latent;
  std::string self = "layers." + std::to_string(layer) + ".self_attn.indexer.";
  int64_t heads = latent.indexHeads, size = latent.indexSize;
  auto rows = [&](const char *name, int64_t count) {
    StoredRows stored = StoredRows::range(self + name, count, 0, count);
    if (latent.pairedIndex)
      stored.separatePairs(size, latent.turned);
    return stored;
  };
  StoredRows ofQuery = rows("wq_b", heads * size), ofKey = rows("wk", size),
             ofNorm = rows("k_norm", size);
  Value q = decoder.linear(from, self + "wq_b", heads * size, false, &ofQuery);
  Value k = decoder.linear(input, self + "wk", size, false, &ofKey);
  k = decoder.layerNorm(k, self + "k_norm", &ofNorm, latent.eps);
  q = decoder.rope(q, self + "q_rope", heads, card.queryRope);
  k = decoder.rope(k, self + "k_rope", 1, card.keyRope);
  Value weights = decoder.linear(input, self + "weights_proj", heads, false);
  return decoder.select(q, weights, k, layer, heads, latent.top);
}

// `selection`: of the layer before, then of this one.
Value latentAttention(DecoderBuilder &decoder, Value input, int64_t layer, const LayerCard &card,
                      Value &selection) {
  const ModelConfig &config = decoder.config();
  const Latent &latent = *card.latent;
  std::string self = "layers." + std::to_string(layer) + ".self_attn.";
  int64_t heads = config.heads, rank = latent.rank, turned = latent.turned;
  auto linear = [&](Value from, const char *name, StoredRows stored, bool isTurned, bool bias) {
    if (isTurned && card.pairedLanes)
      stored.separatePairs(turned, turned);
    return decoder.linear(from, self + name, int64_t(stored.rows.size()), bias, &stored);
  };

  std::string keyValue = self + "kv_a_proj_with_mqa", queryName = self + "q_proj";
  Value from = input;
  if (latent.queryRank) {
    queryName = self + "q_b_proj";
    from = decoder.linear(input, self + "q_a_proj", latent.queryRank, latent.bias);
    from = decoder.norm(from, self + "q_a_layernorm", false, std::nullopt, latent.eps);
  }
  Value c = linear(input, "kv_latent", StoredRows::range(keyValue, rank + turned, 0, rank), false,
                   latent.bias);
  Value k = linear(input, "k_turned", StoredRows::range(keyValue, rank + turned, rank, turned),
                   true, latent.bias);
  int64_t size = latent.plain + turned;
  Value q =
      linear(from, "q_plain", rowsOfHeads(queryName, heads, size, 0, latent.plain), false, false);
  Value r = linear(from, "q_turned", rowsOfHeads(queryName, heads, size, latent.plain, turned),
                   true, false);

  std::string both = self + "kv_b_proj";
  int64_t ofBoth = latent.plain + latent.value;
  q = decoder.headLinear(q, self + "k_up", heads, latent.plain, rank, [&](int64_t head) {
    StoredRows stored{both, rank, {}};
    stored.transposed = true;
    stored.depth = heads * ofBoth;
    stored.firstOfDepth = head * ofBoth;
    return stored;
  });
  q = decoder.join(q, decoder.rope(r, self + "q_rope", heads, card.queryRope), self + "query",
                   heads);
  c = decoder.norm(c, self + "kv_a_layernorm", false, std::nullopt, latent.eps);
  k = decoder.join(c, decoder.rope(k, self + "k_rope", 1, card.keyRope), self + "key", 1);
  DecoderBuilder::Attention how = card.attention;
  if (latent.indexHeads && latent.chooses(layer))
    selection = choosePositions(decoder, input, from, layer, card);
  how.selection = selection;
  how.scale = latent.scale(config.rope);
  how.keyHeads = 1;
  how.size = rank + turned;
  Value mixed = decoder.attend(q, k, k, layer, how);
  Value values =
      decoder.headLinear(mixed, self + "v_up", heads, rank, latent.value, [&](int64_t head) {
        return StoredRows::range(both, heads * ofBoth, head * ofBoth + latent.plain, latent.value);
      });
  return decoder.linear(values, self + "o_proj", config.hidden, latent.bias);
}

Value attention(DecoderBuilder &decoder, Value input, int64_t layer, const LayerCard &card,
                int64_t lanes, const DecoderDefaults &defaults, Value &selection) {
  if (card.latent)
    return latentAttention(decoder, input, layer, card, selection);
  if (card.delta)
    return card.delta->build(decoder, input, "layers." + std::to_string(layer) + ".linear_attn");
  const ModelConfig &config = decoder.config();
  std::string self = "layers." + std::to_string(layer) + ".self_attn.";
  Projections projections(decoder, input, layer, card, lanes);
  Value q, gate;
  if (card.gatedAttention) {
    int64_t size = config.headSize;
    auto half = [&](const char *name, int64_t first) {
      StoredRows stored = rowsOfHeads(self + "q_proj", config.heads, 2 * size, first, size);
      return decoder.linear(input, self + name, config.heads * size, card.queryKeyValueBias,
                            &stored);
    };
    q = half("q_proj", 0);
    gate = half("gate", size);
  } else {
    q = projections.next("q_proj", config.heads, true);
  }
  Value k = projections.next("k_proj", config.kvHeads, true);
  Value v = projections.next("v_proj", config.kvHeads, false);
  using Norm = LayerCard::QueryKeyNorm;
  if (card.queryKeyNorm == Norm::Heads || card.queryKeyNorm == Norm::Whole) {
    auto of = [&](int64_t heads) -> std::optional<int64_t> {
      return card.queryKeyNorm == Norm::Heads ? std::optional(heads) : std::nullopt;
    };
    q = decoder.norm(q, self + "q_norm", defaults.normsPlusOne, of(config.heads));
    k = decoder.norm(k, self + "k_norm", defaults.normsPlusOne, of(config.kvHeads));
  }
  if (!card.queryRope.empty())
    q = decoder.rope(q, self + "q_rope", config.heads, card.queryRope);
  if (!card.keyRope.empty())
    k = decoder.rope(k, self + "k_rope", config.kvHeads, card.keyRope);
  if (card.queryKeyNorm == Norm::Turned) {
    q = decoder.headNorm(q, self + "q_norm", config.heads);
    k = decoder.headNorm(k, self + "k_norm", config.kvHeads);
  }
  DecoderBuilder::Attention how = card.attention;
  if (card.sinks)
    how.sinks = self + "sinks";
  Value mixed = decoder.attend(q, k, v, layer, how);
  if (gate)
    mixed = decoder.gate(mixed, gate, self + "gated");
  return decoder.linear(mixed, self + "o_proj", config.hidden, card.outputBias);
}

Value mlp(DecoderBuilder &decoder, Value input, const std::string &name, int64_t size,
          const LayerCard &card) {
  std::string self = name + ".";
  auto half = [&](const char *part, int64_t first) {
    StoredRows stored = StoredRows::range(self + "gate_up_proj", 2 * size, first, size);
    return decoder.linear(input, self + part, size, card.mlpBias,
                          card.fusedMlp ? &stored : nullptr);
  };
  Value gate = half("gate_proj", 0), up = half("up_proj", size);
  Value lifted = decoder.glu(gate, up, self + "act");
  return decoder.linear(lifted, self + "down_proj", decoder.config().hidden, card.mlpBias);
}

Value experts(DecoderBuilder &decoder, Value input, const std::string &layer,
              const LayerCard &card) {
  const Mixture &mixture = *card.mixture;
  int64_t hidden = decoder.config().hidden;
  std::string name = layer + "." + card.mlp + ".";
  DecoderBuilder::Router router = mixture.router;
  for (std::string *vector : {&router.bias, &router.correction})
    if (!vector->empty())
      *vector = layer + "." + *vector;
  Value routes = decoder.route(input, layer + "." + mixture.routerName, router);
  auto routed = [&](Value from, const char *called, ExpertPart part, int64_t in, int64_t out) {
    bool isLast = part == ExpertPart::Down;
    return decoder.routedLinear(
        from, routes, name + called, in, out, mixture.bias, isLast != mixture.weighsInput, isLast,
        [&](int64_t expert) { return mixture.stored(layer, expert, part); });
  };
  Value gate = routed(input, "experts.gate", ExpertPart::Gate, hidden, mixture.size);
  Value up = routed(input, "experts.up", ExpertPart::Up, hidden, mixture.size);
  Value lifted = decoder.glu(gate, up, name + "experts.act");
  Value sum = routed(lifted, "experts.down", ExpertPart::Down, mixture.size, hidden);
  if (mixture.shared.empty())
    return sum;
  LayerCard plain;
  Value shared = mlp(decoder, input, layer + "." + mixture.shared, mixture.sharedSize, plain);
  if (!mixture.sharedGate.empty()) {
    std::string gateName = layer + "." + mixture.sharedGate;
    shared = decoder.gate(shared, decoder.linear(input, gateName, 1, false), gateName);
  }
  return decoder.add(sum, shared, layer + "." + mixture.shared);
}

} // namespace

std::function<StoredRows(const std::string &, int64_t, ExpertPart)>
separateExperts(const ModelConfig &config, int64_t size, std::string experts, std::string gate,
                std::string up, std::string down) {
  int64_t hidden = config.hidden;
  return [=](const std::string &layer, int64_t expert, ExpertPart part) {
    const std::string &name = part == ExpertPart::Gate ? gate : part == ExpertPart::Up ? up : down;
    return StoredRows{layer + "." + experts + "." + std::to_string(expert) + "." + name,
                      part == ExpertPart::Down ? hidden : size,
                      {}};
  };
}

Latent Latent::read(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  Latent latent;
  latent.rank = fields.integerOr("kv_lora_rank", 1, 4096, 512);
  latent.plain = fields.integerOr("qk_nope_head_dim", 1, 4096, 128);
  latent.value = fields.integerOr("v_head_dim", 1, 4096, 128);
  latent.bias = fields.flag("attention_bias", false);
  latent.turned = decoder.config().headSize;
  if (!fields.contains("qk_rope_head_dim"))
    fields.wrong("qk_rope_head_dim", "a number of lanes");
  // Null says that there is none.
  std::optional<int64_t> queryRank;
  fields.integer("q_lora_rank", 1, 1 << 20, queryRank);
  latent.queryRank = queryRank.value_or(fields.contains("q_lora_rank") ? 0 : 1536);
  return latent;
}

void Latent::readIndex(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  if (!queryRank)
    fields.wrong("q_lora_rank", "a number, beside an index");
  int64_t heads = fields.integerOr("index_n_heads", 1, 4096, 64);
  indexSize = fields.integerOr("index_head_dim", turned, 4096, 128);
  top = fields.integerOr("index_topk", 1, 1 << 20, 2048);
  if (decoder.positions() > top)
    indexHeads = heads;
  else
    decoder.ignoreParts(".self_attn.indexer.");
}

double Latent::scale(const RopeScaling &rope) const {
  double share = 1;
  if (rope.kind == RopeScaling::Kind::Yarn && rope.factor > 1 && rope.mscaleAllDim.value_or(0) != 0)
    share = 0.1 * *rope.mscaleAllDim * std::log(rope.factor) + 1;
  return share * share / std::sqrt(double(plain + turned));
}

void buildDecoder(DecoderBuilder &decoder, const DecoderDefaults &defaults,
                  llvm::function_ref<LayerCard(int64_t)> card) {
  const ModelConfig &config = decoder.config();
  auto expectNone = [&](const char *field, const std::string &found) {
    decoder.fail(refuse(std::string("config.json: ") + field + ": expected none for " +
                        config.architecture + ", found " + found));
  };
  if (!defaults.rotaryShare && config.rotaryShare.value_or(1) != 1)
    return decoder.fail(refuse("config.json: partial_rotary_factor: expected 1 for " +
                               config.architecture + ", found " + showJson(*config.rotaryShare)));
  if (config.localRopeTheta && !defaults.localRope)
    return expectNone("rope_parameters: sliding_attention", "a rope of its own");
  if (config.rope.queryGrowth && !defaults.queriesGrow)
    return expectNone("rope_parameters: llama_4_scaling_beta", showJson(*config.rope.queryGrowth));
  if (!defaults.activationField.empty())
    decoder.setActivation(defaults.activationField, defaults.activation);
  int64_t lanes = config.rotaryLanes(defaults.rotaryShare.value_or(1));
  decoder.ropeTable("rope", config.ropeTheta.value_or(defaults.ropeTheta), lanes, config.rope);
  Value x = decoder.embed("embed_tokens", defaults.embeddingScale);
  decoder.observe(x, "hidden.0");
  Value selection;
  for (int64_t layer = 0; layer < config.layers && !decoder.failed(); ++layer) {
    std::string name = "layers." + std::to_string(layer);
    LayerCard here = card(layer);
    auto norm = [&](Value value, const std::string &called) {
      return called.empty() ? value
                            : decoder.norm(value, name + "." + called, defaults.normsPlusOne);
    };
    auto add = [&](Value change, const std::string &outputNorm, const std::string &location) {
      change = decoder.scale(norm(change, outputNorm), here.residualScale, location);
      x = decoder.add(x, change, location);
    };
    add(attention(decoder, norm(x, here.attentionInput), layer, here, lanes, defaults, selection),
        here.attentionOutput, name + ".self_attn");
    std::string mlpName = name + "." + here.mlp;
    Value n = norm(x, here.mlpInput);
    add(here.mixture ? experts(decoder, n, name, here)
                     : mlp(decoder, n, mlpName, here.mlpSize.value_or(config.intermediate), here),
        here.mlpOutput, mlpName);
    decoder.observe(x, "hidden." + llvm::Twine(layer + 1));
  }
  x = decoder.norm(x, "norm", defaults.normsPlusOne);
  decoder.observe(x, "hidden.norm");
  decoder.head(x, "lm_head", "embed_tokens", config.tied.value_or(defaults.tied),
               defaults.logitsScale, defaults.logitsCap);
}

} // namespace pianola
