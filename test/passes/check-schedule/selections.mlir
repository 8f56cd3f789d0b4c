// Who chooses reads the scores of all parts, and attention what every slot has chosen.
// RUN: pianola-opt %s -check-schedule -split-input-file -verify-diagnostics -o /dev/null

// Proven.
module attributes {tile.machine = #tile.machine<name = "host", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, %x: !tile.buffer<2 x 32 x f32>, %c: !tile.context<1 x 32 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32> -> tensor<2x32xf32>
      tile.store %0, %x : tensor<2x32xf32>, !tile.buffer<2 x 32 x f32>
      tile.append %0, %c key head affine_map<(t) -> (t)> : tensor<2x32xf32>, !tile.context<1 x 32 x f32>
    }
  }
  tile.stage @score(%x: !tile.buffer<2 x 32 x f32>, %c: !tile.context<1 x 32 x f32>, %s: !tile.buffer<2 x 128 x f32>) {
    tile.section grid = [2] {
    ^bb0(%t: index):
      %0 = tile.load %x : !tile.buffer<2 x 32 x f32> -> tensor<2x32xf32>
      tile.score %0, %0, %c to %s heads = 1 scale = 1.0 part affine_map<(t) -> (t)> parts = 2 : tensor<2x32xf32>, tensor<2x32xf32>, !tile.context<1 x 32 x f32> to !tile.buffer<2 x 128 x f32>
    }
  }
  tile.stage @choose(%s: !tile.buffer<2 x 128 x f32>, %b: !tile.buffer<2 x 16 x i32>) {
    tile.section grid = [2] {
    ^bb0(%t: index):
      tile.choose %s to %b top = 8 slots affine_map<(t) -> (t)> parts = 2 : !tile.buffer<2 x 128 x f32> to !tile.buffer<2 x 16 x i32>
    }
  }
  schedule.program @p slots = 2 arena = 2048 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>
    %c = schedule.context @index : !tile.context<1 x 32 x f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<2 x 32 x f32>
    %s = schedule.buffer "s" at 256 : !tile.buffer<2 x 128 x f32>
    %b = schedule.buffer "b" at 1280 : !tile.buffer<2 x 16 x i32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x, %c) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, !tile.buffer<2 x 32 x f32>, !tile.context<1 x 32 x f32>
    schedule.step "score" @score(%x, %c, %s) tiles [[0, 1], [1, 2]] waits %f until [1] signals %g : !tile.buffer<2 x 32 x f32>, !tile.context<1 x 32 x f32>, !tile.buffer<2 x 128 x f32>
    schedule.step "choose" @choose(%s, %b) tiles [[0, 1], [1, 2]] waits %g until [2] : !tile.buffer<2 x 128 x f32>, !tile.buffer<2 x 16 x i32>
  }
}

// -----

module attributes {tile.machine = #tile.machine<name = "host", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, %x: !tile.buffer<2 x 32 x f32>, %c: !tile.context<1 x 32 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32> -> tensor<2x32xf32>
      tile.store %0, %x : tensor<2x32xf32>, !tile.buffer<2 x 32 x f32>
      tile.append %0, %c key head affine_map<(t) -> (t)> : tensor<2x32xf32>, !tile.context<1 x 32 x f32>
    }
  }
  tile.stage @score(%x: !tile.buffer<2 x 32 x f32>, %c: !tile.context<1 x 32 x f32>, %s: !tile.buffer<2 x 128 x f32>) {
    tile.section grid = [2] {
    ^bb0(%t: index):
      %0 = tile.load %x : !tile.buffer<2 x 32 x f32> -> tensor<2x32xf32>
      tile.score %0, %0, %c to %s heads = 1 scale = 1.0 part affine_map<(t) -> (t)> parts = 2 : tensor<2x32xf32>, tensor<2x32xf32>, !tile.context<1 x 32 x f32> to !tile.buffer<2 x 128 x f32>
    }
  }
  tile.stage @choose(%s: !tile.buffer<2 x 128 x f32>, %b: !tile.buffer<2 x 16 x i32>) {
    tile.section grid = [2] {
    ^bb0(%t: index):
      tile.choose %s to %b top = 8 slots affine_map<(t) -> (t)> parts = 2 : !tile.buffer<2 x 128 x f32> to !tile.buffer<2 x 16 x i32>
    }
  }
  schedule.program @p slots = 2 arena = 2048 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>
    %c = schedule.context @index : !tile.context<1 x 32 x f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<2 x 32 x f32>
    %s = schedule.buffer "s" at 256 : !tile.buffer<2 x 128 x f32>
    %b = schedule.buffer "b" at 1280 : !tile.buffer<2 x 16 x i32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x, %c) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, !tile.buffer<2 x 32 x f32>, !tile.context<1 x 32 x f32>
    schedule.step "score" @score(%x, %c, %s) tiles [[0, 1], [1, 2]] waits %f until [1] signals %g : !tile.buffer<2 x 32 x f32>, !tile.context<1 x 32 x f32>, !tile.buffer<2 x 128 x f32>
    // expected-error @+1 {{tile 0, worker 0: reads bytes 512 to 1279 of the arena (in buffer "s") and may do so before they are written by step "score" (stage score), tile 1, worker 1}}
    schedule.step "choose" @choose(%s, %b) tiles [[0, 1], [1, 2]] : !tile.buffer<2 x 128 x f32>, !tile.buffer<2 x 16 x i32>
  }
}

// -----

module attributes {tile.machine = #tile.machine<name = "host", workers = 2, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, %x: !tile.buffer<2 x 32 x f32>, %c: !tile.context<1 x 32 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32> -> tensor<2x32xf32>
      tile.store %0, %x : tensor<2x32xf32>, !tile.buffer<2 x 32 x f32>
      tile.append %0, %c key head affine_map<(t) -> (t)> : tensor<2x32xf32>, !tile.context<1 x 32 x f32>
    }
  }
  tile.stage @score(%x: !tile.buffer<2 x 32 x f32>, %c: !tile.context<1 x 32 x f32>, %s: !tile.buffer<2 x 128 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.load %x : !tile.buffer<2 x 32 x f32> -> tensor<2x32xf32>
      tile.score %0, %0, %c to %s heads = 1 scale = 1.0 part affine_map<(t) -> (t)> parts = 2 : tensor<2x32xf32>, tensor<2x32xf32>, !tile.context<1 x 32 x f32> to !tile.buffer<2 x 128 x f32>
    }
  }
  tile.stage @choose(%s: !tile.buffer<2 x 128 x f32>, %b: !tile.buffer<2 x 16 x i32>) {
    tile.section grid = [2] {
    ^bb0(%t: index):
      tile.choose %s to %b top = 8 slots affine_map<(t) -> (t)> parts = 2 : !tile.buffer<2 x 128 x f32> to !tile.buffer<2 x 16 x i32>
    }
  }
  schedule.program @p slots = 2 arena = 2048 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>
    %c = schedule.context @index : !tile.context<1 x 32 x f32>
    %x = schedule.buffer "x" at 0 : !tile.buffer<2 x 32 x f32>
    %s = schedule.buffer "s" at 256 : !tile.buffer<2 x 128 x f32>
    %b = schedule.buffer "b" at 1280 : !tile.buffer<2 x 16 x i32>
    %f = schedule.event
    %g = schedule.event
    schedule.step "fill" @fill(%e, %x, %c) tiles [[0, 1], []] signals %f : !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f32>, !tile.buffer<2 x 32 x f32>, !tile.context<1 x 32 x f32>
    schedule.step "score" @score(%x, %c, %s) tiles [[0, 1], []] waits %f until [1] signals %g : !tile.buffer<2 x 32 x f32>, !tile.context<1 x 32 x f32>, !tile.buffer<2 x 128 x f32>
    // expected-error @+1 {{(in buffer "s"), which nothing writes}}
    schedule.step "choose" @choose(%s, %b) tiles [[0, 1], [1, 2]] waits %g until [1] : !tile.buffer<2 x 128 x f32>, !tile.buffer<2 x 16 x i32>
  }
}
