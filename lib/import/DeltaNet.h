// DeltaNet.h - a layer that remembers a matrix in place of keys and values.
//
// Gated delta networks (Yang, Kautz and Hatamizadeh, 2024; transformers' Qwen3NextGatedDeltaNet):
//
//     qk, v, z, ba = linear(n, linear_attn.in_proj_...)         queries, then keys
//     qk, v = silu(convolve(qk)), silu(convolve(v))             conv1d, of each column
//     qk = qk / |qk|                                            of each head of D
//     y = delta(qk, v, gates ba, scale 1 / sqrt(D))             A_log, dt_bias
//     x = x + linear(norm(y, linear_attn.norm) * silu(z), linear_attn.out_proj)
#ifndef PIANOLA_LIB_IMPORT_DELTANET_H
#define PIANOLA_LIB_IMPORT_DELTANET_H

#include "lib/import/DecoderBuilder.h"

namespace pianola {

struct DeltaNet {
  int64_t keyHeads = 0, valueHeads = 0; // a key head is for one value head or several
  int64_t keySize = 0, valueSize = 0;
  int64_t taps = 0; // of the convolution
  /// Rows of in_proj_qkvz and in_proj_ba are key head by key head what belongs to it. Otherwise
  /// in_proj_qkv has the queries, the keys and the values, and the others are by themselves.
  bool byKeyHead = false;

  /// Of linear_num_key_heads, linear_num_value_heads, linear_key_head_dim, linear_value_head_dim,
  /// linear_conv_kernel_dim, with the defaults that Qwen3-Next and Qwen3.5 share.
  static DeltaNet read(DecoderBuilder &decoder);

  /// What is added to x; `n` is its norm. `self`: the layer, in names of tensors.
  mlir::Value build(DecoderBuilder &decoder, mlir::Value n, const std::string &self) const;
};

} // namespace pianola

#endif
