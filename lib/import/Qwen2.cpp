// Qwen2.cpp - Qwen2 and Qwen2.5.
//
// Llama with a bias on q, k and v only, whatever config.json says of biases.
// transformers: modeling_qwen2.py.
#include "lib/import/Family.h"
#include "lib/import/PreNormDecoder.h"
#include "lib/import/QwenWindow.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  buildPreNormDecoder(decoder, {}, [&](int64_t layer) {
    LayerCard card;
    card.queryKeyValueBias = true;
    card.window = qwenWindow(decoder.config(), layer);
    return card;
  });
}

const Family qwen2 = {"Qwen2ForCausalLM", "qwen2", build};

} // namespace pianola
