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
    bool isPaired = isRotated && card.rope && card.pairedLanes;
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
  if (card.queryKeyNorm != Norm::None) {
    auto of = [&](int64_t heads) -> std::optional<int64_t> {
      return card.queryKeyNorm == Norm::Heads ? std::optional(heads) : std::nullopt;
    };
    q = decoder.norm(q, self + "q_norm", defaults.normsPlusOne, of(config.heads));
    k = decoder.norm(k, self + "k_norm", defaults.normsPlusOne, of(config.kvHeads));
  }
  if (card.rope) {
    const char *table = card.localRope ? "rope.local" : "rope";
    q = decoder.rope(q, self + "q_rope", config.heads, defaults.queriesGrow ? "rope.query" : table);
    k = decoder.rope(k, self + "k_rope", config.kvHeads, table);
  }
  Value mixed = decoder.attend(q, k, v, layer, card.window, card.attentionScale, card.attentionCap);
  return decoder.linear(mixed, self + "o_proj", config.hidden, card.outputBias);
}

Value mlp(DecoderBuilder &decoder, Value input, int64_t layer, const LayerCard &card) {
  int64_t size = decoder.config().intermediate;
  std::string self = "layers." + std::to_string(layer) + ".mlp.";
  auto half = [&](const char *name, int64_t first) {
    StoredRows stored = StoredRows::range(self + "gate_up_proj", 2 * size, first, size);
    return decoder.linear(input, self + name, size, card.mlpBias,
                          card.fusedMlp ? &stored : nullptr);
  };
  Value gate = half("gate_proj", 0), up = half("up_proj", size);
  Value lifted = decoder.glu(gate, up, self + "act");
  return decoder.linear(lifted, self + "down_proj", decoder.config().hidden, card.mlpBias);
}

} // namespace

void buildDecoder(DecoderBuilder &decoder, const DecoderDefaults &defaults,
                  llvm::function_ref<LayerCard(int64_t)> card) {
  const ModelConfig &config = decoder.config();
  if (!defaults.rotaryShare && config.rotaryShare.value_or(1) != 1)
    return decoder.fail(refuse("config.json: partial_rotary_factor: expected 1 for " +
                               config.architecture + ", found " + showJson(*config.rotaryShare)));
  decoder.setActivation(defaults.activationField, defaults.activation);
  int64_t lanes = config.rotaryLanes(defaults.rotaryShare.value_or(1));
  double theta = config.ropeTheta.value_or(defaults.ropeTheta);
  decoder.ropeTable("rope", theta, lanes, config.rope);
  if (config.rope.queryGrowth && !defaults.queriesGrow)
    return decoder.fail(refuse("config.json: rope_parameters: llama_4_scaling_beta: expected none "
                               "for " +
                               config.architecture));
  if (defaults.queriesGrow)
    decoder.ropeTable("rope.query", theta, lanes, config.rope,
                      DecoderBuilder::Growth{config.rope.queryGrowth.value_or(0),
                                             config.rope.originalMaxPositions, 0});
  for (int64_t layer = 0; layer < config.layers; ++layer)
    if (card(layer).localRope) {
      decoder.ropeTable("rope.local", defaults.localTheta.value_or(theta), lanes, {});
      break;
    }
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
    add(mlp(decoder, norm(x, here.mlpInput), layer, here), here.mlpOutput, name + ".mlp");
    decoder.observe(x, "hidden." + llvm::Twine(layer + 1));
  }
  x = decoder.norm(x, "norm", defaults.normsPlusOne);
  decoder.observe(x, "hidden.norm");
  decoder.head(x, "lm_head", "embed_tokens", config.tied.value_or(defaults.tied),
               defaults.logitsScale, defaults.logitsCap);
}

} // namespace pianola
