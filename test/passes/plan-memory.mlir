// RUN: pianola-opt %s -plan-memory | FileCheck %s

// A chain a -> b -> c -> d -> e: neighbours live together, others share bytes. What nobody reads is a
// result and lives to the end.
module attributes {tile.machine = #tile.machine<name = "host", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200>} {
  tile.stage @copy(%x: !tile.buffer<1 x 64 x f32>, %y: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.load %x columns affine_map<(t) -> (t * 16)> : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 16)> : tensor<1x16xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  // Each tile of @whole reads all of x.
  tile.stage @whole(%x: !tile.buffer<1 x 64 x f32>, %y: !tile.buffer<1 x 64 x f32>) {
    %a = tile.prologue {
      %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      tile.yield %0 : tensor<1x64xf32>
    } : tensor<1x64xf32>
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.load %x columns affine_map<(t) -> (t * 16)> : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 16)> : tensor<1x16xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
// CHECK: schedule.program @p slots = 1 arena = 768
  schedule.program @p slots = 1 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    // CHECK: schedule.buffer "a" at 0
    %a = schedule.buffer "a" : !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.buffer "b" at 256
    %b = schedule.buffer "b" : !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.buffer "c" at 0
    %c = schedule.buffer "c" : !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.buffer "r" at 256
    %r = schedule.buffer "r" : !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.buffer "d" at 512
    %d = schedule.buffer "d" : !tile.buffer<1 x 64 x f32>
    schedule.step "1" @fill(%e, %a) : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "2" @copy(%a, %b) : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "3" @copy(%b, %c) : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "4" @copy(%c, %r) : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "5" @copy(%c, %d) : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}
