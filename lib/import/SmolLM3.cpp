// SmolLM3.cpp - SmolLM3.
//
// Llama in which some layers do without positions (NoPE, Kazemnejad et al., 2023): no_rope_layers
// says 1 where there is rope, and by default every fourth layer has none. A window, if switched on,
// is on the layers without rope, unless layer_types says which. transformers: modeling_smollm3.py.
#include "lib/import/Family.h"
#include "lib/import/PreNormDecoder.h"

namespace pianola {

static LayerCard cardOf(const ModelConfig &config, int64_t layer) {
  LayerCard card;
  card.queryKeyValueBias = card.outputBias = config.attentionBias.value_or(false);
  card.mlpBias = config.mlpBias;
  card.rope = config.ropeLayers ? bool((*config.ropeLayers)[size_t(layer)])
                                : (layer + 1) % config.noRopeLayerInterval != 0;
  bool slides = config.slidingLayers ? bool((*config.slidingLayers)[size_t(layer)]) : !card.rope;
  if (config.useSlidingWindow.value_or(false) && slides)
    card.window = config.slidingWindow;
  return card;
}

static void build(DecoderBuilder &decoder) {
  DecoderDefaults defaults;
  defaults.ropeTheta = 2000000;
  defaults.tied = true;
  buildPreNormDecoder(decoder, defaults,
                      [&](int64_t layer) { return cardOf(decoder.config(), layer); });
}

const Family smolLM3 = {"SmolLM3ForCausalLM", "smollm3", build};

} // namespace pianola
