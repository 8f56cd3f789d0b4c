// RUN: pianola-opt %s -place-events -verify-diagnostics -o /dev/null

// Two workers that have nothing to do with each other, and one that needs both, on a machine whose steps
// wait for one event.
module attributes {tile.machine = #tile.machine<name = "gpu", workers = 3, product = f32, ring = 0,
    scratch = 65536, bandwidth = 20000, peak = 100, event = 300, step = 200, waits = 1>} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, %x: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32> -> tensor<1x64xf32>
      tile.store %0, %x : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  tile.stage @sum(%a: !tile.buffer<1 x 64 x f32>, %b: !tile.buffer<1 x 64 x f32>, %c: !tile.buffer<1 x 64 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.load %a : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      %1 = tile.load %b : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
      %2 = tile.add %0, %1 : tensor<1x64xf32>
      tile.store %2, %c : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
    }
  }
  schedule.program @p slots = 1 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %a = schedule.buffer "a" at 0 : !tile.buffer<1 x 64 x f32>
    %b = schedule.buffer "b" at 256 : !tile.buffer<1 x 64 x f32>
    %c = schedule.buffer "c" at 512 : !tile.buffer<1 x 64 x f32>
    schedule.step "a" @fill(%e, %a) tiles [[0, 1], [], []] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    schedule.step "b" @fill(%e, %b) tiles [[], [0, 1], []] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // expected-error @+1 {{step "c" must wait for 2 events; this machine's steps wait for 1 at most}}
    schedule.step "c" @sum(%a, %b, %c) tiles [[], [], [0, 1]] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}
