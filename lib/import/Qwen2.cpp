// Qwen2.cpp - Qwen2 and Qwen2.5.
//
// Llama with a bias on q, k and v only, whatever config.json says of biases.
// transformers: modeling_qwen2.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  decoder.fields().ignore("attention_bias");
  LayerCard card;
  card.queryKeyValueBias = true;
  std::vector<std::optional<int64_t>> windows = qwenWindows(decoder);
  buildDecoder(decoder, {}, [&](int64_t layer) {
    card.attention.window = windows[size_t(layer)];
    return card;
  });
}

const Family qwen2 = {"Qwen2ForCausalLM", "qwen2", build};

} // namespace pianola
