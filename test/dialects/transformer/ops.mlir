// Every op prints as it was read, and its bytes of precision survive the trip.
// RUN: pianola-opt %s | FileCheck %s
// RUN: pianola-opt %s | pianola-opt | FileCheck %s
// RUN: pianola-opt %s -mlir-print-op-generic | pianola-opt | FileCheck %s

// CHECK: module attributes {transformer.model = #transformer.model<family = "example", vocabulary = 96, hidden = 64, layers = 1, max_positions = 128>}
module attributes {transformer.model = #transformer.model<family = "example", vocabulary = 96, hidden = 64, layers = 1, max_positions = 128>} {
  // CHECK: transformer.weight @embed_tokens [96, 64] bf16 from "model.embed_tokens.weight"
  transformer.weight @embed_tokens [96, 64] bf16 from "model.embed_tokens.weight"
  // CHECK: transformer.weight @layers.0.norm [64] f32 from "norm"
  transformer.weight @layers.0.norm [64] f32 from "norm"
  // CHECK: transformer.weight @head_norm [16] f16 from "head_norm"
  transformer.weight @head_norm [16] f16 from "head_norm"
  transformer.weight @k [32, 64] bf16 from "k"
  transformer.weight @k.bias [32] bf16 from "k.bias"
  // A third has no short decimal: six digits would lose it.
  // CHECK: transformer.rope_table @rope inv_freq = array<f32: 1.000000e+00, 0.333333343> scale = 1.13862944
  transformer.rope_table @rope inv_freq = array<f32: 1.0, 0.333333343> scale = 1.13862944
  // CHECK: transformer.cache @cache.0 heads = 2 head_size = 16
  transformer.cache @cache.0 heads = 2 head_size = 16
  // CHECK: transformer.cache @cache.1 heads = 2 head_size = 16 element = f8E4M3FN
  transformer.cache @cache.1 heads = 2 head_size = 16 element = f8E4M3FN

  func.func @forward(%ids: tensor<?xi32>) -> tensor<?x96xf32> {
    // CHECK: %[[X:.*]] = transformer.embed %{{.*}}, @embed_tokens : tensor<?xi32> -> tensor<?x64xf32>
    %x = transformer.embed %ids, @embed_tokens : tensor<?xi32> -> tensor<?x64xf32>
    // CHECK: transformer.embed %{{.*}}, @embed_tokens scale = 8.000000e+00 : tensor<?xi32>
    %x8 = transformer.embed %ids, @embed_tokens scale = 8.0 : tensor<?xi32> -> tensor<?x64xf32>
    // CHECK: transformer.observe %[[X]] as "hidden.0" : tensor<?x64xf32>
    transformer.observe %x as "hidden.0" : tensor<?x64xf32>
    // CHECK: %[[N:.*]] = transformer.norm %[[X]], @layers.0.norm eps = 0.00999999977 : tensor<?x64xf32>
    %n = transformer.norm %x, @layers.0.norm eps = 0.01 : tensor<?x64xf32>
    // CHECK: %[[Q:.*]] = transformer.norm %[[N]], @head_norm heads = 4 eps = 0.00999999977 : tensor<?x64xf32>
    %q = transformer.norm %n, @head_norm heads = 4 eps = 0.01 : tensor<?x64xf32>
    // CHECK: %[[K:.*]] = transformer.linear %[[N]], @k : tensor<?x64xf32> -> tensor<?x32xf32>
    %k = transformer.linear %n, @k : tensor<?x64xf32> -> tensor<?x32xf32>
    // CHECK: %[[V:.*]] = transformer.linear %[[N]], @k bias @k.bias : tensor<?x64xf32> -> tensor<?x32xf32>
    %v = transformer.linear %n, @k bias @k.bias : tensor<?x64xf32> -> tensor<?x32xf32>
    // CHECK: transformer.rope %[[K]], @rope heads = 2 : tensor<?x32xf32>
    %kr = transformer.rope %k, @rope heads = 2 : tensor<?x32xf32>
    // CHECK: %[[KV:.*]] = transformer.append %{{.*}}, %[[V]] to @cache.0 : tensor<?x32xf32> -> !transformer.context<2 x 16>
    %kv = transformer.append %kr, %v to @cache.0 : tensor<?x32xf32> -> !transformer.context<2 x 16>
    // CHECK: %[[A:.*]] = transformer.attention %[[Q]], %[[KV]] heads = 4 scale = 2.500000e-01 : tensor<?x64xf32>, !transformer.context<2 x 16>
    %a = transformer.attention %q, %kv heads = 4 scale = 0.25 : tensor<?x64xf32>, !transformer.context<2 x 16>
    // CHECK: %[[B:.*]] = transformer.attention %[[A]], %[[KV]] heads = 4 scale = 2.500000e-01 window = 8 : tensor<?x64xf32>, !transformer.context<2 x 16>
    %b = transformer.attention %a, %kv heads = 4 scale = 0.25 window = 8 : tensor<?x64xf32>, !transformer.context<2 x 16>
    // CHECK: transformer.glu %[[A]], %[[B]] silu : tensor<?x64xf32>
    %g0 = transformer.glu %a, %b silu : tensor<?x64xf32>
    // CHECK: transformer.glu %{{.*}}, %[[B]] gelu_tanh : tensor<?x64xf32>
    %g1 = transformer.glu %g0, %b gelu_tanh : tensor<?x64xf32>
    // CHECK: transformer.glu %{{.*}}, %[[B]] gelu : tensor<?x64xf32>
    %g2 = transformer.glu %g1, %b gelu : tensor<?x64xf32>
    // CHECK: transformer.add %[[X]], %{{.*}} : tensor<?x64xf32>
    %y = transformer.add %x, %g2 : tensor<?x64xf32>
    // CHECK: transformer.lm_head %{{.*}}, @embed_tokens : tensor<?x64xf32> -> tensor<?x96xf32>
    %logits = transformer.lm_head %y, @embed_tokens : tensor<?x64xf32> -> tensor<?x96xf32>
    return %logits : tensor<?x96xf32>
  }
}
