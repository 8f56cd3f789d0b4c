// Columns of codes that stand in an order of their own: act-order's, and heads without padding.
// RUN: pianola-opt %s -fuse-stages -tile-stages | FileCheck %s
// RUN: sed 's/codes = true/codes = false/' %s | pianola-opt -fuse-stages -tile-stages | FileCheck %s --check-prefix=FLOATS
// RUN: sed 's/codes = true/codes = true, rows = 8, panel = 32/' %s | pianola-opt -fuse-stages -tile-stages | FileCheck %s --check-prefix=ROWS

module attributes {
    transformer.model = #transformer.model<family = "example", vocabulary = 96, hidden = 64, layers = 1, max_positions = 128>,
    tile.machine = #tile.machine<name = "host", workers = 2, product = f32, ring = 0, scratch = 1048576,
                                 bandwidth = 40000, peak = 240, event = 300, step = 200, codes = true>} {
  // A token's row is wanted in the model's order.
  // CHECK-LABEL: tile.stage @decode.embed
  // CHECK-SAME: element = f32>
  transformer.weight @embed [96, 64] !encoding.scaled<code = i4, group = 32, scale = f16, order = true> from "e"
  transformer.weight @n [64] f32 from "n"
  transformer.weight @q [72, 64] !encoding.scaled<code = i4, group = 32, scale = f16, order = true> from "q"
  transformer.weight @k [24, 64] !encoding.scaled<code = i4, group = 32, scale = f16, zeros = true, order = true> from "k"
  transformer.weight @v [24, 64] !encoding.scaled<code = f8e4m3, scale = f32> from "v"
  transformer.weight @o [64, 72] !encoding.scaled<code = f4e2m1, group = 32, scale = e8m0> from "o"
  transformer.rope_table @rope inv_freq = array<f32: 1.0, 0.1> scale = 1.0
  transformer.cache @cache heads = 1 head_size = 24

  // The row is normalised once; each order has its copy.
  // CHECK-LABEL: tile.stage @decode.q_proj
  // CHECK: tile.prologue
  // CHECK: %[[ROW:.*]] = tile.normalise
  // CHECK-NEXT: tile.reorder %[[ROW]], %{{.*}} <order = true, blocks = 1, size = 64, pad = 64, per_tile = false> -> tensor<1x64xf32>
  // CHECK-NEXT: tile.reorder %[[ROW]],
  // CHECK-NEXT: tile.yield %{{.*}}, %{{.*}}, %[[ROW]]
  // CHECK: tile.contract %{{.*}}#0 : {{.*}}code = i4, group = 32, scale = f16, order = true
  // CHECK: tile.contract %{{.*}}#1 : {{.*}}code = i4, group = 32, scale = f16, zeros = true, order = true
  // CHECK: tile.contract %{{.*}}#2 : {{.*}}code = f8e4m3, scale = f32
  // CHECK-LABEL: tile.stage @decode.o_proj
  // CHECK: tile.reorder {{.*}} <order = true, blocks = 3, size = 24, pad = 32, per_tile = false> -> tensor<1x80xf32>
  // CHECK: tile.contract {{.*}} blocks = 1, columns = 72, column_pad = 80, element = !encoding.scaled<code = f4e2m1, group = 32, scale = e8m0>
  // CHECK: weights [@n, @q, @q, @k, @k, @v]

  // FLOATS-NOT: tile.reorder
  // FLOATS-NOT: tile.contract {{.*}} !encoding
  // ROWS-NOT: tile.reorder
  // ROWS-NOT: order = true>, 
  func.func @forward(%ids: tensor<?xi32>) -> tensor<?x96xf32> {
    %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32> loc("embed")
    %n = transformer.norm %x, @n eps = 1.0e-6 : tensor<?x64xf32>
    %q = transformer.linear %n, @q : tensor<?x64xf32> -> tensor<?x72xf32> loc("layers.0.q_proj")
    %k = transformer.linear %n, @k : tensor<?x64xf32> -> tensor<?x24xf32>
    %v = transformer.linear %n, @v : tensor<?x64xf32> -> tensor<?x24xf32>
    %qr = transformer.rope %q, @rope heads = 3 : tensor<?x72xf32>
    %kr = transformer.rope %k, @rope heads = 1 : tensor<?x24xf32>
    %kv = transformer.append %kr, %v to @cache : tensor<?x24xf32> -> !transformer.context<1 x 24>
    %a = transformer.attention %qr, %kv heads = 3 scale = 0.25 : tensor<?x72xf32>, !transformer.context<1 x 24> loc("layers.0.self_attn")
    %o = transformer.linear %a, @o : tensor<?x72xf32> -> tensor<?x64xf32> loc("layers.0.o_proj")
    %y = transformer.add %x, %o : tensor<?x64xf32>
    %logits = transformer.lm_head %y, @embed : tensor<?x64xf32> -> tensor<?x96xf32> loc("lm_head")
    return %logits : tensor<?x96xf32>
  }
}
