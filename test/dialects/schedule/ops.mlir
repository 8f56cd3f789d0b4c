// RUN: pianola-opt %s | pianola-opt | FileCheck %s
// RUN: pianola-opt %s -mlir-print-op-generic | pianola-opt | FileCheck %s
// RUN: pianola-opt %s -emit-bytecode | pianola-opt | FileCheck %s

tile.stage @copy(%x: !tile.buffer<1 x 64 x f32>, %y: !tile.buffer<1 x 64 x f32>) {
  tile.section grid = [4] {
  ^bb0(%t: index):
    %0 = tile.load %x columns affine_map<(t) -> (t * 16)> : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
    tile.store %0, %y columns affine_map<(t) -> (t * 16)> : tensor<1x16xf32>, !tile.buffer<1 x 64 x f32>
  }
}

// CHECK: schedule.program @decode slots = 1 arena = 512 {
schedule.program @decode slots = 1 arena = 512 {
  // CHECK: %[[X:.*]] = schedule.buffer "x" at 0 : <1 x 64 x f32>
  %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
  %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
  %z = schedule.buffer "z" : !tile.buffer<1 x 64 x f32>
  // CHECK: %[[E:.*]] = schedule.event
  %e = schedule.event
  // CHECK: schedule.step "first" @copy(%[[X]], %[[Y:.*]]) tiles {{\[}}[0, 2, 3, 4], [2, 3]] signals %[[E]] cost<tape = 1, memory = 2, flops = 3, ns = 4>
  schedule.step "first" @copy(%x, %y) tiles [[0, 2, 3, 4], [2, 3]] signals %e cost<tape = 1, memory = 2, flops = 3, ns = 4> : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  // CHECK: schedule.step "second" @copy(%[[Y]], %{{.*}}) tiles {{\[}}[0, 4], []] waits %[[E]] until [2]
  schedule.step "second" @copy(%y, %z) tiles [[0, 4], []] waits %e until [2] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
}
