// Layers that remember: what is recorded is recorded where it is made; a convolution reads what other tiles
// have recorded, and belongs to the rule, as do the norm and the gate behind it. Of gated attention, who reads
// it computes the gate.
// RUN: pianola-opt %s -fuse-stages | FileCheck %s
// RUN: sed 's|^module {|module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0, scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, panel = 32, chunk = 8192>} {|' %s \
// RUN:   | pianola-opt -fuse-stages | FileCheck %s

module {
transformer.weight @qk [64, 64] bf16 from "qk"
transformer.weight @v [48, 64] bf16 from "v"
transformer.weight @z [48, 64] bf16 from "z"
transformer.weight @ba [8, 64] bf16 from "ba"
transformer.weight @conv.qk [4, 64] bf16 from "conv.qk"
transformer.weight @conv.v [4, 48] bf16 from "conv.v"
transformer.weight @a [4] f32 from "a"
transformer.weight @d [4] f32 from "d"
transformer.weight @n [12] f32 from "n"
transformer.weight @out [64, 48] bf16 from "out"
transformer.weight @q [64, 64] bf16 from "q"
transformer.weight @g [64, 64] bf16 from "g"
transformer.weight @k [16, 64] bf16 from "k"
transformer.weight @o [64, 64] bf16 from "o"
transformer.weight @embed [96, 64] bf16 from "embed"
transformer.state @history.qk [4, 64]
transformer.state @history.v [4, 48]
transformer.state @state [4, 16, 12]
transformer.cache @cache heads = 1 head_size = 16
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x96xf32> {
  %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32> loc("embed_tokens")
  // CHECK: %[[IN:.*]]:4 = transformer.stage "qk" {
  // CHECK: transformer.record %{{.*}} to @history.qk
  // CHECK: transformer.record %{{.*}} to @history.v
  // CHECK-NOT: transformer.convolve
  // CHECK: %[[Y:.*]] = transformer.stage "rule" {
  // CHECK: transformer.convolve %[[IN]]
  // CHECK: transformer.activate
  // CHECK: transformer.convolve %[[IN]]
  // CHECK: transformer.activate
  // CHECK: transformer.norm
  // CHECK: transformer.scale
  // CHECK: transformer.delta
  // CHECK: transformer.norm
  // CHECK: transformer.glu
  // CHECK-NEXT: transformer.yield
  %qk = transformer.linear %x, @qk : tensor<?x64xf32> -> tensor<?x64xf32> loc("qk")
  %v = transformer.linear %x, @v : tensor<?x64xf32> -> tensor<?x48xf32>
  %z = transformer.linear %x, @z : tensor<?x64xf32> -> tensor<?x48xf32>
  %ba = transformer.linear %x, @ba : tensor<?x64xf32> -> tensor<?x8xf32>
  %h = transformer.record %qk to @history.qk : tensor<?x64xf32> -> !transformer.history<64>
  %c = transformer.convolve %h, @conv.qk : !transformer.history<64> -> tensor<?x64xf32>
  %s = transformer.activate %c silu : tensor<?x64xf32>
  %hv = transformer.record %v to @history.v : tensor<?x48xf32> -> !transformer.history<48>
  %cv = transformer.convolve %hv, @conv.v : !transformer.history<48> -> tensor<?x48xf32>
  %sv = transformer.activate %cv silu : tensor<?x48xf32>
  %l = transformer.norm %s heads = 4 eps = 1.0e-8 : tensor<?x64xf32>
  %u = transformer.scale %l by 0.25 : tensor<?x64xf32>
  %y = transformer.delta %u, %sv gates %ba, @a, @d in @state key_heads = 2 scale = 0.25
      : tensor<?x64xf32>, tensor<?x48xf32>, tensor<?x8xf32> loc("rule")
  %yn = transformer.norm %y, @n heads = 4 eps = 1.0e-6 : tensor<?x48xf32>
  %yg = transformer.glu %z, %yn silu : tensor<?x48xf32>
  // CHECK: transformer.stage "out" {
  // CHECK-NEXT: transformer.linear %[[Y]], @out
  %p = transformer.linear %yg, @out : tensor<?x48xf32> -> tensor<?x64xf32> loc("out")
  // CHECK: %[[PROJECTED:.*]]:{{[34]}} = transformer.stage "q" {
  %q = transformer.linear %p, @q : tensor<?x64xf32> -> tensor<?x64xf32> loc("q")
  %g = transformer.linear %p, @g : tensor<?x64xf32> -> tensor<?x64xf32>
  %k = transformer.linear %p, @k : tensor<?x64xf32> -> tensor<?x16xf32>
  %kv = transformer.append %k, %k to @cache : tensor<?x16xf32> -> !transformer.context<1 x 16>
  // CHECK: %[[MIXED:.*]] = transformer.stage "attention" {
  // CHECK-NOT: transformer.gate
  %m = transformer.attention %q, %kv heads = 4 scale = 0.25
      : tensor<?x64xf32>, !transformer.context<1 x 16> loc("attention")
  // CHECK: transformer.stage "o" {
  // CHECK-NEXT: %[[GATED:.*]] = transformer.gate %[[MIXED]] by %[[PROJECTED]]
  // CHECK-NEXT: transformer.linear %[[GATED]], @o
  %mg = transformer.gate %m by %g : tensor<?x64xf32>, tensor<?x64xf32>
  %w = transformer.linear %mg, @o : tensor<?x64xf32> -> tensor<?x64xf32> loc("o")
  %logits = transformer.lm_head %w, @embed : tensor<?x64xf32> -> tensor<?x96xf32>
  return %logits : tensor<?x96xf32>
}
}
