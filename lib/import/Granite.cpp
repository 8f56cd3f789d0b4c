// Granite.cpp - Granite 3, dense.
//
// Llama with four factors: on the embedding, on what attention and MLP add to x, on the scores of
// attention (in place of one over the root of head_dim), and under the logits, which are divided.
// transformers: modeling_granite.py, where each is 1 if config.json is silent.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  DecoderDefaults defaults;
  fields.number("embedding_multiplier", -1e6, 1e6, defaults.embeddingScale);
  std::optional<double> divisor;
  fields.number("logits_scaling", 1e-6, 1e6, divisor);
  if (divisor)
    defaults.logitsScale = 1 / *divisor;
  LayerCard card;
  card.queryKeyValueBias = card.outputBias = fields.flag("attention_bias", false);
  card.mlpBias = fields.flag("mlp_bias", false);
  card.attentionScale = 1;
  fields.number("attention_multiplier", -1e6, 1e6, card.attentionScale);
  fields.number("residual_multiplier", -1e6, 1e6, card.residualScale);
  buildDecoder(decoder, defaults, [&](int64_t) { return card; });
}

const Family granite = {"GraniteForCausalLM", "granite", build};

} // namespace pianola
