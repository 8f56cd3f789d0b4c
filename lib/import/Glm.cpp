// Glm.cpp - GLM-4 of 2024 (glm), before the norms behind attention and MLP.
//
// Llama with a bias on q, k and v, gate and up in one matrix, and rope on half of a head's lanes,
// which it takes in neighbouring pairs. transformers: modeling_glm.py.
#include "lib/import/Family.h"
#include "lib/import/PreNormDecoder.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  DecoderDefaults defaults;
  defaults.rotaryShare = 0.5;
  LayerCard card;
  card.queryKeyValueBias = decoder.config().attentionBias.value_or(true);
  card.fusedMlp = card.pairedLanes = true;
  buildPreNormDecoder(decoder, defaults, [&](int64_t) { return card; });
}

const Family glm = {"GlmForCausalLM", "glm", build};

} // namespace pianola
