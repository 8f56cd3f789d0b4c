// RUN: pianola-opt %s -check-schedule -split-input-file -verify-diagnostics -o /dev/null

// Whatever two slots choose of three experts, one tile writes each byte: proven where a tile is there
// for each of three, and not where one is missing, or a reader does not wait for all of them.

#machine = #tile.machine<name = "host", workers = 2, product = f32, ring = 0, scratch = 65536,
                         bandwidth = 20000, peak = 100, event = 300, step = 200>
module attributes {tile.machine = #machine} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 16, column_pad = 16, tile_rows = 0, element = f32>, %l: !tile.buffer<2 x 16 x f32>, %x: !tile.buffer<2 x 32 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 16, column_pad = 16, tile_rows = 0, element = f32> -> tensor<2x16xf32>
      tile.store %0, %l : tensor<2x16xf32>, !tile.buffer<2 x 16 x f32>
      tile.store %0, %x : tensor<2x16xf32>, !tile.buffer<2 x 32 x f32>
      tile.store %0, %x columns affine_map<(t) -> (16)> : tensor<2x16xf32>, !tile.buffer<2 x 32 x f32>
    }
  }
  tile.stage @up(%l: !tile.buffer<2 x 16 x f32>, %x: !tile.buffer<2 x 32 x f32>, %w: !tile.pool<experts = 3, tiles = 1, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>>, %h: !tile.buffer<4 x 16 x f32>) {
    %a, %r = tile.prologue {
      %0 = tile.load %x : !tile.buffer<2 x 32 x f32> -> tensor<2x32xf32>
      %1 = tile.load %l : !tile.buffer<2 x 16 x f32> -> tensor<2x16xf32>
      %2 = tile.route %1 sigmoid scale = 1.0 : tensor<2x16xf32> -> !tile.routes<2 x 2 of 3>
      tile.yield %0, %2 : tensor<2x32xf32>, !tile.routes<2 x 2 of 3>
    } : tensor<2x32xf32>, !tile.routes<2 x 2 of 3>
    tile.section grid = [4] {
    ^bb0(%t: index):
      tile.experts %r chosen affine_map<(t) -> (t)> {
        %0 = tile.members %a : tensor<2x32xf32> -> tensor<2x32xf32>
        %1 = tile.weights %w tile affine_map<(t) -> (0)> : !tile.pool<experts = 3, tiles = 1, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>>
        %2 = tile.contract %1, %0 : !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>, tensor<2x32xf32> -> tensor<2x16xf32>
        tile.scatter %2, %h columns affine_map<(t) -> (0)> : tensor<2x16xf32>, !tile.buffer<4 x 16 x f32>
        tile.yield
      } : !tile.routes<2 x 2 of 3>
    }
  }
  tile.stage @read(%h: !tile.buffer<4 x 16 x f32>, %y: !tile.buffer<4 x 16 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.load %h : !tile.buffer<4 x 16 x f32> -> tensor<4x16xf32>
      tile.store %0, %y : tensor<4x16xf32>, !tile.buffer<4 x 16 x f32>
    }
  }
  schedule.program @p slots = 2 arena = 1536 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 16, column_pad = 16, tile_rows = 0, element = f32>
    %w = schedule.pool @w : !tile.pool<experts = 3, tiles = 1, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>>
    %l = schedule.buffer "l" at 0 : !tile.buffer<2 x 16 x f32>
    %x = schedule.buffer "x" at 128 : !tile.buffer<2 x 32 x f32>
    %h = schedule.buffer "h" at 512 : !tile.buffer<4 x 16 x f32>
    %y = schedule.buffer "y" at 768 : !tile.buffer<4 x 16 x f32>
    %filled = schedule.event
    %done = schedule.event
    schedule.step "fill" @fill(%e, %l, %x) tiles [[0, 1], []] signals %filled : !tile.table<rows = 8, columns = 16, column_pad = 16, tile_rows = 0, element = f32>, !tile.buffer<2 x 16 x f32>, !tile.buffer<2 x 32 x f32>
    schedule.step "up" @up(%l, %x, %w, %h) tiles [[0, 2], [2, 4]] waits %filled until [1] signals %done
        : !tile.buffer<2 x 16 x f32>, !tile.buffer<2 x 32 x f32>, !tile.pool<experts = 3, tiles = 1, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>>, !tile.buffer<4 x 16 x f32>
    schedule.step "read" @read(%h, %y) tiles [[0, 1], []] waits %done until [2] : !tile.buffer<4 x 16 x f32>, !tile.buffer<4 x 16 x f32>
  }
}

// -----

#machine = #tile.machine<name = "host", workers = 2, product = f32, ring = 0, scratch = 65536,
                         bandwidth = 20000, peak = 100, event = 300, step = 200>
module attributes {tile.machine = #machine} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 16, column_pad = 16, tile_rows = 0, element = f32>, %l: !tile.buffer<2 x 16 x f32>, %x: !tile.buffer<2 x 32 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 16, column_pad = 16, tile_rows = 0, element = f32> -> tensor<2x16xf32>
      tile.store %0, %l : tensor<2x16xf32>, !tile.buffer<2 x 16 x f32>
      tile.store %0, %x : tensor<2x16xf32>, !tile.buffer<2 x 32 x f32>
      tile.store %0, %x columns affine_map<(t) -> (16)> : tensor<2x16xf32>, !tile.buffer<2 x 32 x f32>
    }
  }
  tile.stage @up(%l: !tile.buffer<2 x 16 x f32>, %x: !tile.buffer<2 x 32 x f32>, %w: !tile.pool<experts = 3, tiles = 1, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>>, %h: !tile.buffer<4 x 16 x f32>) {
    %a, %r = tile.prologue {
      %0 = tile.load %x : !tile.buffer<2 x 32 x f32> -> tensor<2x32xf32>
      %1 = tile.load %l : !tile.buffer<2 x 16 x f32> -> tensor<2x16xf32>
      %2 = tile.route %1 sigmoid scale = 1.0 : tensor<2x16xf32> -> !tile.routes<2 x 2 of 3>
      tile.yield %0, %2 : tensor<2x32xf32>, !tile.routes<2 x 2 of 3>
    } : tensor<2x32xf32>, !tile.routes<2 x 2 of 3>
    tile.section grid = [2] {
    ^bb0(%t: index):
      tile.experts %r chosen affine_map<(t) -> (t)> {
        %0 = tile.members %a : tensor<2x32xf32> -> tensor<2x32xf32>
        %1 = tile.weights %w tile affine_map<(t) -> (0)> : !tile.pool<experts = 3, tiles = 1, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>>
        %2 = tile.contract %1, %0 : !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>, tensor<2x32xf32> -> tensor<2x16xf32>
        tile.scatter %2, %h columns affine_map<(t) -> (0)> : tensor<2x16xf32>, !tile.buffer<4 x 16 x f32>
        tile.yield
      } : !tile.routes<2 x 2 of 3>
    }
  }
  tile.stage @read(%h: !tile.buffer<4 x 16 x f32>, %y: !tile.buffer<4 x 16 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.load %h : !tile.buffer<4 x 16 x f32> -> tensor<4x16xf32>
      tile.store %0, %y : tensor<4x16xf32>, !tile.buffer<4 x 16 x f32>
    }
  }
  schedule.program @p slots = 2 arena = 1536 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 16, column_pad = 16, tile_rows = 0, element = f32>
    %w = schedule.pool @w : !tile.pool<experts = 3, tiles = 1, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>>
    %l = schedule.buffer "l" at 0 : !tile.buffer<2 x 16 x f32>
    %x = schedule.buffer "x" at 128 : !tile.buffer<2 x 32 x f32>
    %h = schedule.buffer "h" at 512 : !tile.buffer<4 x 16 x f32>
    %y = schedule.buffer "y" at 768 : !tile.buffer<4 x 16 x f32>
    %filled = schedule.event
    %done = schedule.event
    schedule.step "fill" @fill(%e, %l, %x) tiles [[0, 1], []] signals %filled : !tile.table<rows = 8, columns = 16, column_pad = 16, tile_rows = 0, element = f32>, !tile.buffer<2 x 16 x f32>, !tile.buffer<2 x 32 x f32>
    schedule.step "up" @up(%l, %x, %w, %h) tiles [[0, 1], [1, 2]] waits %filled until [1] signals %done
        : !tile.buffer<2 x 16 x f32>, !tile.buffer<2 x 32 x f32>, !tile.pool<experts = 3, tiles = 1, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>>, !tile.buffer<4 x 16 x f32>
    // expected-error @+1 {{step "read" (stage read), tile 0, worker 0: reads bytes 512 to 515 of the arena (in buffer "h"), which tiles for 2 of 3 experts that may be chosen write}}
    schedule.step "read" @read(%h, %y) tiles [[0, 1], []] waits %done until [2] : !tile.buffer<4 x 16 x f32>, !tile.buffer<4 x 16 x f32>
  }
}

// -----

#machine = #tile.machine<name = "host", workers = 2, product = f32, ring = 0, scratch = 65536,
                         bandwidth = 20000, peak = 100, event = 300, step = 200>
module attributes {tile.machine = #machine} {
  tile.stage @fill(%e: !tile.table<rows = 8, columns = 16, column_pad = 16, tile_rows = 0, element = f32>, %l: !tile.buffer<2 x 16 x f32>, %x: !tile.buffer<2 x 32 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 8, columns = 16, column_pad = 16, tile_rows = 0, element = f32> -> tensor<2x16xf32>
      tile.store %0, %l : tensor<2x16xf32>, !tile.buffer<2 x 16 x f32>
      tile.store %0, %x : tensor<2x16xf32>, !tile.buffer<2 x 32 x f32>
      tile.store %0, %x columns affine_map<(t) -> (16)> : tensor<2x16xf32>, !tile.buffer<2 x 32 x f32>
    }
  }
  tile.stage @up(%l: !tile.buffer<2 x 16 x f32>, %x: !tile.buffer<2 x 32 x f32>, %w: !tile.pool<experts = 3, tiles = 1, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>>, %h: !tile.buffer<4 x 16 x f32>) {
    %a, %r = tile.prologue {
      %0 = tile.load %x : !tile.buffer<2 x 32 x f32> -> tensor<2x32xf32>
      %1 = tile.load %l : !tile.buffer<2 x 16 x f32> -> tensor<2x16xf32>
      %2 = tile.route %1 sigmoid scale = 1.0 : tensor<2x16xf32> -> !tile.routes<2 x 2 of 3>
      tile.yield %0, %2 : tensor<2x32xf32>, !tile.routes<2 x 2 of 3>
    } : tensor<2x32xf32>, !tile.routes<2 x 2 of 3>
    tile.section grid = [4] {
    ^bb0(%t: index):
      tile.experts %r chosen affine_map<(t) -> (t)> {
        %0 = tile.members %a : tensor<2x32xf32> -> tensor<2x32xf32>
        %1 = tile.weights %w tile affine_map<(t) -> (0)> : !tile.pool<experts = 3, tiles = 1, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>>
        %2 = tile.contract %1, %0 : !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>, tensor<2x32xf32> -> tensor<2x16xf32>
        tile.scatter %2, %h columns affine_map<(t) -> (0)> : tensor<2x16xf32>, !tile.buffer<4 x 16 x f32>
        tile.yield
      } : !tile.routes<2 x 2 of 3>
    }
  }
  tile.stage @read(%h: !tile.buffer<4 x 16 x f32>, %y: !tile.buffer<4 x 16 x f32>) {
    tile.section grid = [1] {
    ^bb0(%t: index):
      %0 = tile.load %h : !tile.buffer<4 x 16 x f32> -> tensor<4x16xf32>
      tile.store %0, %y : tensor<4x16xf32>, !tile.buffer<4 x 16 x f32>
    }
  }
  schedule.program @p slots = 2 arena = 1536 {
    %e = schedule.table @embed : !tile.table<rows = 8, columns = 16, column_pad = 16, tile_rows = 0, element = f32>
    %w = schedule.pool @w : !tile.pool<experts = 3, tiles = 1, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>>
    %l = schedule.buffer "l" at 0 : !tile.buffer<2 x 16 x f32>
    %x = schedule.buffer "x" at 128 : !tile.buffer<2 x 32 x f32>
    %h = schedule.buffer "h" at 512 : !tile.buffer<4 x 16 x f32>
    %y = schedule.buffer "y" at 768 : !tile.buffer<4 x 16 x f32>
    %filled = schedule.event
    %done = schedule.event
    schedule.step "fill" @fill(%e, %l, %x) tiles [[0, 1], []] signals %filled : !tile.table<rows = 8, columns = 16, column_pad = 16, tile_rows = 0, element = f32>, !tile.buffer<2 x 16 x f32>, !tile.buffer<2 x 32 x f32>
    schedule.step "up" @up(%l, %x, %w, %h) tiles [[0, 2], [2, 4]] waits %filled until [1] signals %done
        : !tile.buffer<2 x 16 x f32>, !tile.buffer<2 x 32 x f32>, !tile.pool<experts = 3, tiles = 1, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, row_block = 16, row_block_pad = 16>>, !tile.buffer<4 x 16 x f32>
    // expected-error @+1 {{step "read" (stage read), tile 0, worker 0: reads bytes 512 to 767 of the arena (in buffer "h") and may do so before they are written by step "up" (stage up), tile 2, worker 1}}
    schedule.step "read" @read(%h, %y) tiles [[0, 1], []] waits %done until [1] : !tile.buffer<4 x 16 x f32>, !tile.buffer<4 x 16 x f32>
  }
}
