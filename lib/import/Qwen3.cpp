// Qwen3.cpp - Qwen3, dense.
//
// Llama with an RMS norm on every query head and every key head before rope, one weight for all
// heads. Heads times head_dim is not the hidden size. transformers: modeling_qwen3.py.
#include "lib/import/Family.h"
#include "lib/import/PreNormDecoder.h"
#include "lib/import/QwenWindow.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  buildPreNormDecoder(decoder, {}, [&](int64_t layer) {
    LayerCard card;
    card.headNorms = true;
    card.queryKeyValueBias = card.outputBias = config.attentionBias.value_or(false);
    card.window = qwenWindow(config, layer);
    return card;
  });
}

const Family qwen3 = {"Qwen3ForCausalLM", "qwen3", build};

} // namespace pianola
