// Granite.cpp - Granite 3, dense.
//
// Llama with four factors: on the embedding, on what attention and MLP add to x, on the scores of
// attention (in place of one over the root of head_dim), and under the logits, which are divided.
// transformers: modeling_granite.py, where each is 1 if config.json is silent.
#include "lib/import/Family.h"
#include "lib/import/PreNormDecoder.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  DecoderDefaults defaults;
  defaults.embeddingScale = config.embeddingMultiplier;
  if (config.logitsScaling)
    defaults.logitsScale = 1 / *config.logitsScaling;
  LayerCard card;
  card.queryKeyValueBias = card.outputBias = config.attentionBias.value_or(false);
  card.mlpBias = config.mlpBias;
  card.attentionScale = config.attentionMultiplier.value_or(1);
  card.residualScale = config.residualMultiplier;
  buildPreNormDecoder(decoder, defaults, [&](int64_t) { return card; });
}

const Family granite = {"GraniteForCausalLM", "granite", build};

} // namespace pianola
