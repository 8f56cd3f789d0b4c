// Mistral.cpp - Mistral 7B.
//
// Llama without biases. A sliding window, where config.json has one (v0.1) or does not speak of any
// (4096), is on every layer.
// transformers: modeling_mistral.py.
#include "lib/import/Family.h"
#include "lib/import/PreNormDecoder.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  LayerCard card;
  const ModelConfig &config = decoder.config();
  card.window = config.saysWindow ? config.slidingWindow : 4096;
  buildPreNormDecoder(decoder, {}, [&](int64_t) { return card; });
}

const Family mistral = {"MistralForCausalLM", "mistral", build};

} // namespace pianola
