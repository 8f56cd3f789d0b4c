// RUN: pianola-opt %s -place-events | FileCheck %s

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
  schedule.program @p slots = 1 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>
    %a = schedule.buffer "a" at 0 : !tile.buffer<1 x 64 x f32>
    %b = schedule.buffer "b" at 256 : !tile.buffer<1 x 64 x f32>
    %c = schedule.buffer "c" at 512 : !tile.buffer<1 x 64 x f32>
    %d = schedule.buffer "d" at 0 : !tile.buffer<1 x 64 x f32>
    %f = schedule.buffer "f" at 768 : !tile.buffer<1 x 64 x f32>
    // CHECK: %[[E1:.*]] = schedule.event
    // CHECK: schedule.step "fill" {{.*}} tiles {{\[}}[0, 1], []] signals %[[E1]] :
    schedule.step "fill" @fill(%e, %a) tiles [[0, 1], []] : !tile.table<rows = 8, columns = 64, column_pad = 64, tile_rows = 0, element = f32>, !tile.buffer<1 x 64 x f32>
    // Both workers take part, so the next step awaits two signals.
    // CHECK: %[[E2:.*]] = schedule.event
    // CHECK: schedule.step "b" {{.*}} waits %[[E1]] until [1] signals %[[E2]] :
    schedule.step "b" @copy(%a, %b) tiles [[0, 2], [2, 4]] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // CHECK: %[[E3:.*]] = schedule.event
    // CHECK: schedule.step "c" {{.*}} waits %[[E2]] until [2] signals %[[E3]] :
    schedule.step "c" @copy(%b, %c) tiles [[0, 4], []] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // "d" overwrites "a", which "b" read; that "b" is done is known from waiting for "c" on worker 0,
    // whose own wait for "b" comes before.
    // Nobody waits for "d", so it signals nothing.
    // CHECK-NOT: schedule.event
    // CHECK: schedule.step "d" {{.*}} waits %[[E3]] until [1] :
    schedule.step "d" @copy(%c, %d) tiles [[], [0, 4]] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
    // Reads "b" only, which worker 0 has awaited before: nothing to wait for.
    // CHECK: schedule.step "f" {{.*}} tiles {{\[}}[0, 4], []] :
    schedule.step "f" @copy(%b, %f) tiles [[0, 4], []] : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 64 x f32>
  }
}
