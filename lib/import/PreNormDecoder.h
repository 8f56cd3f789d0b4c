// PreNormDecoder.h - the decoder of the Llama lineage, by what sets its members apart.
//
//     x = embed(ids)
//     for every layer:
//       n = norm(x, input_layernorm)
//       q, k, v = linear(n, self_attn.{q,k,v}_proj)
//       q, k = norm of every head, self_attn.{q,k}_norm      if headNorms
//       q, k = rope(q), rope(k)                              if rope
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
  std::optional<int64_t> window; // keys visible to a query, with its own
};

/// What config.json may leave out.
struct DecoderDefaults {
  double ropeTheta = 10000;
  bool tied = false;
};

void buildPreNormDecoder(DecoderBuilder &decoder, const DecoderDefaults &defaults,
                         llvm::function_ref<LayerCard(int64_t layer)> card);

} // namespace pianola

#endif
