// Llama.cpp - Llama 2 and 3, and the many that share their architecture (TinyLlama, SmolLM2, ...).
//
// Biases, if any, are on all four attention linears and on all three of the MLP. Llama 3.1 and
// later scale rope (llama3); see RopeFrequencies.h. transformers: modeling_llama.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  LayerCard card;
  card.queryKeyValueBias = card.outputBias = decoder.fields().flag("attention_bias", false);
  card.mlpBias = decoder.fields().flag("mlp_bias", false);
  card.pairedLanes = decoder.fields().flag("rope_interleave", false); // of GGUF files
  buildDecoder(decoder, {}, [&](int64_t) { return card; });
}

const Family llama = {"LlamaForCausalLM", "llama", build};

} // namespace pianola
