// A selection has a stage of its own, with what waits for it where heads are the readers' business; what waits
// for the attention behind it goes on waiting.
// RUN: pianola-opt %s -fuse-stages | FileCheck %s --check-prefixes=CHECK,HOST
// RUN: sed 's|^module {|module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0, scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, panel = 32, chunk = 8192>} {|' %s \
// RUN:   | pianola-opt -fuse-stages | FileCheck %s --check-prefixes=CHECK,GPU

module {
transformer.weight @q [64, 64] bf16 from "q"
transformer.weight @k [16, 64] bf16 from "k"
transformer.weight @iq [48, 64] bf16 from "iq"
transformer.weight @ik [16, 64] bf16 from "ik"
transformer.weight @iw [3, 64] bf16 from "iw"
transformer.weight @o [64, 64] bf16 from "o"
transformer.weight @embed [96, 64] bf16 from "embed"
transformer.rope_table @rope inv_freq = array<f32: 1.0, 0.1, 0.01, 0.001> scale = 1.0
transformer.cache @cache heads = 1 head_size = 16
transformer.cache @index heads = 1 head_size = 16
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x96xf32> {
  %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32> loc("embed_tokens")
  // CHECK: transformer.stage "q" {
  // HOST: transformer.append %{{.*}} to @cache
  // HOST: transformer.append %{{.*}} to @index
  // GPU-NOT: transformer.rope
  // CHECK: %[[S:.*]] = transformer.stage "index" {
  // GPU: transformer.rope
  // GPU: transformer.rope
  // GPU-NEXT: transformer.append %{{.*}} to @index
  // CHECK: transformer.select
  // CHECK-NEXT: transformer.yield
  // CHECK: transformer.stage "attention" {
  // GPU: transformer.rope
  // GPU: transformer.append %{{.*}} to @cache
  // CHECK: transformer.attention %{{.*}}, %{{.*}} of %[[S]]
  // CHECK-NEXT: transformer.yield
  %q = transformer.linear %x, @q : tensor<?x64xf32> -> tensor<?x64xf32> loc("q")
  %k = transformer.linear %x, @k : tensor<?x64xf32> -> tensor<?x16xf32>
  %iq = transformer.linear %x, @iq : tensor<?x64xf32> -> tensor<?x48xf32>
  %ik = transformer.linear %x, @ik : tensor<?x64xf32> -> tensor<?x16xf32>
  %iw = transformer.linear %x, @iw : tensor<?x64xf32> -> tensor<?x3xf32>
  %qr = transformer.rope %q, @rope heads = 4 : tensor<?x64xf32>
  %kr = transformer.rope %k, @rope heads = 1 : tensor<?x16xf32>
  %kv = transformer.append %kr, %kr to @cache : tensor<?x16xf32> -> !transformer.context<1 x 16>
  %iqr = transformer.rope %iq, @rope heads = 3 : tensor<?x48xf32>
  %ikr = transformer.rope %ik, @rope heads = 1 : tensor<?x16xf32>
  %i = transformer.append %ikr, %ikr to @index : tensor<?x16xf32> -> !transformer.context<1 x 16>
  %s = transformer.select %iqr, %iw, %i heads = 3 scale = 0.25
      : tensor<?x48xf32>, tensor<?x3xf32>, !transformer.context<1 x 16> -> !transformer.selection<8 of 64> loc("index")
  %a = transformer.attention %qr, %kv of %s heads = 4 scale = 0.25
      : tensor<?x64xf32>, !transformer.context<1 x 16> of !transformer.selection<8 of 64> loc("attention")
  %o = transformer.linear %a, @o : tensor<?x64xf32> -> tensor<?x64xf32>
  %y = transformer.lm_head %o, @embed : tensor<?x64xf32> -> tensor<?x96xf32>
  return %y : tensor<?x96xf32>
}
}
