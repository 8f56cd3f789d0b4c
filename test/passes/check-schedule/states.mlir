// What a tile of a head leaves, the next one of the same worker finds, and no other worker's; a history
// keeps what taps look at.
// RUN: pianola-opt %s -check-schedule -split-input-file -verify-diagnostics -o /dev/null

// Proven.
module attributes {tile.machine = #tile.machine<name = "host", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, %x: !tile.buffer<4 x 32 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32> -> tensor<4x32xf32>
      tile.store %0, %x : tensor<4x32xf32>, !tile.buffer<4 x 32 x f32>
    }
  }
  tile.stage @rule(%x: !tile.buffer<4 x 32 x f32>, %m: !tile.state<1 x 16 x 16>, %r: !tile.vector<blocks = 1, size = 1, pad = 32, per_tile = false>, %y: !tile.buffer<4 x 32 x f32>) {
    tile.section grid = [1, 2] run = 2 {
    ^bb0(%h: index, %b: index):
      %0 = tile.load %x slots affine_map<(h, b) -> (b * 2)> : !tile.buffer<4 x 32 x f32> -> tensor<2x16xf32>
      %1 = tile.load %x slots affine_map<(h, b) -> (b * 2)> : !tile.buffer<4 x 32 x f32> -> tensor<2x32xf32>
      %2 = tile.delta %0, %0, %0 gates %1, %r, %r in %m head affine_map<(h, b) -> (h)> slots affine_map<(h, b) -> (b * 2)> scale = 1.0 : tensor<2x16xf32>, tensor<2x16xf32>, tensor<2x32xf32>, !tile.vector<blocks = 1, size = 1, pad = 32, per_tile = false>, !tile.state<1 x 16 x 16>
      tile.store %2, %y slots affine_map<(h, b) -> (b * 2)> : tensor<2x16xf32>, !tile.buffer<4 x 32 x f32>
    }
  }
  schedule.program @p slots = 4 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<4 x 32 x f32>
    %m = schedule.state @state : !tile.state<1 x 16 x 16>
    %y = schedule.buffer "y" at 512 : !tile.buffer<4 x 32 x f32>
    %f = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, !tile.buffer<4 x 32 x f32>
    schedule.step "rule" @rule(%x, %m, %y) weights [@a] tiles [[0, 2], []] waits %f until [1] : !tile.buffer<4 x 32 x f32>, !tile.state<1 x 16 x 16>, !tile.buffer<4 x 32 x f32>
  }
}

// -----

module attributes {tile.machine = #tile.machine<name = "host", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, %x: !tile.buffer<4 x 32 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32> -> tensor<4x32xf32>
      tile.store %0, %x : tensor<4x32xf32>, !tile.buffer<4 x 32 x f32>
    }
  }
  tile.stage @rule(%x: !tile.buffer<4 x 32 x f32>, %m: !tile.state<1 x 16 x 16>, %r: !tile.vector<blocks = 1, size = 1, pad = 32, per_tile = false>, %y: !tile.buffer<4 x 32 x f32>) {
    tile.section grid = [1, 2] run = 2 {
    ^bb0(%h: index, %b: index):
      %0 = tile.load %x slots affine_map<(h, b) -> (b * 2)> : !tile.buffer<4 x 32 x f32> -> tensor<2x16xf32>
      %1 = tile.load %x slots affine_map<(h, b) -> (b * 2)> : !tile.buffer<4 x 32 x f32> -> tensor<2x32xf32>
      %2 = tile.delta %0, %0, %0 gates %1, %r, %r in %m head affine_map<(h, b) -> (h)> slots affine_map<(h, b) -> (b * 2)> scale = 1.0 : tensor<2x16xf32>, tensor<2x16xf32>, tensor<2x32xf32>, !tile.vector<blocks = 1, size = 1, pad = 32, per_tile = false>, !tile.state<1 x 16 x 16>
      tile.store %2, %y slots affine_map<(h, b) -> (b * 2)> : tensor<2x16xf32>, !tile.buffer<4 x 32 x f32>
    }
  }
  schedule.program @p slots = 4 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<4 x 32 x f32>
    %m = schedule.state @state : !tile.state<1 x 16 x 16>
    %y = schedule.buffer "y" at 512 : !tile.buffer<4 x 32 x f32>
    %f = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, !tile.buffer<4 x 32 x f32>
    // expected-error @+1 {{tile 1, worker 1: reads bytes 0 to 127 of the state (in the state) and may do so before they are written by step "rule" (stage rule), tile 0, worker 0}}
    schedule.step "rule" @rule(%x, %m, %y) weights [@a] tiles [[0, 1], [1, 2]] waits %f until [1] : !tile.buffer<4 x 32 x f32>, !tile.state<1 x 16 x 16>, !tile.buffer<4 x 32 x f32>
  }
}

// -----

module attributes {tile.machine = #tile.machine<name = "host", workers = 1, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, %h: !tile.state<1 x 5 x 32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32> -> tensor<4x32xf32>
      tile.record %0, %h columns affine_map<(t) -> (t * 32)> : tensor<4x32xf32>, !tile.state<1 x 5 x 32>
    }
  }
  tile.stage @convolve(%h: !tile.state<1 x 5 x 32>, %w: !tile.vector<blocks = 3, size = 32, pad = 32, per_tile = false, constant = true>, %y: !tile.buffer<4 x 32 x f32>) {
    tile.section grid = [2] {
    ^bb0(%t: index):
      %0 = tile.convolve %h, %w taps = 3 slots affine_map<(t) -> (t * 2)> columns affine_map<(t) -> (0)> : !tile.state<1 x 5 x 32>, !tile.vector<blocks = 3, size = 32, pad = 32, per_tile = false, constant = true> -> tensor<2x32xf32>
      tile.store %0, %y slots affine_map<(t) -> (t * 2)> : tensor<2x32xf32>, !tile.buffer<4 x 32 x f32>
    }
  }
  schedule.program @p slots = 4 arena = 512 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>
    %h = schedule.state @history : !tile.state<1 x 5 x 32>
    %y = schedule.buffer "y" at 0 : !tile.buffer<4 x 32 x f32>
    schedule.step "fill" @fill(%e, %h) tiles [[0, 1]] : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, !tile.state<1 x 5 x 32>
    // expected-error @+1 {{step "y": 3 taps and the play's 4 slots need 6 rows of a history, found 5}}
    schedule.step "y" @convolve(%h, %y) weights [@w] tiles [[0, 2]] : !tile.state<1 x 5 x 32>, !tile.buffer<4 x 32 x f32>
  }
}

// -----

// In a program that loops a tap of a play looks where the next play records, which must wait for it.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, %h: !tile.state<1 x 3 x 32>, %x: !tile.buffer<1 x 32 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32> -> tensor<1x32xf32>
      tile.record %0, %h columns affine_map<(t) -> (t * 32)> : tensor<1x32xf32>, !tile.state<1 x 3 x 32>
      tile.store %0, %x : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
    }
  }
  tile.stage @convolve(%h: !tile.state<1 x 3 x 32>, %w: !tile.vector<blocks = 3, size = 32, pad = 32, per_tile = false, constant = true>, %y: !tile.buffer<1 x 32 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.convolve %h, %w taps = 3 columns affine_map<(t) -> (0)> : !tile.state<1 x 3 x 32>, !tile.vector<blocks = 3, size = 32, pad = 32, per_tile = false, constant = true> -> tensor<1x32xf32>
      tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
    }
  }
  tile.stage @sample(%l: !tile.buffer<1 x 32 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 30 : !tile.buffer<1 x 32 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 512 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>
    %h = schedule.state @history : !tile.state<1 x 3 x 32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 32 x f32>
    %y = schedule.buffer "y" at 128 : !tile.buffer<1 x 32 x f32>
    %f = schedule.event
    // expected-error @+1 {{writes bytes 0 to 127 of the state in the next play, and may do so before step "y" (stage convolve), tile 0, worker 1 has read them}}
    schedule.step "fill" @fill(%e, %h, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, !tile.state<1 x 3 x 32>, !tile.buffer<1 x 32 x f32>
    schedule.step "y" @convolve(%h, %y) weights [@w] tiles [[], [0, 1]] waits %f until [1] : !tile.state<1 x 3 x 32>, !tile.buffer<1 x 32 x f32>
    schedule.step "sample" @sample(%x) tiles [[0, 1], []] : !tile.buffer<1 x 32 x f32>
  }
}
