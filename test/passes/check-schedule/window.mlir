// RUN: pianola-opt %s -check-schedule -split-input-file -verify-diagnostics -o /dev/null

// A ring must keep what a play looks at while the play writes: a window, its slots, and the blocks of
// eight that these are read in.

#machine = #tile.machine<name = "host", workers = 1, product = f32, ring = 0, scratch = 65536,
                         bandwidth = 20000, peak = 100, event = 300, step = 200>
module attributes {tile.machine = #machine} {
  tile.stage @attention(%c: !tile.context<1 x 16 x f32 ring 64>, %o: !tile.buffer<24 x 16 x f32>) {
    tile.section grid = [1] {
    ^bb0(%h: index):
      %0 = tile.load %o : !tile.buffer<24 x 16 x f32> -> tensor<24x16xf32>
      %1 = tile.attend %0, %c head affine_map<(h) -> (h)> scale = 0.2 window = 34 splits = 1 : tensor<24x16xf32>, !tile.context<1 x 16 x f32 ring 64> -> tensor<24x16xf32>
      tile.store %1, %o : tensor<24x16xf32>, !tile.buffer<24 x 16 x f32>
    }
  }
  schedule.program @p slots = 24 arena = 1536 {
    %c = schedule.context @cache : !tile.context<1 x 16 x f32 ring 64>
    %o = schedule.buffer "o" at 0 : !tile.buffer<24 x 16 x f32>
    // expected-error @+1 {{step "a": a window of 34 positions and the play's 24 need a ring of 128, found 64}}
    schedule.step "a" @attention(%c, %o) tiles [[0, 1]] : !tile.context<1 x 16 x f32 ring 64>, !tile.buffer<24 x 16 x f32>
  }
}

// -----

#machine = #tile.machine<name = "host", workers = 1, product = f32, ring = 0, scratch = 65536,
                         bandwidth = 20000, peak = 100, event = 300, step = 200>
module attributes {tile.machine = #machine} {
  tile.stage @attention(%c: !tile.context<1 x 16 x f32 ring 64>, %o: !tile.buffer<1 x 16 x f32>) {
    tile.section grid = [1] {
    ^bb0(%h: index):
      %0 = tile.load %o : !tile.buffer<1 x 16 x f32> -> tensor<1x16xf32>
      %1 = tile.attend %0, %c head affine_map<(h) -> (h)> scale = 0.2 window = 0 splits = 1 : tensor<1x16xf32>, !tile.context<1 x 16 x f32 ring 64> -> tensor<1x16xf32>
      tile.store %1, %o : tensor<1x16xf32>, !tile.buffer<1 x 16 x f32>
    }
  }
  schedule.program @p slots = 1 arena = 64 {
    %c = schedule.context @cache : !tile.context<1 x 16 x f32 ring 64>
    %o = schedule.buffer "o" at 0 : !tile.buffer<1 x 16 x f32>
    // expected-error @+1 {{step "a": attends to all positions, of which the context keeps 64}}
    schedule.step "a" @attention(%c, %o) tiles [[0, 1]] : !tile.context<1 x 16 x f32 ring 64>, !tile.buffer<1 x 16 x f32>
  }
}
