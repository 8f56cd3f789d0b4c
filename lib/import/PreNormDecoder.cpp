// PreNormDecoder.cpp - the decoder of the Llama lineage.
#include "lib/import/PreNormDecoder.h"

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
                int64_t lanes) {
  const ModelConfig &config = decoder.config();
  std::string self = "layers." + std::to_string(layer) + ".self_attn.";
  Projections projections(decoder, input, layer, card, lanes);
  Value q = projections.next("q_proj", config.heads, true);
  Value k = projections.next("k_proj", config.kvHeads, true);
  Value v = projections.next("v_proj", config.kvHeads, false);
  if (card.headNorms) {
    q = decoder.norm(q, self + "q_norm", config.heads);
    k = decoder.norm(k, self + "k_norm", config.kvHeads);
  }
  if (card.rope) {
    q = decoder.rope(q, self + "q_rope", config.heads);
    k = decoder.rope(k, self + "k_rope", config.kvHeads);
  }
  Value mixed = decoder.attend(q, k, v, layer, card.window, card.attentionScale);
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

void buildPreNormDecoder(DecoderBuilder &decoder, const DecoderDefaults &defaults,
                         llvm::function_ref<LayerCard(int64_t)> card) {
  const ModelConfig &config = decoder.config();
  if (!defaults.rotaryShare && config.rotaryShare.value_or(1) != 1)
    return decoder.fail(refuse("config.json: partial_rotary_factor: expected 1 for " +
                               config.architecture + ", found " + showJson(*config.rotaryShare)));
  int64_t lanes = config.rotaryLanes(defaults.rotaryShare.value_or(1));
  decoder.ropeTable(config.ropeTheta.value_or(defaults.ropeTheta), lanes);
  Value x = decoder.embed("embed_tokens", defaults.embeddingScale);
  decoder.observe(x, "hidden.0");
  for (int64_t layer = 0; layer < config.layers && !decoder.failed(); ++layer) {
    std::string name = "layers." + std::to_string(layer);
    LayerCard here = card(layer);
    auto add = [&](Value change, const std::string &location) {
      x = decoder.add(x, decoder.scale(change, here.residualScale, location), location);
    };
    add(attention(decoder, decoder.norm(x, name + ".input_layernorm"), layer, here, lanes),
        name + ".self_attn");
    add(mlp(decoder, decoder.norm(x, name + ".post_attention_layernorm"), layer, here),
        name + ".mlp");
    decoder.observe(x, "hidden." + llvm::Twine(layer + 1));
  }
  x = decoder.norm(x, "norm");
  decoder.observe(x, "hidden.norm");
  decoder.head(x, "embed_tokens", config.tied.value_or(defaults.tied), defaults.logitsScale);
}

} // namespace pianola
