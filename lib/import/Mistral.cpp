// Mistral.cpp - Mistral 7B and Ministral 3.
//
// Llama without biases. A sliding window, where config.json has one (v0.1) or does not speak of any
// (4096), is on every layer.
// Ministral 3 scales queries with their position, above that of its original context.
// transformers: modeling_mistral.py, modeling_ministral3.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  LayerCard card;
  card.attention.window = slidingWindow(decoder, 4096);
  buildDecoder(decoder, {}, [&](int64_t) { return card; });
}

static void buildMinistral3(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  DecoderDefaults defaults;
  defaults.queriesGrow = true;
  LayerCard card;
  card.attention.window = slidingWindow(decoder);
  if (config.rope.queryGrowth) {
    decoder.ropeTable(
        "rope.query", config.ropeTheta.value_or(defaults.ropeTheta), config.rotaryLanes(1),
        config.rope,
        DecoderBuilder::Growth{*config.rope.queryGrowth, config.rope.originalMaxPositions, 0});
    card.queryRope = "rope.query";
  }
  buildDecoder(decoder, defaults, [&](int64_t) { return card; });
}

const Family mistral = {"MistralForCausalLM", "mistral", build};
const Family ministral3 = {"Ministral3ForCausalLM", "ministral3", buildMinistral3};

} // namespace pianola
