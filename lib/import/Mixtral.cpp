// Mixtral.cpp - Mixtral.
//
// Mistral with experts in place of the MLP: of every token the K with the greatest logits, weighted
// by the softmax over these. transformers: modeling_mixtral.py.
#include "lib/import/Decoder.h"
#include "lib/import/Family.h"
#include "lib/import/LayerTypes.h"

namespace pianola {

static void build(DecoderBuilder &decoder) {
  const ModelConfig &config = decoder.config();
  Mixture mixture;
  mixture.router = decoder.readRouter("num_local_experts", 8, 2);
  mixture.router.normalised = true;
  mixture.routerName = "block_sparse_moe.gate";
  mixture.size = config.intermediate;
  mixture.stored =
      separateExperts(config, mixture.size, "block_sparse_moe.experts", "w1", "w3", "w2");
  LayerCard card;
  card.mlp = "block_sparse_moe";
  card.mixture = mixture;
  card.attention.window = slidingWindow(decoder);
  DecoderDefaults defaults;
  defaults.ropeTheta = 1e6;
  buildDecoder(decoder, defaults, [&](int64_t) { return card; });
}

const Family mixtral = {"MixtralForCausalLM", "mixtral", build};

} // namespace pianola
