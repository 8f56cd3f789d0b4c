// RUN: pianola-opt %s -fuse-stages -tile-stages=slots=4,1 | FileCheck %s
// RUN: pianola-opt %s -fuse-stages -tile-stages=slots=4,1 -assign-tiles -plan-memory -place-events -check-schedule -predict-cost | FileCheck %s --check-prefix=COST

// Four slots choose two of eight experts each: up to eight of two tiles, sixteen pairs, which go round
// three workers; two tiles more make their number come out even. Each worker has a run of the grid.
// CHECK-DAG: #[[CHOSEN:.*]] = affine_map<(d0) -> (((d0 mod 6) * 3 + (d0 floordiv 6) mod 3) floordiv 2)>
// CHECK-DAG: #[[TILE:.*]] = affine_map<(d0) -> (((d0 floordiv 6) floordiv 3) * 2 + ((d0 mod 6) * 3 + (d0 floordiv 6) mod 3) mod 2)>
// CHECK-DAG: #[[COLUMNS:.*]] = affine_map<(d0) -> ((((d0 floordiv 6) floordiv 3) * 2 + ((d0 mod 6) * 3 + (d0 floordiv 6) mod 3) mod 2) * 16)>
// One slot chooses two.
// CHECK-DAG: #[[ONE:.*]] = affine_map<(d0) -> (((d0 mod 2) * 3 + (d0 floordiv 2) mod 3) floordiv 2)>

// Every worker makes the choice by itself.
// CHECK: tile.stage @prefill_4.gate_2
// CHECK: tile.prologue
// CHECK: %[[LOGITS:.*]] = tile.load %{{.*}} : <4 x 32 x f32> -> tensor<4x32xf32>
// CHECK: tile.route %[[LOGITS]] softmax scale = 1.000000e+00 : tensor<4x32xf32> -> !tile.routes<4 x 2 of 8>
// CHECK: tile.normalise
// CHECK: tile.section grid = [18]
// CHECK: tile.experts %{{.*}} chosen #[[CHOSEN]] {
// CHECK-NEXT: %[[ROWS:.*]] = tile.members %{{.*}} : tensor<4x64xf32> -> tensor<4x64xf32>
// CHECK-NEXT: %[[W:.*]] = tile.weights %{{.*}} tile #[[TILE]] : !tile.pool<experts = 8, tiles = 2,
// CHECK-NEXT: tile.contract %[[W]], %[[ROWS]]
// CHECK: tile.activate
// CHECK-NEXT: tile.scatter %{{.*}} columns #[[COLUMNS]] : tensor<4x16xf32>, <8 x 32 x f32>

// What comes last is summed tile by tile.
// CHECK: tile.stage @prefill_4.down
// CHECK: tile.load %{{.*}} : <8 x 32 x f32> -> tensor<8x32xf32>
// CHECK: tile.section grid = [4]
// CHECK: %[[SUM:.*]] = tile.experts
// CHECK-NEXT: tile.members %{{.*}} : tensor<8x32xf32> -> tensor<4x32xf32>
// CHECK: tile.weigh %
// CHECK-NEXT: tile.yield
// CHECK: tile.store %[[SUM]]

// CHECK: tile.stage @decode.gate_2
// CHECK: tile.section grid = [6]
// CHECK-NEXT: ^bb0
// CHECK-NEXT: tile.experts %{{.*}} chosen #[[ONE]]

// Of eight experts four slots choose 5.47 on average, at worst all: times two matrices of 32 rows of
// 128 bytes, and a norm of 256 bytes for each of three workers. One slot's two are always two. The
// last matrices are 64 rows of 64 bytes, and beside them is the shared expert's, 64 rows of 128.
// COST: schedule.program @prefill_4
// COST: schedule.step "experts.gate" {{.*}} tiles {{\[\[}}0, 6], [6, 12], [12, 18]] {{.*}}cost<tape = 45570, {{.*}}, worst = 66306>
// COST: schedule.step "experts.down" {{.*}}cost<tape = 30592, {{.*}}, worst = 40960>
// COST: schedule.program @decode
// COST: schedule.step "experts.gate" {{.*}}cost<tape = 17154, memory = {{[0-9]+}}, flops = {{[0-9]+}}, ns = {{[0-9]+}}>

#machine = #tile.machine<name = "host", workers = 3, product = f32, ring = 0, scratch = 65536,
                         bandwidth = 39000, peak = 240, event = 300, step = 200>
module attributes {tile.machine = #machine} {
transformer.weight @embed [96, 64] bf16 from "embed"
transformer.weight @n [64] f32 from "n"
transformer.weight @gate [8, 64] bf16 from "gate"
transformer.weight @g [256, 64] bf16 from "g"
transformer.weight @u [256, 64] bf16 from "u"
transformer.weight @d [512, 32] bf16 from "d"
transformer.weight @sg [1, 64] bf16 from "sg"
transformer.weight @s [64, 64] bf16 from "s"
transformer.weight @s2 [64, 64] bf16 from "s2"
func.func @forward(%ids: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = transformer.embed %ids, @embed : tensor<?xi32> -> tensor<?x64xf32> loc("embed_tokens")
  %n = transformer.norm %x, @n eps = 1.0e-6 : tensor<?x64xf32>
  %r = transformer.route %n, @gate softmax scale = 1.0 : tensor<?x64xf32> -> !transformer.routes<2 of 8> loc("gate")
  %s = transformer.linear %n, @s : tensor<?x64xf32> -> tensor<?x64xf32>
  %sg = transformer.linear %n, @sg : tensor<?x64xf32> -> tensor<?x1xf32>
  %g = transformer.routed_linear %n, %r, @g : tensor<?x64xf32>, !transformer.routes<2 of 8> -> tensor<?x64xf32> loc("experts.gate")
  %u = transformer.routed_linear %n, %r, @u : tensor<?x64xf32>, !transformer.routes<2 of 8> -> tensor<?x64xf32>
  %h = transformer.glu %g, %u silu : tensor<?x64xf32>
  %y = transformer.routed_linear %h, %r, @d weighted combined : tensor<?x64xf32>, !transformer.routes<2 of 8> -> tensor<?x64xf32> loc("experts.down")
  %s2 = transformer.linear %s, @s2 : tensor<?x64xf32> -> tensor<?x64xf32> loc("shared")
  %shared = transformer.gate %s2 by %sg : tensor<?x64xf32>, tensor<?x1xf32>
  %z = transformer.add %y, %shared : tensor<?x64xf32>
  return %z : tensor<?x64xf32>
}}
