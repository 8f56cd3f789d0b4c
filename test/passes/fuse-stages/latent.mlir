// Latent attention: matrices of heads are a stage; what joins heads is done by those who read them,
// or, where tiles are whole heads, behind the last thing that is joined.
// RUN: pianola-opt %s -fuse-stages | FileCheck %s --check-prefixes=CHECK,HOST
// RUN: sed 's|^module {|module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0, scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, panel = 32, chunk = 8192>} {|' %s \
// RUN:   | pianola-opt -fuse-stages | FileCheck %s --check-prefixes=CHECK,GPU

module {
transformer.weight @q_plain [96, 64] bf16 from "q_plain"
transformer.weight @q_turned [32, 64] bf16 from "q_turned"
transformer.weight @latent [40, 64] bf16 from "latent"
transformer.weight @k_turned [8, 64] bf16 from "k_turned"
transformer.weight @k_up [160, 24] bf16 from "k_up"
transformer.weight @v_up [64, 40] bf16 from "v_up"
transformer.weight @o [64, 64] bf16 from "o"
transformer.weight @n [40] f32 from "n"
transformer.weight @embed [96, 64] bf16 from "embed"
transformer.rope_table @rope inv_freq = array<f32: 1.0, 0.1, 0.01, 0.001> scale = 1.0
transformer.cache @cache heads = 1 head_size = 48
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x96xf32> {
  %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32> loc("embed_tokens")
  // CHECK: %[[IN:.*]]:4 = transformer.stage "latent" {
  // HOST: transformer.rope
  // HOST: transformer.rope
  // GPU-NOT: transformer.rope
  %c = transformer.linear %x, @latent : tensor<?x64xf32> -> tensor<?x40xf32> loc("latent")
  %k = transformer.linear %x, @k_turned : tensor<?x64xf32> -> tensor<?x8xf32>
  %q = transformer.linear %x, @q_plain : tensor<?x64xf32> -> tensor<?x96xf32>
  %r = transformer.linear %x, @q_turned : tensor<?x64xf32> -> tensor<?x32xf32>
  // CHECK: %[[UP:.*]] = transformer.stage "k_up" {
  // CHECK-NEXT: transformer.head_linear %[[IN]]#{{[0-9]}}, @k_up heads = 4
  // HOST-NEXT: transformer.join
  // CHECK-NEXT: transformer.yield
  %u = transformer.head_linear %q, @k_up heads = 4 : tensor<?x96xf32> -> tensor<?x160xf32> loc("k_up")
  %rr = transformer.rope %r, @rope heads = 4 : tensor<?x32xf32>
  %query = transformer.join %u, %rr heads = 4 : tensor<?x160xf32>, tensor<?x32xf32> -> tensor<?x192xf32>
  // CHECK: transformer.stage "norm" {
  // CHECK-NEXT: transformer.norm
  // CHECK-NEXT: transformer.yield
  %cn = transformer.norm %c, @n eps = 1.0e-6 : tensor<?x40xf32> loc("norm")
  %kr = transformer.rope %k, @rope heads = 1 : tensor<?x8xf32>
  // HOST: transformer.stage "key" {
  // HOST-NEXT: %[[KEY:.*]] = transformer.join
  // HOST-NEXT: transformer.append %[[KEY]], %[[KEY]]
  // GPU: transformer.stage "attention" {
  // GPU: transformer.rope
  // GPU: transformer.join
  // GPU: transformer.rope
  // GPU: transformer.join
  // GPU: transformer.append
  // GPU: transformer.attention
  %key = transformer.join %cn, %kr heads = 1 : tensor<?x40xf32>, tensor<?x8xf32> -> tensor<?x48xf32> loc("key")
  %kv = transformer.append %key, %key to @cache : tensor<?x48xf32> -> !transformer.context<1 x 48>
  // HOST: transformer.stage "attention" {
  // HOST-NEXT: transformer.attention
  %a = transformer.attention %query, %kv heads = 4 scale = 0.25 : tensor<?x192xf32>, !transformer.context<1 x 48> loc("attention")
  // CHECK: transformer.stage "v_up" {
  // CHECK-NEXT: transformer.head_linear
  // CHECK-NEXT: transformer.yield
  %v = transformer.head_linear %a, @v_up heads = 4 : tensor<?x192xf32> -> tensor<?x64xf32> loc("v_up")
  %o = transformer.linear %v, @o : tensor<?x64xf32> -> tensor<?x64xf32> loc("o_proj")
  %y = transformer.add %x, %o : tensor<?x64xf32>
  %logits = transformer.lm_head %y, @embed : tensor<?x64xf32> -> tensor<?x96xf32> loc("lm_head")
  return %logits : tensor<?x96xf32>
}
}
