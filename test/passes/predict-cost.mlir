// RUN: pianola-opt %s -predict-cost -split-input-file | FileCheck %s

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

// -----

// A ring of two slots of 2048 bytes (24 KiB and the prologue's 256 bytes are scratch memory). The loader
// gets 1 byte a ns, the consumer takes 4 and reads 2.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 1, product = f32, ring = 13568,
    scratch = 65536, bandwidth = 1000, peak = 1000, event = 100, step = 10, rows = 8, panel = 32, chunk = 2048,
    consume = 4000, cache = 2000, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @linear(%x: !tile.buffer<1 x 64 x f32>, %w: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, %y: !tile.buffer<1 x 64 x f32>) {
    %a = tile.prologue {
      %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      tile.yield %0 : tensor<1x64xf32>
    } : tensor<1x64xf32>
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  // CHECK-LABEL: schedule.program @once
  schedule.program @once slots = 1 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" : !tile.buffer<1 x 64 x f32>
    // 10 ns and 256 bytes of the table.
    // CHECK: schedule.step "fill" {{.*}} cost<tape = 0, memory = 256, flops = 0, ns = 138>
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1]] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // Slots are full at 2048, 4096, 6144 and 8192 ns; the last is consumed 512 ns later, 8566 ns after
    // "fill".
    // CHECK: schedule.step "linear" {{.*}} cost<tape = 8192, memory = 384, flops = 16384, ns = 8566, floor = 8192>
    schedule.step "linear" @linear(%x, %y) weights [@w] tiles [[0, 4]] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
  // The loader goes on from play to play: the second one's slots are full at 10240 to 16384, and it lasts
  // as long as its tape takes.
  // CHECK-LABEL: schedule.program @again
  schedule.program @again slots = 1 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    // CHECK: schedule.step "fill" {{.*}} ns = 138
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1]] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "linear" {{.*}} ns = 7944
    schedule.step "linear" @linear(%x, %y) weights [@w] tiles [[0, 4]] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // 50 logits.
    // CHECK: schedule.step "sample" {{.*}} ns = 110
    schedule.step "sample" @sample(%y) tiles [[0, 1]] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

// The same with a slow cache: 256 bytes take 12800 ns, and both slots have long been full when the
// consumer takes the first one.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 1, product = f32, ring = 13568,
    scratch = 65536, bandwidth = 1000, peak = 1000, event = 100, step = 10, rows = 8, panel = 32, chunk = 2048,
    consume = 4000, cache = 20, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @linear(%x: !tile.buffer<1 x 64 x f32>, %w: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, %y: !tile.buffer<1 x 64 x f32>) {
    %a = tile.prologue {
      %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      tile.yield %0 : tensor<1x64xf32>
    } : tensor<1x64xf32>
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  // CHECK-LABEL: schedule.program @stopped
  schedule.program @stopped slots = 1 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" : !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "fill" {{.*}} cost<tape = 0, memory = 256, flops = 0, ns = 12810>
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1]] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // It begins at 25620, and gives the first slot back at 26132; what comes there then is full at 28180,
    // and the last slot at 30228.
    // CHECK: schedule.step "linear" {{.*}} ns = 17930, floor = 8192>
    schedule.step "linear" @linear(%x, %y) weights [@w] tiles [[0, 4]] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

// The consumer takes the first two slots before it waits for anything, at 12810 to 13834, where they have long been
// full. When it has read what its prologue loads, at 26644, so are the other two: 8 ns of products of what it took
// early are left, and twice 512.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 1, product = f32, ring = 13568,
    scratch = 65536, bandwidth = 1000, peak = 1000, event = 100, step = 10, rows = 8, panel = 32, chunk = 2048,
    consume = 4000, cache = 20, loops = true, early = 4096>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @linear(%x: !tile.buffer<1 x 64 x f32>, %w: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, %y: !tile.buffer<1 x 64 x f32>) {
    %a = tile.prologue {
      %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      tile.yield %0 : tensor<1x64xf32>
    } : tensor<1x64xf32>
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  // CHECK-LABEL: schedule.program @early
  schedule.program @early slots = 1 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" : !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "fill" {{.*}} cost<tape = 0, memory = 256, flops = 0, ns = 12810>
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1]] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "linear" {{.*}} ns = 14866, floor = 8192, waiting = 1024>
    schedule.step "linear" @linear(%x, %y) weights [@w] tiles [[0, 4]] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}
