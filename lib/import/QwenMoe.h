// QwenMoe.h - what Qwen's mixtures of experts say in the same words.
#ifndef PIANOLA_LIB_IMPORT_QWENMOE_H
#define PIANOLA_LIB_IMPORT_QWENMOE_H

#include "lib/import/Decoder.h"

namespace pianola {

/// Whether each layer has experts, by decoder_sparse_step and mlp_only_layers.
std::vector<bool> steppedLayers(DecoderBuilder &decoder);

/// Experts with matrices of their own, so many of them chosen, of moe_intermediate_size, if
/// config.json does not say otherwise. Whether weights are made to sum to one is `normalised` if
/// norm_topk_prob does not say it.
Mixture qwenMixture(DecoderBuilder &decoder, int64_t experts, int64_t chosen, int64_t size,
                    bool normalised = false);

/// One expert more for all tokens, of shared_expert_intermediate_size, times a gate of its own.
void readSharedExpert(DecoderBuilder &decoder, Mixture &mixture, int64_t size);

} // namespace pianola

#endif
