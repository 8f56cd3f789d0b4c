// Decoder.cpp - the decoder that most families share, by what sets them apart.
#include "lib/import/Decoder.h"

#include "lib/checkpoint/JsonFields.h"
#include "lib/checkpoint/Refusal.h"

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

Value attention(DecoderBuilder &decoder, Value input, int64_t layer, const LayerCard &card,
                int64_t lanes, const DecoderDefaults &defaults) {
  const ModelConfig &config = decoder.config();
  std::string self = "layers." + std::to_string(layer) + ".self_attn.";
  Projections projections(decoder, input, layer, card, lanes);
  Value q = projections.next("q_proj", config.heads, true);
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
    add(attention(decoder, norm(x, here.attentionInput), layer, here, lanes, defaults),
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
