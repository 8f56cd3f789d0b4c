// Qwen3.cpp - Qwen3, dense.
//
// Llama with an RMS norm on every query head and every key head before rope, one weight for all
// heads. Heads times head_dim is not the hidden size. transformers: modeling_qwen3.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  LayerCard card;
  card.queryKeyNorm = LayerCard::QueryKeyNorm::Heads;
  card.queryKeyValueBias = card.outputBias = decoder.fields().flag("attention_bias", false);
  std::vector<std::optional<int64_t>> windows = qwenWindows(decoder);
  buildDecoder(decoder, {}, [&](int64_t layer) {
    card.attention.window = windows[size_t(layer)];
    return card;
  });
}

const Family qwen3 = {"Qwen3ForCausalLM", "qwen3", build};

} // namespace pianola
