// RUN: pianola-opt %s -fuse-stages -tile-stages -split-input-file | FileCheck %s
// RUN: pianola-opt %s -fuse-stages -tile-stages=slots=8 -split-input-file | FileCheck %s --check-prefix=EIGHT

// A head of 24 lanes is a tile of 32 rows, of which 24 are the model's; plain rows go by 32, or by 16
// where that keeps all four workers busy.

#machine = #tile.machine<name = "host", workers = 4, product = bf16, ring = 0, scratch = 65536,
                         bandwidth = 39000, peak = 240, event = 300, step = 200>
module attributes {tile.machine = #machine} {
  transformer.weight @embed [90, 40] bf16 from "embed"
  transformer.weight @n [40] f32 from "n"
  transformer.weight @q [72, 40] bf16 from "q"
  transformer.weight @q.bias [72] bf16 from "q.bias"
  transformer.weight @k [24, 40] bf16 from "k"
  transformer.weight @v [24, 40] bf16 from "v"
  transformer.weight @o [40, 72] bf16 from "o"
  transformer.rope_table @rope inv_freq = array<f32: 1.0, 0.1> scale = 1.0
  transformer.cache @cache heads = 1 head_size = 24

  // The tied table is read where the head's tiles lie.
  // CHECK-LABEL: tile.stage @decode.embed
  // CHECK-SAME: !tile.table<rows = 90, columns = 40, column_pad = 64, tile_rows = 16, element = bf16>
  // CHECK: tile.section grid = [1]

  // CHECK-LABEL: tile.stage @decode.q_proj
  // CHECK-SAME: !tile.matrix<rows = 24, row_pad = 32, blocks = 1, columns = 40, column_pad = 64, element = bf16>
  // CHECK-SAME: !tile.vector<blocks = 1, size = 24, pad = 32, per_tile = true>
  // CHECK-SAME: !tile.context<1 x 32 x bf16 ring 128>
  // CHECK: tile.prologue
  // CHECK: tile.normalise %{{.*}} groups = 1 size = 40 {{.*}} -> tensor<1x64xbf16>
  // Queries:
  // CHECK: tile.section grid = [3]
  // CHECK: tile.contract
  // CHECK-NEXT: tile.bias
  // CHECK-NEXT: tile.rotate
  // CHECK-NEXT: tile.store
  // Keys and values:
  // CHECK: tile.section grid = [1]
  // CHECK: tile.rotate
  // CHECK: tile.append {{.*}} key
  // CHECK: tile.section grid = [1]
  // CHECK: tile.append {{.*}} value

  // One key head is too few for four workers: the context is split in four, and the next stage's
  // prologue puts it together.
  // CHECK-LABEL: tile.stage @decode.self_attn
  // CHECK: tile.section grid = [1, 1, 4]
  // CHECK: tile.attend {{.*}} split #{{.*}} scale = 2.500000e-01 window = 8 splits = 4
  // CHECK: tile.store
  // CHECK: tile.store
  // CHECK-LABEL: tile.stage @decode.o_proj
  // CHECK-SAME: !tile.matrix<rows = 16, row_pad = 16, blocks = 3, columns = 24, column_pad = 32, element = bf16>
  // CHECK: tile.combine {{.*}} heads = 1 group = 3 splits = 4 : {{.*}} -> tensor<1x96xbf16>
  // CHECK: tile.section grid = [4]
  // CHECK-LABEL: tile.stage @decode.lm_head
  // CHECK-SAME: outputs
  // CHECK-LABEL: schedule.program @decode slots = 1
  // CHECK: schedule.step "layers.0.q_proj" @decode.q_proj(%{{.*}}) weights [@n, @q, @q.bias, @k, @v]

  // CHECK-LABEL: tile.stage @prefill_64.self_attn
  // CHECK: tile.section grid = [1, 4, 1]
  // CHECK-LABEL: schedule.program @prefill_64 slots = 64

  // EIGHT-NOT: slots = 1
  // EIGHT: schedule.program @prefill_8 slots = 8
  // EIGHT-NOT: schedule.program
  func.func @forward(%ids: tensor<?xi32>) -> tensor<?x90xf32> {
    %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x40xf32> loc("embed")
    %n = transformer.norm %x, @n eps = 1.0e-6 : tensor<?x40xf32>
    %q = transformer.linear %n, @q bias @q.bias : tensor<?x40xf32> -> tensor<?x72xf32> loc("layers.0.q_proj")
    %k = transformer.linear %n, @k : tensor<?x40xf32> -> tensor<?x24xf32>
    %v = transformer.linear %n, @v : tensor<?x40xf32> -> tensor<?x24xf32>
    %qr = transformer.rope %q, @rope heads = 3 : tensor<?x72xf32>
    %kr = transformer.rope %k, @rope heads = 1 : tensor<?x24xf32>
    %kv = transformer.append %kr, %v to @cache : tensor<?x24xf32> -> !transformer.context<1 x 24>
    %a = transformer.attention %qr, %kv heads = 3 scale = 0.25 window = 8 : tensor<?x72xf32>, !transformer.context<1 x 24> loc("layers.0.self_attn")
    %o = transformer.linear %a, @o : tensor<?x72xf32> -> tensor<?x40xf32> loc("layers.0.o_proj")
    %y = transformer.add %x, %o : tensor<?x40xf32>
    %f = transformer.norm %y, @n eps = 1.0e-6 : tensor<?x40xf32>
    %logits = transformer.lm_head %f, @embed : tensor<?x40xf32> -> tensor<?x90xf32> loc("lm_head")
    return %logits : tensor<?x90xf32>
  }
}
