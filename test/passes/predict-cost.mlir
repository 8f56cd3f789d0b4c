// RUN: pianola-opt %s -predict-cost | FileCheck %s

// Two workers share 20 GB/s (10 bytes a ns each) and 100 GFLOP/s (50 a ns each); a step costs 200 ns, a
// wait 300.
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
  tile.stage @linear(%x: !tile.buffer<1 x 64 x f32>, %n: !tile.vector<blocks = 1, size = 64, pad = 64, per_tile = false>,
      %w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 64, column_pad = 64, element = bf16>, %y: !tile.buffer<1 x 128 x f32>) {
    %a = tile.prologue {
      %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      %1 = tile.normalise %0, %n groups = 1 size = 64 eps = 1.0 : tensor<1x64xf32>, !tile.vector<blocks = 1, size = 64, pad = 64, per_tile = false> -> tensor<1x64xf32>
      tile.yield %1 : tensor<1x64xf32>
    } : tensor<1x64xf32>
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 64, column_pad = 64, element = bf16>, tensor<1x64xf32> -> tensor<1x32xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 32)> : tensor<1x32xf32>, !tile.buffer<1 x 128 x f32>
    }
  }
  schedule.program @p slots = 1 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" : !tile.buffer<1 x 128 x f32>
    %filled = schedule.event
    // CHECK: schedule.step "fill" {{.*}} cost<tape = 0, memory = 256, flops = 0, ns = 200>
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %filled : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // A worker with three tiles of 4096 bytes and 256 of the norm: 12544 bytes in 1254 ns, and 12288 flops in
    // 245 ns. In all: 4 tiles, 2 norms.
    // CHECK: schedule.step "linear" {{.*}} cost<tape = 16896, memory = 1024, flops = 16384, ns = 1754>
    schedule.step "linear" @linear(%x, %y) weights [@n, @w] tiles [[0, 3], [3, 4]] waits %filled until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 128 x f32>
  }
}
