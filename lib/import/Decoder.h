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
//       x = x + norm(mlp(n), mlpOutput)
//     logits = head(norm(x, norm))
//
// With latent attention, of each head h, where k_up and v_up are rows of kv_b_proj:
//
//       n' = norm(linear(n, q_a_proj), q_a_layernorm)           or n itself
//       q = join(k_up[h]' linear(n', q_b_proj)[plain], rope(linear(n', q_b_proj)[turned]))
//       c = linear(n, kv_a_proj_with_mqa)
//       k = v = join(norm(c[latent], kv_a_layernorm), rope(c[turned]))
//
//       x = x + linear(v_up[h] attention(q, k, v)[latent], o_proj)
//
// With a gate, rows of q_proj are by turns a head's query and what its attention is gated by:
//
//       x = x + linear(attention(q, k, v) * sigmoid(gate), o_proj)
//
// Layers that remember a matrix in place of keys and values are in DeltaNet.h.
//
//     mlp(n) = linear(act(linear(n, mlp.gate_proj)) * linear(n, mlp.up_proj), mlp.down_proj)
//
// or a mixture of such, of which a router chooses some for each token, and perhaps one for all.
#ifndef PIANOLA_LIB_IMPORT_DECODER_H
#define PIANOLA_LIB_IMPORT_DECODER_H

#include "lib/import/DecoderBuilder.h"
#include "lib/import/DeltaNet.h"

#include "llvm/ADT/STLFunctionalExtras.h"

#include <functional>

namespace pianola {

enum class ExpertPart { Gate, Up, Down };

/// The experts of a layer, in place of its MLP.
struct Mixture {
  DecoderBuilder::Router router;
  std::string routerName = "mlp.gate";
  int64_t size = 0; // of an expert
  /// Where a matrix of an expert stands, in the layer called `layer`.
  std::function<StoredRows(const std::string &layer, int64_t expert, ExpertPart part)> stored;
  bool bias = false;
  bool weighsInput = false; // what an expert counts multiplies its input, and not its output
  /// The one for all tokens: its name, empty if there is none, and its size; and the name of what
  /// multiplies it (by its sigmoid), empty if nothing does.
  std::string shared, sharedGate;
  int64_t sharedSize = 0;
};

/// Matrices of their own, such as "layers.3.mlp.experts.5.gate_proj".
std::function<StoredRows(const std::string &layer, int64_t expert, ExpertPart part)>
separateExperts(const ModelConfig &config, int64_t size, std::string experts = "mlp.experts",
                std::string gate = "gate_proj", std::string up = "up_proj",
                std::string down = "down_proj");

/// Latent attention (DeepSeek-V2, 2024): of keys and values the cache has one vector of `rank`
/// numbers, which is as good as a key, and some more that rope turns. Queries are brought to where
/// it is.
struct Latent {
  int64_t queryRank = 0; // of what queries are made of; 0: the input
  int64_t rank = 0;
  int64_t plain = 0, turned = 0; // lanes of a query head: those that rope leaves, and the others
  int64_t value = 0;             // lanes of a value head
  bool bias = false;             // of what comes first
  double eps = 1e-6;             // of the norms, whatever rms_norm_eps says
  /// DeepSeek sparse attention: an index of one key for each position, of which queries of their
  /// own choose. 0 heads: there is none.
  int64_t indexHeads = 0, indexSize = 0, top = 0;
  bool pairedIndex = false; // rope pairs its lanes, which come first
  /// Which layers choose; others attend to what the one before did.
  std::function<bool(int64_t layer)> chooses;

  /// Of q_lora_rank, kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, v_head_dim, attention_bias.
  static Latent read(DecoderBuilder &decoder);
  /// Of index_n_heads, index_head_dim, index_topk. Reads nothing more, and leaves it at `read`, if
  /// there are no more positions than are chosen: then all are.
  void readIndex(DecoderBuilder &decoder);
  /// What multiplies scores: with yarn not the root of the lanes alone.
  double scale(const RopeScaling &rope) const;
};

/// One layer. The defaults are those of the plainest of them.
struct LayerCard {
  /// Names of the norms before and after attention and MLP; empty: there is none.
  std::string attentionInput = "input_layernorm", attentionOutput;
  std::string mlpInput = "post_attention_layernorm", mlpOutput;
  std::string mlp = "mlp";
  std::optional<int64_t> mlpSize; // in place of intermediate_size
  std::optional<Mixture> mixture;
  bool queryKeyValueBias = false;
  bool outputBias = false;
  bool mlpBias = false;
  /// What q_norm and k_norm are of, if they are there: each head, or all heads at once. Turned: of
  /// each head after rope, and without weights.
  enum class QueryKeyNorm { None, Heads, Whole, Turned } queryKeyNorm = QueryKeyNorm::None;
  std::string queryRope = "rope", keyRope = "rope"; // tables; empty: they are not turned
  bool pairedLanes = false;    // rope turns lanes 2i and 2i+1 of q and k as they are stored
  bool fusedAttention = false; // q, k and v are rows of one self_attn.qkv_proj, in this order
  bool fusedMlp = false;       // gate and up are rows of one mlp.gate_up_proj, in this order
  DecoderBuilder::Attention attention;
  std::optional<Latent> latent;
  std::optional<DeltaNet> delta;       // in place of attention
  bool gatedAttention = false;         // rows of q_proj are each head's query, then its gate
  bool sinks = false;                  // self_attn.sinks
  std::optional<double> residualScale; // on what attention and MLP add to x

  void setRope(const std::string &table) { queryRope = keyRope = table; }
};

/// What config.json may leave out, and what is so for all layers.
struct DecoderDefaults {
  /// The field of config.json with the name of the activation; empty: it is set.
  llvm::StringLiteral activationField = "hidden_act", activation = "silu";
  double ropeTheta = 10000;
  bool tied = false;
  /// partial_rotary_factor; where a family has none, another one than 1 is refused.
  std::optional<double> rotaryShare;
  bool localRope = false;    // knows of rope_parameters by types of layers
  bool queriesGrow = false;  // knows of llama_4_scaling_beta
  bool normsPlusOne = false; // norms multiply by 1 + w
  std::optional<double> embeddingScale, logitsScale, logitsCap;
};

/// Declares the table @rope and writes everything. Other tables that cards name are there already.
void buildDecoder(DecoderBuilder &decoder, const DecoderDefaults &defaults,
                  llvm::function_ref<LayerCard(int64_t layer)> card);

} // namespace pianola

#endif
