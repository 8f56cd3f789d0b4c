// RUN: pianola-opt %s -check-schedule -split-input-file -verify-diagnostics -o /dev/null

// Proven: every worker begins a play after the first step, and so after the last of the play before.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  // Each tile needs all of x.
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
  tile.stage @attention(%q: !tile.buffer<1 x 64 x f32>, %c: !tile.context<1 x 16 x f32>, %o: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%h: index):
      %0 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      %1 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      %2 = tile.attend %0, %c fresh %1, %1 head affine_map<(h) -> (h)> scale = 0.2 window = 0 splits = 1 : tensor<1x64xf32>, !tile.context<1 x 16 x f32> fresh tensor<1x16xf32>, tensor<1x16xf32> -> tensor<1x64xf32>
      tile.store %2, %o : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @append(%q: !tile.buffer<1 x 64 x f32>, %c: !tile.context<1 x 16 x f32>) {
    tile.section grid = [1] {
    ^bb0(%h: index):
      %0 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      tile.append %0, %c key head affine_map<(h) -> (h)> : tensor<1x16xf32>, !tile.context<1 x 16 x f32>
      tile.append %0, %c value head affine_map<(h) -> (h)> : tensor<1x16xf32>, !tile.context<1 x 16 x f32>
    }
  }
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %c = schedule.context @cache : !tile.context<1 x 16 x f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %z = schedule.buffer "z" at 512 : !tile.buffer<1 x 64 x f32>
    %l = schedule.buffer "l" at 0 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    %h = schedule.event
    %k = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "y" @whole(%x, %y) tiles [[0, 2], [2, 4]] signals %g : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "attention" @attention(%y, %c, %z) tiles [[], [0, 1]] waits %g until [2] signals %h : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "append" @append(%y, %c) tiles [[0, 1], []] waits %g until [2] : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>
    schedule.step "l" @whole(%z, %l) tiles [[0, 2], [2, 4]] waits %h until [1] signals %k : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "sample" @sample(%l) tiles [[0, 1], []] waits %k until [2] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

// Two workers could not agree on whether there is a play.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    // expected-error @+1 {{step "fill", tile 0, worker 1: a program that loops begins with a step of worker 0 alone}}
    schedule.step "fill" @fill(%e, %x) tiles [[], [0, 1]] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

// Nobody would know that a play has begun.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "fill" signals no event: in a program that loops all workers wait for its first step}}
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true, waits = 1>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  // Each tile needs all of x.
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
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %z = schedule.buffer "z" at 512 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "y" @whole(%x, %y) tiles [[0, 2], [2, 4]] signals %g : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "z" waits for 2 events; this machine's steps wait for 1 at most}}
    schedule.step "z" @whole(%y, %z) tiles [[0, 2], [2, 4]] waits %f, %g until [1, 2] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}

// -----

// A wait counts from the end of the play before: three signals there are never.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  // Each tile needs all of x.
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
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %l = schedule.buffer "l" at 512 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "y" @whole(%x, %y) tiles [[0, 2], [2, 4]] signals %g : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "sample": worker 0 waits forever, from tile 0 on: the event of step "y" is awaited until 3 and reaches 2}}
    schedule.step "sample" @sample(%y) tiles [[0, 1], []] waits %g until [3] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

// Worker 1 may still read y when worker 0 writes it for the next token.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  // Each tile needs all of x.
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
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %z = schedule.buffer "z" at 512 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    %h = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "y" (stage whole), tile 0, worker 0: writes bytes 256 to 319 of the arena (in buffer "y") and may do so before step "z" (stage whole), tile 3, worker 1 of the play before is done with buffer "y"}}
    schedule.step "y" @whole(%x, %y) tiles [[0, 4], []] signals %g : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "z" @whole(%y, %z) tiles [[], [0, 4]] waits %g until [1] signals %h : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "sample" @sample(%y) tiles [[0, 1], []] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

// Waiting for the play before, it may not.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  // Each tile needs all of x.
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
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %z = schedule.buffer "z" at 512 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    %h = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // Of h: all signals of the play before.
    schedule.step "y" @whole(%x, %y) tiles [[0, 4], []] waits %h until [0] signals %g : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "z" @whole(%y, %z) tiles [[], [0, 4]] waits %g until [1] signals %h : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "sample" @sample(%y) tiles [[0, 1], []] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

// All but one of one signal is none.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  // Each tile needs all of x.
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
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %z = schedule.buffer "z" at 512 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    %h = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "y" (stage whole), tile 0, worker 0: writes bytes 256 to 319 of the arena (in buffer "y") and may do so before step "z" (stage whole), tile 3, worker 1 of the play before is done with buffer "y"}}
    schedule.step "y" @whole(%x, %y) tiles [[0, 4], []] waits %h until [-1] signals %g : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "z" @whole(%y, %z) tiles [[], [0, 4]] waits %g until [1] signals %h : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "sample" @sample(%y) tiles [[0, 1], []] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

// Nobody waits for the append: the next play may attend to a position that is not there yet.
// That of the play itself is fresh.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @attention(%q: !tile.buffer<1 x 64 x f32>, %c: !tile.context<1 x 16 x f32>, %o: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%h: index):
      %0 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      %1 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      %2 = tile.attend %0, %c fresh %1, %1 head affine_map<(h) -> (h)> scale = 0.2 window = 0 splits = 1 : tensor<1x64xf32>, !tile.context<1 x 16 x f32> fresh tensor<1x16xf32>, tensor<1x16xf32> -> tensor<1x64xf32>
      tile.store %2, %o : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @append(%q: !tile.buffer<1 x 64 x f32>, %c: !tile.context<1 x 16 x f32>) {
    tile.section grid = [1] {
    ^bb0(%h: index):
      %0 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      tile.append %0, %c key head affine_map<(h) -> (h)> : tensor<1x16xf32>, !tile.context<1 x 16 x f32>
      tile.append %0, %c value head affine_map<(h) -> (h)> : tensor<1x16xf32>, !tile.context<1 x 16 x f32>
    }
  }
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %c = schedule.context @cache : !tile.context<1 x 16 x f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    %h = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "attention" (stage attention), tile 0, worker 0: reads the context, of which step "append" (stage append), tile 0, worker 1, writes bytes 0 to 63 of the context in the play before, and may do so before they are written}}
    schedule.step "attention" @attention(%x, %c, %y) tiles [[0, 1], []] signals %g : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "append" @append(%x, %c) tiles [[], [0, 1]] signals %h : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>
    schedule.step "sample" @sample(%y) tiles [[0, 1], []] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @attention(%q: !tile.buffer<1 x 64 x f32>, %c: !tile.context<1 x 16 x f32>, %o: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%h: index):
      %0 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      %1 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      %2 = tile.attend %0, %c fresh %1, %1 head affine_map<(h) -> (h)> scale = 0.2 window = 0 splits = 1 : tensor<1x64xf32>, !tile.context<1 x 16 x f32> fresh tensor<1x16xf32>, tensor<1x16xf32> -> tensor<1x64xf32>
      tile.store %2, %o : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @append(%q: !tile.buffer<1 x 64 x f32>, %c: !tile.context<1 x 16 x f32>) {
    tile.section grid = [1] {
    ^bb0(%h: index):
      %0 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      tile.append %0, %c key head affine_map<(h) -> (h)> : tensor<1x16xf32>, !tile.context<1 x 16 x f32>
      tile.append %0, %c value head affine_map<(h) -> (h)> : tensor<1x16xf32>, !tile.context<1 x 16 x f32>
    }
  }
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %c = schedule.context @cache : !tile.context<1 x 16 x f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    %h = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] waits %h until [0] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // The same, but the play begins when the append of the one before is done.
    schedule.step "attention" @attention(%x, %c, %y) tiles [[0, 1], []] signals %g : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "append" @append(%x, %c) tiles [[], [0, 1]] signals %h : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>
    schedule.step "sample" @sample(%y) tiles [[0, 1], []] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @attention(%q: !tile.buffer<1 x 64 x f32>, %c: !tile.context<1 x 16 x f32>, %o: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%h: index):
      %0 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      %1 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      %2 = tile.attend %0, %c fresh %1, %1 head affine_map<(h) -> (h)> scale = 0.2 window = 0 splits = 1 : tensor<1x64xf32>, !tile.context<1 x 16 x f32> fresh tensor<1x16xf32>, tensor<1x16xf32> -> tensor<1x64xf32>
      tile.store %2, %o : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @keys(%q: !tile.buffer<1 x 64 x f32>, %c: !tile.context<1 x 16 x f32>) {
    tile.section grid = [1] {
    ^bb0(%h: index):
      %0 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
      tile.append %0, %c key head affine_map<(h) -> (h)> : tensor<1x16xf32>, !tile.context<1 x 16 x f32>
    }
  }
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %c = schedule.context @cache : !tile.context<1 x 16 x f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    %h = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "attention" (stage attention), tile 0, worker 0: reads the context in columns 16 to 31 (bytes of every position), of which no play writes all}}
    schedule.step "attention" @attention(%x, %c, %y) tiles [[0, 1], []] signals %g : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "keys" @keys(%x, %c) tiles [[], [0, 1]] signals %h : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>
    schedule.step "sample" @sample(%y) tiles [[0, 1], []] waits %h until [1] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

// The token is chosen by another worker than the one that gathers it.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    %h = schedule.event
    // expected-error @+1 {{step "fill" (stage fill), tile 0, worker 0: reads the tokens, of which step "sample" (stage sample), tile 0, worker 1, writes bytes 0 to 3 of the tokens in the play before, and may do so before they are written}}
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "sample" @sample(%x) tiles [[], [0, 1]] signals %h : !tile.buffer<1 x 64 x f32>
  }
}

// -----

// A worker chooses the next token while another may not yet have gathered this one.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "other" @fill(%e, %y) tiles [[], [0, 1]] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "sample" (stage sample), tile 0, worker 1: writes bytes 0 to 3 of the tokens and may do so before step "fill" (stage fill), tile 0, worker 0 has read them}}
    schedule.step "sample" @sample(%y) tiles [[], [0, 1]] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

// Worker 0 may be a play ahead: its two signals are no sign that worker 1 is done.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 3, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  // Each tile needs all of x.
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
  tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 2048 loops {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<1 x 64 x f32>
    %y = schedule.buffer "y" at 256 : !tile.buffer<1 x 64 x f32>
    %z = schedule.buffer "z" at 512 : !tile.buffer<1 x 64 x f32>
    %f = schedule.event
    %g = schedule.event
    %h = schedule.event
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], [], []] signals %f : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "y" @whole(%x, %y) tiles [[0, 2], [2, 4], []] signals %g : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "z" (stage whole), prologue, worker 2: reads bytes 384 to 447 of the arena (in buffer "y") and may do so before they are written by step "y" (stage whole), tile 2, worker 1}}
    schedule.step "z" @whole(%y, %z) tiles [[], [], [0, 4]] waits %g until [2] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "sample" @sample(%x) tiles [[0, 1], [], []] : !tile.buffer<1 x 64 x f32>
  }
}
