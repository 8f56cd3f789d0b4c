// Llama.cpp - Llama 2 and 3, and the many that share their architecture (TinyLlama, SmolLM2, ...).
//
// Biases, if any, are on all four attention linears and on all three of the MLP. Llama 3.1 and
// later scale rope (llama3); see RopeFrequencies.h. transformers: modeling_llama.py.
#include "lib/import/Family.h"
#include "lib/import/PreNormDecoder.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  LayerCard card;
  card.queryKeyValueBias = card.outputBias = config.attentionBias.value_or(false);
  card.mlpBias = config.mlpBias;
  buildPreNormDecoder(decoder, {}, [&](int64_t) { return card; });
}

const Family llama = {"LlamaForCausalLM", "llama", build};

} // namespace pianola
