// RUN: pianola-opt %s -assign-tiles | FileCheck %s

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
