// RUN: pianola-opt %s -assign-tiles -split-input-file | FileCheck %s

// Three workers, runs of neighbours, the greatest load as small as it can be.
module attributes {tile.machine = #tile.machine<name = "host", workers = 3, product = f32, ring = 0,
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
  // Tiles of the first section take eight times the bytes of those of the second: 2 against 5.
  tile.stage @uneven(%x: !tile.buffer<1 x 64 x f32>,
      %w: !tile.matrix<rows = 128, row_pad = 128, blocks = 1, columns = 64, column_pad = 64, element = bf16>,
      %v: !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 64, column_pad = 64, element = bf16>) {
    %a = tile.prologue {
      %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      tile.yield %0 : tensor<1x64xf32>
    } : tensor<1x64xf32>
    tile.section grid = [2] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 128, row_pad = 128, blocks = 1, columns = 64, column_pad = 64, element = bf16>, tensor<1x64xf32> -> tensor<1x128xf32>
    }
    tile.section grid = [5] {
    ^bb0(%t: index):
      %0 = tile.contract %v, %a : !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 64, column_pad = 64, element = bf16>, tensor<1x64xf32> -> tensor<1x16xf32>
    }
  }
  schedule.program @p slots = 1 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" : !tile.buffer<1 x 64 x f32>
    // One tile: the others have nothing to do.
    // CHECK: schedule.step "fill" {{.*}} tiles {{\[}}[0, 1], [], []]
    schedule.step "fill" @fill(%e, %x) : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "copy" {{.*}} tiles {{\[}}[0, 2], [2, 4], []]
    schedule.step "copy" @copy(%x, %y) : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "uneven" {{.*}} tiles {{\[}}[0, 1], [1, 2], [2, 7]]
    schedule.step "uneven" @uneven(%x) weights [@w, @v] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

// Tiles finer than heads: sections are dealt out one by one, and the tile that is left over goes to
// who carries least.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 3, product = f32, ring = 65536,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, panel = 32, chunk = 8192>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @linear(%x: !tile.buffer<1 x 64 x f32>,
      %w: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>,
      %y: !tile.buffer<1 x 64 x f32>) {
    %a = tile.prologue {
      %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      tile.yield %0 : tensor<1x64xf32>
    } : tensor<1x64xf32>
    tile.section grid = [5] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
    tile.section grid = [2] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8 + 40)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @copies(%x: !tile.buffer<1 x 64 x f32>, %y: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [2] {
    ^bb0(%t: index):
      %0 = tile.load %x columns affine_map<(t) -> (t * 16)> : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 16)> : tensor<1x16xf32>, !tile.buffer<1 x 64 x f32>
    }
    tile.section grid = [2] {
    ^bb0(%t: index):
      %0 = tile.load %x columns affine_map<(t) -> (t * 16 + 32)> : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 16 + 32)> : tensor<1x16xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  // CHECK-LABEL: schedule.program @one
  schedule.program @one slots = 1 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" : !tile.buffer<1 x 64 x f32>
    %z = schedule.buffer "z" : !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "fill" {{.*}} tiles {{\[}}[0, 1], [], []]
    schedule.step "fill" @fill(%e, %x) : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // Five tiles: 2, 2, 1. Of the next two, the first goes to worker 2, the other to worker 0.
    // CHECK: schedule.step "a" {{.*}} tiles {{\[}}[0, 2, 5, 6], [2, 4], [4, 5, 6, 7]]
    schedule.step "a" @linear(%x, %y) weights [@w] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // No weights: to who has fewest tiles of this step.
    // CHECK: schedule.step "copies" {{.*}} tiles {{\[}}[0, 1, 2, 3], [1, 2], [3, 4]]
    schedule.step "copies" @copies(%x, %z) : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // Worker 0 has carried three tiles, the others two.
    // CHECK: schedule.step "b" {{.*}} tiles {{\[}}[0, 1, 5, 6], [1, 3, 6, 7], [3, 5]]
    schedule.step "b" @linear(%z, %y) weights [@v] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
  // The same weights, the same workers, whatever stands between.
  // CHECK-LABEL: schedule.program @other
  schedule.program @other slots = 1 {
    %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" : !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "a" {{.*}} tiles {{\[}}[0, 2, 5, 6], [2, 4], [4, 5, 6, 7]]
    schedule.step "a" @linear(%x, %y) weights [@w] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "b" {{.*}} tiles {{\[}}[0, 1, 5, 6], [1, 3, 6, 7], [3, 5]]
    schedule.step "b" @linear(%y, %x) weights [@v] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}
