// RUN: pianola-opt %s -check-schedule -split-input-file -verify-diagnostics -o /dev/null

// Proven: one run of each section, a panel never across two slots.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 65536,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, panel = 32, chunk = 8192>} {
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
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8 + 32)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 512 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "y" @linear(%x, %y) weights [@w] tiles [[0, 2, 4, 6], [2, 4, 6, 8]] waits %f until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

// The run of the second section stands on the tape before that of the first.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 65536,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, panel = 32, chunk = 8192>} {
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
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8 + 32)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 512 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "y" (stage linear), tile 0, worker 0: comes after tile 5 on the tape; a step plays one run of neighbours of each section, in their order}}
    schedule.step "y" @linear(%x, %y) weights [@w] tiles [[4, 6, 0, 2], [2, 4, 6, 8]] waits %f until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

// A card has room for one run of a section.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 65536,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, panel = 32, chunk = 8192>} {
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
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8 + 32)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 512 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "y" (stage linear), tile 2, worker 0: comes after tile 0 on the tape; a step plays one run of neighbours of each section, in their order}}
    schedule.step "y" @linear(%x, %y) weights [@w] tiles [[0, 1, 2, 3, 4, 6], [1, 2, 3, 4, 6, 8]] waits %f until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

// Two tiles in the wrong order.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 65536,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, panel = 32, chunk = 8192>} {
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
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8 + 32)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 512 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "y" (stage linear), tile 0, worker 0: comes after tile 1 on the tape; a step plays one run of neighbours of each section, in their order}}
    schedule.step "y" @linear(%x, %y) weights [@w] tiles [[1, 2, 0, 1, 4, 6], [2, 4, 6, 8]] waits %f until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

// Slots of one and a half panels.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 65536,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, panel = 32, chunk = 768>} {
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
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8 + 32)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 512 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "y" (stage linear), tile 0 of its section, worker 0: takes @w from bytes 0 to 2047 of the tape, where a panel of 512 bytes lies across two slots of 768 bytes}}
    schedule.step "y" @linear(%x, %y) weights [@w] tiles [[0, 2, 4, 6], [2, 4, 6, 8]] waits %f until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

// All slots of the ring would have to hold the vector until the step is over.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 65536,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, panel = 32, chunk = 8192>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @linear(%x: !tile.buffer<1 x 64 x f32>, %n: !tile.vector<blocks = 1, size = 64, pad = 64, per_tile = false>, %w: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, %y: !tile.buffer<1 x 64 x f32>) {
    %a = tile.prologue {
      %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      %1 = tile.normalise %0, %n groups = 1 size = 64 eps = 1.0 : tensor<1x64xf32>, !tile.vector<blocks = 1, size = 64, pad = 64, per_tile = false> -> tensor<1x64xf32>
      tile.yield %1 : tensor<1x64xf32>
    } : tensor<1x64xf32>
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8 + 32)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 512 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "y" (stage linear), tile -1 of its section, worker 0: takes @n from bytes 0 to 255 of the tape, where only panels of matrices may stand: a worker needs it for longer than a slot of the ring is its own}}
    schedule.step "y" @linear(%x, %y) weights [@n, @w] tiles [[0, 2, 4, 6], [2, 4, 6, 8]] waits %f until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

// 24 KiB and the prologue's 256 bytes are scratch memory.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 9216,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, panel = 32, chunk = 8192>} {
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
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.contract %w, %a : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 64, column_pad = 64, element = bf16, panel = 32>, tensor<1x64xf32> -> tensor<1x8xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 8 + 32)> : tensor<1x8xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  // expected-error @+1 {{program @p leaves 0 bytes for a ring, which has slots of 8192 bytes}}
  schedule.program @p slots = 1 arena = 512 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "y" @linear(%x, %y) weights [@w] tiles [[0, 2, 4, 6], [2, 4, 6, 8]] waits %f until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}
