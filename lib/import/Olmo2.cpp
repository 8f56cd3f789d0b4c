// Olmo2.cpp - OLMo 2 and 3.
//
// Llama with its norms behind attention and MLP in place of before, and an RMS norm of all query
// heads at once, and of all key heads, before rope. OLMo 3 has a window on the layers that
// layer_types says (three of four), and scales rope on the others alone. transformers:
// modeling_olmo2.py, modeling_olmo3.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

namespace pianola {

static LayerCard cardOf(DecoderBuilder &decoder) {
  LayerCard card;
  card.attentionInput = card.mlpInput = "";
  card.attentionOutput = "post_attention_layernorm";
  card.mlpOutput = "post_feedforward_layernorm";
  card.queryKeyNorm = LayerCard::QueryKeyNorm::Whole;
  card.queryKeyValueBias = card.outputBias = decoder.fields().flag("attention_bias", false);
  return card;
}

static void buildOlmo2(DecoderBuilder &decoder) {
  LayerCard card = cardOf(decoder);
  buildDecoder(decoder, {}, [&](int64_t) { return card; });
}

static void buildOlmo3(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  decoder.ropeTable("rope.local", config.ropeTheta.value_or(10000), config.rotaryLanes(1), {});
  LayerCard card = cardOf(decoder);
  std::optional<int64_t> window = slidingWindow(decoder, 4096);
  std::vector<bool> slides =
      slidingLayers(decoder, [](int64_t layer) { return (layer + 1) % 4 != 0; });
  buildDecoder(decoder, {}, [&](int64_t layer) {
    card.attention.window = slides[size_t(layer)] ? window : std::nullopt;
    card.setRope(slides[size_t(layer)] ? "rope.local" : "rope");
    return card;
  });
}

const Family olmo2 = {"Olmo2ForCausalLM", "olmo2", buildOlmo2};
const Family olmo3 = {"Olmo3ForCausalLM", "olmo3", buildOlmo3};

} // namespace pianola
