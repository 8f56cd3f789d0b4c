// RUN: pianola-opt %s -check-schedule -split-input-file -verify-diagnostics -o /dev/null

// A machine that reads early does so before it waits for the step's events.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true, early = 64>} {
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
    // The same where contexts are read early: what the step before has awaited counts.
    schedule.step "attention" @attention(%x, %c, %y) tiles [[0, 1], []] signals %g : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "append" @append(%x, %c) tiles [[], [0, 1]] signals %h : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>
    schedule.step "sample" @sample(%y) tiles [[0, 1], []] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

module attributes {tile.machine = #tile.machine<name = "gpu", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, rows = 8, loops = true, early = 64>} {
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
    // But not what the step awaits itself.
    // expected-error @+1 {{step "attention" (stage attention), tile 0, worker 0: reads the context, of which step "append" (stage append), tile 0, worker 1, writes bytes 0 to 63 of the context in the play before, and may do so before they are written}}
    schedule.step "attention" @attention(%x, %c, %y) tiles [[0, 1], []] waits %h until [0] signals %g : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "append" @append(%x, %c) tiles [[], [0, 1]] signals %h : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>
    schedule.step "sample" @sample(%y) tiles [[0, 1], []] : !tile.buffer<1 x 64 x f32>
  }
}
