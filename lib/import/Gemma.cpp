// Gemma.cpp - Gemma 2, and the text model of Gemma 3.
//
// Norms before and behind attention and MLP, whose weights are kept less one; an embedding times
// the root of the hidden size, a number of the checkpoint's own type (transformers' `embed_scale`);
// scores over the root of query_pre_attn_scalar in place of head_dim; windows on some layers. Gemma
// 2 caps scores and logits. Gemma 3 has a norm of every query and key head, and for layers with a
// window a rope of their own. transformers: modeling_gemma2.py, modeling_gemma3.py.
#include "lib/checkpoint/Encoding.h"
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

#include <cmath>

namespace pianola {

static LayerCard cardOf(JsonFields &fields) {
  LayerCard card;
  std::optional<double> scalar;
  fields.number("query_pre_attn_scalar", 1e-6, 1e6, scalar);
  fields.number("attn_logit_softcapping", 1e-6, 1e6, card.attention.cap);
  card.attentionOutput = "post_attention_layernorm";
  card.mlpInput = "pre_feedforward_layernorm";
  card.mlpOutput = "post_feedforward_layernorm";
  card.queryKeyValueBias = card.outputBias = fields.flag("attention_bias", false);
  card.attention.scale = 1 / std::sqrt(scalar.value_or(256));
  return card;
}

static DecoderDefaults defaultsOf(DecoderBuilder &decoder) {
  DecoderDefaults defaults;
  // Of the two that old releases have, this one counts.
  defaults.activationField = "hidden_activation";
  defaults.activation = "gelu_pytorch_tanh";
  decoder.fields().ignore("hidden_act");
  decoder.fields().number("final_logit_softcapping", 1e-6, 1e6, defaults.logitsCap);
  defaults.tied = true;
  // Not so in GGUF files.
  defaults.normsPlusOne = decoder.fields().flag("layernorm_zero_centered_gamma", true);
  defaults.embeddingScale = decoder.roundToEmbedding(std::sqrt(double(decoder.config().hidden)));
  return defaults;
}

static void buildGemma2(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  LayerCard card = cardOf(fields);
  DecoderDefaults defaults = defaultsOf(decoder);
  // Null says that there is none.
  if (!fields.contains("attn_logit_softcapping"))
    card.attention.cap = 50;
  if (!fields.contains("final_logit_softcapping"))
    defaults.logitsCap = 30;
  std::optional<int64_t> window = slidingWindow(decoder, 4096);
  std::vector<bool> slides = slidingLayers(decoder, [](int64_t layer) { return layer % 2 == 0; });
  buildDecoder(decoder, defaults, [&](int64_t layer) {
    card.attention.window = slides[size_t(layer)] ? window : std::nullopt;
    return card;
  });
}

static void buildGemma3(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  std::optional<int64_t> pattern;
  fields.integer("sliding_window_pattern", 1, 4096, pattern);
  DecoderDefaults defaults = defaultsOf(decoder);
  defaults.ropeTheta = 1000000;
  defaults.localRope = true;
  std::optional<double> localTheta = decoder.config().localRopeTheta;
  fields.number("rope_local_base_freq", 1.1, 1e15, localTheta);
  decoder.ropeTable("rope.local", localTheta.value_or(10000), decoder.config().rotaryLanes(1), {});
  LayerCard card = cardOf(fields);
  card.queryKeyNorm = LayerCard::QueryKeyNorm::Heads;
  std::optional<int64_t> window = slidingWindow(decoder, 4096);
  std::vector<bool> slides =
      slidingLayers(decoder, [&](int64_t layer) { return (layer + 1) % pattern.value_or(6) != 0; });
  buildDecoder(decoder, defaults, [&](int64_t layer) {
    card.attention.window = slides[size_t(layer)] ? window : std::nullopt;
    card.setRope(slides[size_t(layer)] ? "rope.local" : "rope");
    return card;
  });
}

const Family gemma2 = {"Gemma2ForCausalLM", "gemma2", buildGemma2};
const Family gemma3 = {"Gemma3ForCausalLM", "gemma3", buildGemma3};

} // namespace pianola
