// Phi3.cpp - Phi-3, Phi-3.5, Phi-4 and Phi-4-mini.
//
// Llama with q, k and v in one matrix, and gate and up in another; no biases, whatever config.json
// says. Phi-4-mini turns three quarters of a head's lanes. Long contexts are by longrope. A
// sliding window, where config.json has one, is on every layer. transformers: modeling_phi3.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  DecoderDefaults defaults;
  defaults.rotaryShare = 1;
  decoder.fields().ignore("attention_bias");
  LayerCard card;
  card.fusedAttention = card.fusedMlp = true;
  card.attention.window = slidingWindow(decoder);
  buildDecoder(decoder, defaults, [&](int64_t) { return card; });
}

const Family phi3 = {"Phi3ForCausalLM", "phi3", build};

} // namespace pianola
