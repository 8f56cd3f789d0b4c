// RUN: pianola-opt %s -check-schedule -split-input-file -verify-diagnostics -o /dev/null

// Proven: nothing to say.
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
  schedule.program @p slots = 1 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %z = schedule.buffer "z" at 0 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "y" @whole(%x, %y) tiles [[0, 2], [2, 4]] waits %f until [1] signals %g : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "z" @whole(%y, %z) tiles [[0, 3], [3, 4]] waits %g until [2] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

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
  schedule.program @p slots = 1 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "y" (stage whole), prologue, worker 1: reads bytes 0 to 255 of the arena (in buffer "x") and may do so before they are written by step "fill" (stage fill), tile 0, worker 0}}
    schedule.step "y" @whole(%x, %y) tiles [[0, 2], [2, 4]] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

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
  schedule.program @p slots = 1 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %z = schedule.buffer "z" at 512 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "y" @copy(%x, %y) tiles [[0, 2], [2, 4]] waits %f until [1] signals %g : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // One of two signals does not say whose.
    // expected-error @+1 {{step "z" (stage copy), tile 2, worker 0: reads bytes 384 to 447 of the arena (in buffer "y") and may do so before they are written by step "y" (stage copy), tile 2, worker 1}}
    schedule.step "z" @copy(%y, %z) tiles [[2, 3, 0, 2], [3, 4]] waits %g until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

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
  schedule.program @p slots = 1 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "y": worker 0 waits forever, from tile 0 on: the event of step "fill" is awaited until 2 and reaches 1}}
    schedule.step "y" @copy(%x, %y) tiles [[0, 4], []] waits %f until [2] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

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
  schedule.program @p slots = 1 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 64 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "y" (stage whole), tile 0, worker 0: writes bytes 64 to 127 of the arena (in buffer "y"), which it shares with buffer "x", and may do so before step "y" (stage whole), tile 1, worker 0 is done with that}}
    schedule.step "y" @whole(%x, %y) tiles [[0, 2], [2, 4]] waits %f until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

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
  schedule.program @p slots = 1 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{buffer "y" at bytes 896 to 1151 does not start on a cache line inside of the arena of 1024 bytes}}
    %y = schedule.buffer "y" at 896 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "y" @copy(%x, %y) tiles [[0, 4], []] waits %f until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

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
  schedule.program @p slots = 1 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{buffer "y" has no place in the arena}}
    %y = schedule.buffer "y" : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "y" @copy(%x, %y) tiles [[0, 4], []] waits %f until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

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
  schedule.program @p slots = 1 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    // expected-error @+1 {{step "y" (stage copy), tile 0, worker 0: reads bytes 0 to 3 of the arena (in buffer "x"), which nothing writes}}
    schedule.step "y" @copy(%x, %y) tiles [[0, 4], []] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

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
  schedule.program @p slots = 1 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "again" (stage fill), tile 0, worker 0: writes bytes 0 to 255 of the arena of buffer "x", which step "fill" (stage fill), tile 0, worker 0 writes too}}
    schedule.step "again" @fill(%e, %x) tiles [[0, 1], []] waits %f until [1] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

module attributes {tile.machine = #tile.machine<name = "host", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200>} {
  tile.stage @copy(%x: !tile.buffer<1 x 64 x f32>, %y: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.load %x columns affine_map<(t) -> (t * 16)> : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      tile.store %0, %y columns affine_map<(t) -> (t * 16 + 16)> : tensor<1x16xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "y" (stage copy), tile 3, worker 1: writes bytes 512 to 575 of the arena, beyond the 256 bytes of buffer "y" at 256}}
    schedule.step "y" @copy(%x, %y) tiles [[0, 2], [2, 4]] waits %f until [1] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

module attributes {tile.machine = #tile.machine<name = "host", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200>} {
  tile.stage @s(%x: !tile.buffer<1 x 64 x f32>, %w: !tile.vector<blocks = 1, size = 16, pad = 16, per_tile = true>) {
    tile.section grid = [4] {
    ^bb0(%t: index):
      %0 = tile.load %x columns affine_map<(t) -> (t * 16)> : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      %1 = tile.bias %0, %w : tensor<1x16xf32>, !tile.vector<blocks = 1, size = 16, pad = 16, per_tile = true>
    }
  }
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "s" @s(%x) weights [@w] tiles [[0, 2], [2, 4]] waits %f until [1] : !tile.buffer<1 x 64 x f32>
  }
  schedule.program @q slots = 1 arena = 1024 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "s" (stage s), tile 2 of its section, worker 0: takes @w from bytes 128 to 191 of the tape, where program @p has something else}}
    schedule.step "s" @s(%x) weights [@w] tiles [[0, 3], [3, 4]] waits %f until [1] : !tile.buffer<1 x 64 x f32>
  }
}
