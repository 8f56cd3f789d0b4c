// What the verifiers of tiles of layers that remember refuse, and in which words.
// RUN: pianola-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{a state has parts of rows of whole groups of 16 columns, not 1 x 7 x 24}}
tile.stage @columns(%h: !tile.state<1 x 7 x 24>) {
}

// -----

tile.stage @parts(%x: !tile.buffer<4 x 32 x f32>, %h: !tile.state<2 x 7 x 32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<4 x 32 x f32> -> tensor<4x32xf32>
    // expected-error @+1 {{writes rows of 'tensor<4x32xf32>' to '!tile.state<2 x 7 x 32>'}}
    tile.record %0, %h columns affine_map<(t) -> (t * 32)> : tensor<4x32xf32>, !tile.state<2 x 7 x 32>
  }
}

// -----

tile.stage @taps(%h: !tile.state<1 x 7 x 32>, %w: !tile.vector<blocks = 3, size = 32, pad = 32, per_tile = false, constant = true>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    // expected-error @+1 {{for 4 taps of '!tile.state<1 x 7 x 32>'}}
    %0 = tile.convolve %h, %w taps = 4 columns affine_map<(t) -> (t * 32)> : !tile.state<1 x 7 x 32>, !tile.vector<blocks = 3, size = 32, pad = 32, per_tile = false, constant = true> -> tensor<4x32xf32>
  }
}

// -----

tile.stage @rows(%h: !tile.state<1 x 6 x 32>, %w: !tile.vector<blocks = 4, size = 32, pad = 32, per_tile = false, constant = true>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    // expected-error @+1 {{of 4 taps and 4 slots needs 7 rows, found '!tile.state<1 x 6 x 32>'}}
    %0 = tile.convolve %h, %w taps = 4 columns affine_map<(t) -> (t * 32)> : !tile.state<1 x 6 x 32>, !tile.vector<blocks = 4, size = 32, pad = 32, per_tile = false, constant = true> -> tensor<4x32xf32>
  }
}

// -----

tile.stage @delta(%x: !tile.buffer<1 x 32 x f32>, %m: !tile.state<4 x 20 x 16>,
                  %r: !tile.vector<blocks = 1, size = 4, pad = 32, per_tile = false>) {
  tile.section grid = [4] {
  ^bb0(%h: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x16xf32>
    %1 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{has keys of 'tensor<1x16xf32>' and values of 'tensor<1x16xf32>' for '!tile.state<4 x 20 x 16>'}}
    %2 = tile.delta %0, %0, %0 gates %1, %r, %r in %m head affine_map<(h) -> (h)> scale = 1.0 : tensor<1x16xf32>, tensor<1x16xf32>, tensor<1x32xf32>, !tile.vector<blocks = 1, size = 4, pad = 32, per_tile = false>, !tile.state<4 x 20 x 16>
  }
}

// -----

tile.stage @heads(%x: !tile.buffer<1 x 32 x f32>, %m: !tile.state<20 x 12 x 16>,
                  %r: !tile.vector<blocks = 1, size = 20, pad = 32, per_tile = false>) {
  tile.section grid = [4] {
  ^bb0(%h: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x16xf32>
    %1 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{and 'tensor<1x32xf32>' for the heads of '!tile.state<20 x 12 x 16>'}}
    %2 = tile.delta %0, %0, %0 gates %1, %r, %r in %m head affine_map<(h) -> (h)> scale = 1.0 : tensor<1x16xf32>, tensor<1x16xf32>, tensor<1x32xf32>, !tile.vector<blocks = 1, size = 20, pad = 32, per_tile = false>, !tile.state<20 x 12 x 16>
  }
}

// -----

tile.stage @run(%x: !tile.buffer<1 x 32 x f32>) {
  // expected-error @+1 {{of 6 tiles has no runs of 4}}
  tile.section grid = [6] run = 4 {
  ^bb0(%t: index):
  }
}
