// PreNormDecoder.h - the decoder of the Llama lineage, by what sets its members apart.
//
//     x = embed(ids)
//     for every layer:
//       n = norm(x, input_layernorm)
//       q, k, v = linear(n, self_attn.{q,k,v}_proj)
//       q, k = norm of every head, self_attn.{q,k}_norm      if headNorms
//       q, k = rope(q), rope(k)                              if rope, on the first lanes of a head
//       x = x + linear(attention(q, k, v), self_attn.o_proj)
//       n = norm(x, post_attention_layernorm)
//       x = x + linear(act(linear(n, mlp.gate_proj)) * linear(n, mlp.up_proj), mlp.down_proj)
//     logits = head(norm(x, norm))
#ifndef PIANOLA_LIB_IMPORT_PRENORMDECODER_H
#define PIANOLA_LIB_IMPORT_PRENORMDECODER_H

#include "lib/import/DecoderBuilder.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace pianola {

/// One layer. The defaults are those of the plainest of them.
struct LayerCard {
  bool queryKeyValueBias = false;
  bool outputBias = false;
  bool mlpBias = false;
  bool headNorms = false;
  bool rope = true;
  bool pairedLanes = false;      // rope turns lanes 2i and 2i+1 of q and k as they are stored
  bool fusedAttention = false;   // q, k and v are rows of one self_attn.qkv_proj, in this order
  bool fusedMlp = false;         // gate and up are rows of one mlp.gate_up_proj, in this order
  std::optional<int64_t> window; // keys visible to a query, with its own
  std::optional<double> attentionScale; // in place of one over the root of head_dim
  std::optional<double> residualScale;  // on what attention and MLP add to x
};

/// What config.json may leave out, and what is so for all layers.
struct DecoderDefaults {
  double ropeTheta = 10000;
  bool tied = false;
  /// partial_rotary_factor; where a family has none, another one than 1 is refused.
  std::optional<double> rotaryShare;
  std::optional<double> embeddingScale, logitsScale;
};

void buildPreNormDecoder(DecoderBuilder &decoder, const DecoderDefaults &defaults,
                         llvm::function_ref<LayerCard(int64_t layer)> card);

} // namespace pianola

#endif
