// Decoder.h - the decoder that most families share, by what sets them apart.
//
//     x = embed(ids)
//     for every layer:
//       n = norm(x, attentionInput)
//       q, k, v = linear(n, self_attn.{q,k,v}_proj)
//       q, k = norm(q, self_attn.q_norm), norm(k, self_attn.k_norm)    of each head, or of all
//       q, k = rope(q), rope(k)                              if rope, on the first lanes of a head
//       x = x + norm(linear(attention(q, k, v), self_attn.o_proj), attentionOutput)
//       n = norm(x, mlpInput)
//       x = x + norm(linear(act(linear(n, mlp.gate_proj)) * linear(n, mlp.up_proj), mlp.down_proj),
//                    mlpOutput)
//     logits = head(norm(x, norm))
#ifndef PIANOLA_LIB_IMPORT_DECODER_H
#define PIANOLA_LIB_IMPORT_DECODER_H

#include "lib/import/DecoderBuilder.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace pianola {

/// One layer. The defaults are those of the plainest of them.
struct LayerCard {
  /// Names of the norms before and after attention and MLP; empty: there is none.
  std::string attentionInput = "input_layernorm", attentionOutput;
  std::string mlpInput = "post_attention_layernorm", mlpOutput;
  bool queryKeyValueBias = false;
  bool outputBias = false;
  bool mlpBias = false;
  /// What q_norm and k_norm are of, if they are there: each head, or all heads at once.
  enum class QueryKeyNorm { None, Heads, Whole } queryKeyNorm = QueryKeyNorm::None;
  bool rope = true;
  bool localRope = false;        // by the table of localTheta, without scaling
  bool pairedLanes = false;      // rope turns lanes 2i and 2i+1 of q and k as they are stored
  bool fusedAttention = false;   // q, k and v are rows of one self_attn.qkv_proj, in this order
  bool fusedMlp = false;         // gate and up are rows of one mlp.gate_up_proj, in this order
  std::optional<int64_t> window; // keys visible to a query, with its own
  std::optional<double> attentionScale; // in place of one over the root of head_dim
  std::optional<double> attentionCap;
  std::optional<double> residualScale; // on what attention and MLP add to x
};

/// What config.json may leave out, and what is so for all layers.
struct DecoderDefaults {
  llvm::StringLiteral activationField = "hidden_act", activation = "silu";
  double ropeTheta = 10000;
  std::optional<double> localTheta; // if another one than that of the other layers
  bool tied = false;
  /// partial_rotary_factor; where a family has none, another one than 1 is refused.
  std::optional<double> rotaryShare;
  /// Of queries, once they are turned; what config.json says of it counts.
  bool queriesGrow = false;
  std::optional<double> embeddingScale, logitsScale, logitsCap;
  bool normsPlusOne = false; // norms multiply by 1 + w
};

void buildDecoder(DecoderBuilder &decoder, const DecoderDefaults &defaults,
                  llvm::function_ref<LayerCard(int64_t layer)> card);

} // namespace pianola

#endif
