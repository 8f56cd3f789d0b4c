// PreNormDecoder.cpp - the decoder of the Llama lineage.
#include "lib/import/PreNormDecoder.h"

using mlir::Value;

namespace pianola {
namespace {

Value attention(DecoderBuilder &decoder, Value input, int64_t layer, const LayerCard &card) {
  const ModelConfig &config = decoder.config();
  std::string self = "layers." + std::to_string(layer) + ".self_attn.";
  int64_t queryWidth = config.heads * config.headSize, keyWidth = config.kvHeads * config.headSize;
  Value q = decoder.linear(input, self + "q_proj", queryWidth, card.queryKeyValueBias);
  Value k = decoder.linear(input, self + "k_proj", keyWidth, card.queryKeyValueBias);
  Value v = decoder.linear(input, self + "v_proj", keyWidth, card.queryKeyValueBias);
  if (card.headNorms) {
    q = decoder.norm(q, self + "q_norm", config.heads);
    k = decoder.norm(k, self + "k_norm", config.kvHeads);
  }
  if (card.rope) {
    q = decoder.rope(q, self + "q_rope", config.heads);
    k = decoder.rope(k, self + "k_rope", config.kvHeads);
  }
  Value mixed = decoder.attend(q, k, v, layer, card.window);
  return decoder.linear(mixed, self + "o_proj", config.hidden, card.outputBias);
}

Value mlp(DecoderBuilder &decoder, Value input, int64_t layer, const LayerCard &card) {
  const ModelConfig &config = decoder.config();
  std::string name = "layers." + std::to_string(layer) + ".mlp";
  Value gate = decoder.linear(input, name + ".gate_proj", config.intermediate, card.mlpBias);
  Value up = decoder.linear(input, name + ".up_proj", config.intermediate, card.mlpBias);
  return decoder.linear(decoder.glu(gate, up, name), name + ".down_proj", config.hidden,
                        card.mlpBias);
}

} // namespace

void buildPreNormDecoder(DecoderBuilder &decoder, const DecoderDefaults &defaults,
                         llvm::function_ref<LayerCard(int64_t)> card) {
  const ModelConfig &config = decoder.config();
  decoder.ropeTable(config.ropeTheta.value_or(defaults.ropeTheta));
  Value x = decoder.embed("embed_tokens");
  decoder.observe(x, "hidden.0");
  for (int64_t layer = 0; layer < config.layers && !decoder.failed(); ++layer) {
    std::string name = "layers." + std::to_string(layer);
    Value attended =
        attention(decoder, decoder.norm(x, name + ".input_layernorm"), layer, card(layer));
    x = decoder.add(x, attended, name + ".self_attn");
    Value lifted =
        mlp(decoder, decoder.norm(x, name + ".post_attention_layernorm"), layer, card(layer));
    x = decoder.add(x, lifted, name + ".mlp");
    decoder.observe(x, "hidden." + llvm::Twine(layer + 1));
  }
  x = decoder.norm(x, "norm");
  decoder.observe(x, "hidden.norm");
  decoder.head(x, "embed_tokens", config.tied.value_or(defaults.tied));
}

} // namespace pianola
