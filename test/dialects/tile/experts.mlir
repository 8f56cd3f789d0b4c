// What the verifiers of tiles of mixtures of experts refuse, and in which words.
// RUN: pianola-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{a pool has 3 tiles of 16 rows for each of 6 experts, which are blocks of 32 rows}}
tile.stage @pool(%w: !tile.pool<experts = 6, tiles = 3, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 64, column_pad = 64, element = bf16, row_block = 24, row_block_pad = 32>>) {
}

// -----

tile.stage @routes(%l: !tile.buffer<1 x 32 x f32>) {
  %r = tile.prologue {
    %0 = tile.load %l : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{1 slots cannot choose 9 of 8 experts each}}
    %1 = tile.route %0 softmax scale = 1.0 : tensor<1x32xf32> -> !tile.routes<1 x 9 of 8>
    tile.yield %1 : !tile.routes<1 x 9 of 8>
  } : !tile.routes<1 x 9 of 8>
}

// -----

tile.stage @logits(%l: !tile.buffer<1 x 32 x f32>) {
  %r = tile.prologue {
    %0 = tile.load %l : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{needs f32 logits of 1 slots and at least 40 experts, got 'tensor<1x32xf32>'}}
    %1 = tile.route %0 softmax scale = 1.0 : tensor<1x32xf32> -> !tile.routes<1 x 2 of 40>
    tile.yield %1 : !tile.routes<1 x 2 of 40>
  } : !tile.routes<1 x 2 of 40>
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %l : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
  }
}

// -----

tile.stage @groups(%l: !tile.buffer<1 x 32 x f32>) {
  %r = tile.prologue {
    %0 = tile.load %l : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{cannot choose 4 experts of 1 of 3 groups of 9}}
    %1 = tile.route %0 groups = 3 keep = 1 by max softmax scale = 1.0 : tensor<1x32xf32> -> !tile.routes<1 x 4 of 9>
    tile.yield %1 : !tile.routes<1 x 4 of 9>
  } : !tile.routes<1 x 4 of 9>
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %l : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
  }
}

// -----

tile.stage @members(%l: !tile.buffer<2 x 32 x f32>, %x: !tile.buffer<3 x 64 x f32>) {
  %a, %r = tile.prologue {
    %0 = tile.load %l : !tile.buffer<2 x 32 x f32> -> tensor<2x32xf32>
    %1 = tile.route %0 softmax scale = 1.0 : tensor<2x32xf32> -> !tile.routes<2 x 2 of 8>
    %2 = tile.load %x : !tile.buffer<3 x 64 x f32> -> tensor<3x64xf32>
    tile.yield %2, %1 : tensor<3x64xf32>, !tile.routes<2 x 2 of 8>
  } : tensor<3x64xf32>, !tile.routes<2 x 2 of 8>
  tile.section grid = [2] {
  ^bb0(%t: index):
    tile.experts %r chosen affine_map<(t) -> (t)> {
      // expected-error @+1 {{takes a value with a row for each of 2 slots, or for each of their 2 choices, got 'tensor<3x64xf32>'}}
      %0 = tile.members %a : tensor<3x64xf32> -> tensor<2x64xf32>
      tile.yield
    } : !tile.routes<2 x 2 of 8>
  }
}

// -----

tile.stage @fewer(%l: !tile.buffer<2 x 32 x f32>, %x: !tile.buffer<4 x 64 x f32>) {
  %a, %r = tile.prologue {
    %0 = tile.load %l : !tile.buffer<2 x 32 x f32> -> tensor<2x32xf32>
    %1 = tile.route %0 softmax scale = 1.0 : tensor<2x32xf32> -> !tile.routes<2 x 2 of 8>
    %2 = tile.load %x : !tile.buffer<4 x 64 x f32> -> tensor<4x64xf32>
    tile.yield %2, %1 : tensor<4x64xf32>, !tile.routes<2 x 2 of 8>
  } : tensor<4x64xf32>, !tile.routes<2 x 2 of 8>
  tile.section grid = [2] {
  ^bb0(%t: index):
    tile.experts %r chosen affine_map<(t) -> (t)> {
      // expected-error @+1 {{gives rows of 'tensor<4x64xf32>' for up to 2 slots, got 'tensor<4x64xf32>'}}
      %0 = tile.members %a : tensor<4x64xf32> -> tensor<4x64xf32>
      tile.yield
    } : !tile.routes<2 x 2 of 8>
  }
}

// -----

tile.stage @sum(%l: !tile.buffer<1 x 32 x f32>, %x: !tile.buffer<1 x 64 x f32>) {
  %a, %r = tile.prologue {
    %0 = tile.load %l : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    %1 = tile.route %0 softmax scale = 1.0 : tensor<1x32xf32> -> !tile.routes<1 x 2 of 8>
    %2 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
    tile.yield %2, %1 : tensor<1x64xf32>, !tile.routes<1 x 2 of 8>
  } : tensor<1x64xf32>, !tile.routes<1 x 2 of 8>
  tile.section grid = [2] {
  ^bb0(%t: index):
    // expected-error @+1 {{of one expert has no sum}}
    %s = tile.experts %r chosen affine_map<(t) -> (t)> {
      %0 = tile.members %a : tensor<1x64xf32> -> tensor<1x64xf32>
      tile.yield %0 : tensor<1x64xf32>
    } : !tile.routes<1 x 2 of 8> -> tensor<1x64xf32>
  }
}

// -----

tile.stage @scatter(%l: !tile.buffer<1 x 32 x f32>, %x: !tile.buffer<1 x 64 x f32>, %y: !tile.buffer<1 x 64 x f32>) {
  %a, %r = tile.prologue {
    %0 = tile.load %l : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    %1 = tile.route %0 softmax scale = 1.0 : tensor<1x32xf32> -> !tile.routes<1 x 2 of 8>
    %2 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
    tile.yield %2, %1 : tensor<1x64xf32>, !tile.routes<1 x 2 of 8>
  } : tensor<1x64xf32>, !tile.routes<1 x 2 of 8>
  tile.section grid = [2] {
  ^bb0(%t: index):
    tile.experts %r chosen affine_map<(t) -> (t)> {
      %0 = tile.members %a : tensor<1x64xf32> -> tensor<1x64xf32>
      // expected-error @+1 {{needs a buffer with a row for each of 2 choices, got}}
      tile.scatter %0, %y columns affine_map<(t) -> (0)> : tensor<1x64xf32>, !tile.buffer<1 x 64 x f32>
      tile.yield
    } : !tile.routes<1 x 2 of 8>
  }
}

// -----

tile.stage @weights(%l: !tile.buffer<1 x 32 x f32>, %w: !tile.pool<experts = 6, tiles = 2, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 64, column_pad = 64, element = bf16, row_block = 24, row_block_pad = 32>>) {
  %r = tile.prologue {
    %0 = tile.load %l : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    %1 = tile.route %0 softmax scale = 1.0 : tensor<1x32xf32> -> !tile.routes<1 x 2 of 8>
    tile.yield %1 : !tile.routes<1 x 2 of 8>
  } : !tile.routes<1 x 2 of 8>
  tile.section grid = [2] {
  ^bb0(%t: index):
    tile.experts %r chosen affine_map<(t) -> (t)> {
      // expected-error @+1 {{has weights of 6 experts of 8}}
      %0 = tile.weights %w tile affine_map<(t) -> (0)> : !tile.pool<experts = 6, tiles = 2, matrix = !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 64, column_pad = 64, element = bf16, row_block = 24, row_block_pad = 32>>
      tile.yield
    } : !tile.routes<1 x 2 of 8>
  }
}

// -----

tile.stage @gate(%x: !tile.buffer<1 x 64 x f32>, %g: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
    %1 = tile.load %g : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{multiplies 'tensor<1x64xf32>' by the sigmoids of 'tensor<1x32xf32>'}}
    %2 = tile.gate %0, %1 : tensor<1x64xf32>, tensor<1x32xf32>
  }
}

// -----

tile.stage @join(%x: !tile.buffer<1 x 64 x f32>, %g: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
    %1 = tile.load %g : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{does not make 2 heads of 40 and 8 numbers of 'tensor<1x64xf32>' and 'tensor<1x32xf32>' as 'tensor<1x96xf32>'}}
    %2 = tile.join %0, %1 heads = 2 size = 40 behind = 8 : tensor<1x64xf32>, tensor<1x32xf32> -> tensor<1x96xf32>
  }
}
