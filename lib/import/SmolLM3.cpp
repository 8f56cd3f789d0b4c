// SmolLM3.cpp - SmolLM3.
//
// Llama in which some layers do without positions (NoPE, Kazemnejad et al., 2023): no_rope_layers
// says 1 where there is rope, and by default every fourth layer has none. A window, if switched on,
// is on the layers without rope, unless layer_types says which. transformers: modeling_smollm3.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  JsonFields &fields = decoder.fields();
  std::optional<int64_t> interval;
  fields.integer("no_rope_layer_interval", 1, 4096, interval);
  std::vector<bool> turns = layerFlags(decoder, "no_rope_layers", [&](int64_t layer) {
    return (layer + 1) % interval.value_or(4) != 0;
  });
  std::optional<int64_t> window = slidingWindow(decoder);
  if (!fields.flag("use_sliding_window", false))
    window.reset();
  std::vector<bool> slides =
      slidingLayers(decoder, [&](int64_t layer) { return !turns[size_t(layer)]; });

  DecoderDefaults defaults;
  defaults.ropeTheta = 2000000;
  defaults.tied = true;
  LayerCard card;
  card.queryKeyValueBias = card.outputBias = fields.flag("attention_bias", false);
  card.mlpBias = fields.flag("mlp_bias", false);
  buildDecoder(decoder, defaults, [&](int64_t layer) {
    card.setRope(turns[size_t(layer)] ? "rope" : "");
    card.attention.window = slides[size_t(layer)] ? window : std::nullopt;
    return card;
  });
}

const Family smolLM3 = {"SmolLM3ForCausalLM", "smollm3", build};

} // namespace pianola
