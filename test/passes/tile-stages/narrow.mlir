// RUN: pianola-opt %s -fuse-stages -tile-stages="slots=1,8,16 narrow-from=8" | FileCheck %s

// From eight slots on what products take is bf16: of prologues, in buffers that nothing else reads, and
// of attention. What is added to stays as it is, and so do keys and values, which all programs share.

#machine = #tile.machine<name = "host", workers = 4, product = f32, ring = 0, scratch = 65536,
                         bandwidth = 39000, peak = 240, event = 300, step = 200>
module attributes {tile.machine = #machine} {
  transformer.weight @embed [90, 40] bf16 from "embed"
  transformer.weight @n [40] f32 from "n"
  transformer.weight @q [64, 40] bf16 from "q"
  transformer.weight @k [32, 40] bf16 from "k"
  transformer.weight @v [32, 40] bf16 from "v"
  transformer.weight @o [40, 64] bf16 from "o"
  transformer.cache @cache heads = 1 head_size = 32

  // CHECK-NOT: xbf16>
  // CHECK-LABEL: tile.stage @prefill_8.embed({{.*}}!tile.buffer<8 x 64 x f32>)
  // CHECK-LABEL: tile.stage @prefill_8.q_proj(
  // CHECK-SAME: !tile.buffer<8 x 64 x bf16>
  // CHECK-SAME: !tile.context<1 x 32 x f32>
  // CHECK: tile.normalise {{.*}} tensor<8x64xf32>{{.*}} -> tensor<8x64xbf16>
  // CHECK-LABEL: tile.stage @prefill_8.self_attn(%{{.*}}: !tile.buffer<8 x 64 x bf16>, %{{.*}}: !tile.context<1 x 32 x f32>
  // CHECK-LABEL: tile.stage @prefill_8.o_proj(
  // CHECK: tile.contract {{.*}}xbf16> -> tensor<8x16xf32>
  // CHECK: tile.add {{.*}} : tensor<8x16xf32>
  // CHECK-LABEL: schedule.program @prefill_8
  // CHECK: schedule.context @cache : <1 x 32 x f32>
  // CHECK: tile.normalise {{.*}} tensor<16x64xf32>{{.*}} -> tensor<16x64xbf16>
  // CHECK-LABEL: schedule.program @prefill_16
  // CHECK: schedule.context @cache : <1 x 32 x f32>
  func.func @forward(%ids: tensor<?xi32>) -> tensor<?x90xf32> {
    %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x40xf32> loc("embed")
    %n = transformer.norm %x, @n eps = 1.0e-6 : tensor<?x40xf32>
    %q = transformer.linear %n, @q : tensor<?x40xf32> -> tensor<?x64xf32> loc("layers.0.q_proj")
    %k = transformer.linear %n, @k : tensor<?x40xf32> -> tensor<?x32xf32>
    %v = transformer.linear %n, @v : tensor<?x40xf32> -> tensor<?x32xf32>
    %kv = transformer.append %k, %v to @cache : tensor<?x32xf32> -> !transformer.context<1 x 32>
    %a = transformer.attention %q, %kv heads = 2 scale = 0.25 : tensor<?x64xf32>, !transformer.context<1 x 32> loc("layers.0.self_attn")
    %o = transformer.linear %a, @o : tensor<?x64xf32> -> tensor<?x40xf32> loc("layers.0.o_proj")
    %y = transformer.add %x, %o : tensor<?x40xf32>
    %f = transformer.norm %y, @n eps = 1.0e-6 : tensor<?x40xf32>
    %logits = transformer.lm_head %f, @embed : tensor<?x40xf32> -> tensor<?x90xf32> loc("lm_head")
    return %logits : tensor<?x90xf32>
  }
}
