// RUN: pianola-opt %s -place-events -check-schedule -split-input-file | FileCheck %s

// What worker 0 needs of worker 1 in the next play is known from the play's beginning, but for the step "z":
// nobody waits for it, and the next play overwrites what it reads.
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
    %l = schedule.buffer "l" at 768 : !tile.buffer<1 x 64 x f32>
    // CHECK: %[[FILLED:.*]] = schedule.event
    // CHECK: schedule.step "fill" {{.*}} tiles {{\[}}[0, 1], []] signals %[[FILLED]] :
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // No worker needs to wait for "fill": it has begun the play by that. Worker 0 waits for "z" of the play
    // before, which is all that worker 1 must have done.
    // CHECK: schedule.step "y" {{.*}} waits %[[Z:.*]] until [0] signals %[[Y:.*]] :
    schedule.step "y" @whole(%x, %y) tiles [[0, 4], []] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "z" {{.*}} waits %[[Y]] until [1] signals %[[Z]] :
    schedule.step "z" @whole(%y, %z) tiles [[], [0, 4]] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "sample" @sample(%{{.*}}) tiles {{\[}}[0, 1], []] :
    schedule.step "sample" @sample(%y) tiles [[0, 1], []] : !tile.buffer<1 x 64 x f32>
  }
}

// -----

// The next play attends to what this one appends.
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
    // "append" is also the last to read "x": the play's first step waits for it, and so all others do.
    // CHECK: schedule.step "fill" {{.*}} waits %[[APPENDED:.*]] until [0] signals
    schedule.step "fill" @fill(%e, %x) tiles [[0, 1], []] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "attention" @attention(%{{.*}}) tiles {{\[}}[0, 1], []] :
    schedule.step "attention" @attention(%x, %c, %y) tiles [[0, 1], []] : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>, !tile.buffer<1 x 64 x f32>
    // CHECK: schedule.step "append" {{.*}} tiles {{\[}}[], [0, 1]] signals %[[APPENDED]] :
    schedule.step "append" @append(%x, %c) tiles [[], [0, 1]] : !tile.buffer<1 x 64 x f32>, !tile.context<1 x 16 x f32>
    // CHECK: schedule.step "sample" @sample(%{{.*}}) tiles {{\[}}[0, 1], []] :
    schedule.step "sample" @sample(%y) tiles [[0, 1], []] : !tile.buffer<1 x 64 x f32>
  }
}
