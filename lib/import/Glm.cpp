// Glm.cpp - GLM-4: that of 2024 (glm), and GLM-4-0414 and GLM-Z1 (glm4).
//
// Llama with a bias on q, k and v, gate and up in one matrix, and rope on half of a head's lanes,
// which it takes in neighbouring pairs. glm4 has norms behind attention and MLP, too.
// transformers: modeling_glm.py, modeling_glm4.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"

namespace pianola {

static void build(DecoderBuilder &decoder, bool hasOutputNorms) {
  DecoderDefaults defaults;
  defaults.rotaryShare = 0.5;
  LayerCard card;
  card.queryKeyValueBias = decoder.fields().flag("attention_bias", true);
  card.fusedMlp = card.pairedLanes = true;
  if (hasOutputNorms) {
    card.attentionOutput = "post_self_attn_layernorm";
    card.mlpOutput = "post_mlp_layernorm";
  }
  buildDecoder(decoder, defaults, [&](int64_t) { return card; });
}

const Family glm = {"GlmForCausalLM", "glm",
                    [](DecoderBuilder &decoder) { build(decoder, false); }};
const Family glm4 = {"Glm4ForCausalLM", "glm4",
                     [](DecoderBuilder &decoder) { build(decoder, true); }};

} // namespace pianola
