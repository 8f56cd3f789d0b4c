// What the verifiers of tiles that choose positions refuse, and in which words.
// RUN: pianola-opt %s -split-input-file -verify-diagnostics

tile.stage @heads(%q: !tile.buffer<1 x 96 x f32>, %c: !tile.context<1 x 32 x f32>, %s: !tile.buffer<1 x 256 x f32>) {
  tile.section grid = [2] {
  ^bb0(%t: index):
    %0 = tile.load %q : !tile.buffer<1 x 96 x f32> -> tensor<1x96xf32>
    // expected-error @+1 {{looks with 4 heads in 'tensor<1x96xf32>' at '!tile.context<1 x 32 x f32>'}}
    tile.score %0, %0, %c to %s heads = 4 scale = 0.2 part affine_map<(t) -> (t)> parts = 2 : tensor<1x96xf32>, tensor<1x96xf32>, !tile.context<1 x 32 x f32> to !tile.buffer<1 x 256 x f32>
  }
}

// -----

tile.stage @ring(%q: !tile.buffer<1 x 96 x f32>, %c: !tile.context<1 x 32 x f32 ring 64>, %s: !tile.buffer<1 x 256 x f32>) {
  tile.section grid = [2] {
  ^bb0(%t: index):
    %0 = tile.load %q : !tile.buffer<1 x 96 x f32> -> tensor<1x96xf32>
    // expected-error @+1 {{looks with 3 heads in 'tensor<1x96xf32>' at '!tile.context<1 x 32 x f32 ring 64>'}}
    tile.score %0, %0, %c to %s heads = 3 scale = 0.2 part affine_map<(t) -> (t)> parts = 2 : tensor<1x96xf32>, tensor<1x96xf32>, !tile.context<1 x 32 x f32 ring 64> to !tile.buffer<1 x 256 x f32>
  }
}

// -----

tile.stage @weights(%q: !tile.buffer<1 x 640 x f32>, %w: !tile.buffer<1 x 16 x f32>, %c: !tile.context<1 x 32 x f32>, %s: !tile.buffer<1 x 256 x f32>) {
  tile.section grid = [2] {
  ^bb0(%t: index):
    %0 = tile.load %q : !tile.buffer<1 x 640 x f32> -> tensor<1x640xf32>
    %1 = tile.load %w : !tile.buffer<1 x 16 x f32> -> tensor<1x16xf32>
    // expected-error @+1 {{has 'tensor<1x16xf32>' to weigh 20 heads of 'tensor<1x640xf32>'}}
    tile.score %0, %1, %c to %s heads = 20 scale = 0.2 part affine_map<(t) -> (t)> parts = 2 : tensor<1x640xf32>, tensor<1x16xf32>, !tile.context<1 x 32 x f32> to !tile.buffer<1 x 256 x f32>
  }
}

// -----

tile.stage @fresh(%q: !tile.buffer<1 x 96 x f32>, %c: !tile.context<1 x 32 x f32>, %s: !tile.buffer<1 x 256 x f32>) {
  tile.section grid = [2] {
  ^bb0(%t: index):
    %0 = tile.load %q : !tile.buffer<1 x 96 x f32> -> tensor<1x96xf32>
    // expected-error @+1 {{takes fresh keys of 1 slots and 32 columns, got 'tensor<1x96xf32>'}}
    tile.score %0, %0, %c fresh %0 to %s heads = 3 scale = 0.2 part affine_map<(t) -> (t)> parts = 2 : tensor<1x96xf32>, tensor<1x96xf32>, !tile.context<1 x 32 x f32> fresh tensor<1x96xf32> to !tile.buffer<1 x 256 x f32>
  }
}

// -----

tile.stage @parts(%q: !tile.buffer<1 x 96 x f32>, %c: !tile.context<1 x 32 x f32>, %s: !tile.buffer<1 x 192 x f32>) {
  tile.section grid = [2] {
  ^bb0(%t: index):
    %0 = tile.load %q : !tile.buffer<1 x 96 x f32> -> tensor<1x96xf32>
    // expected-error @+1 {{makes 2 parts of '!tile.buffer<1 x 192 x f32>'}}
    tile.score %0, %0, %c to %s heads = 3 scale = 0.2 part affine_map<(t) -> (t)> parts = 2 : tensor<1x96xf32>, tensor<1x96xf32>, !tile.context<1 x 32 x f32> to !tile.buffer<1 x 192 x f32>
  }
}

// -----

tile.stage @choose(%s: !tile.buffer<4 x 256 x f32>, %c: !tile.buffer<4 x 16 x f32>) {
  tile.section grid = [4] {
  ^bb0(%t: index):
    // expected-error @+1 {{chooses 8 positions of '!tile.buffer<4 x 256 x f32>' in '!tile.buffer<4 x 16 x f32>'}}
    tile.choose %s to %c top = 8 slots affine_map<(t) -> (t)> parts = 2 : !tile.buffer<4 x 256 x f32> to !tile.buffer<4 x 16 x f32>
  }
}

// -----

tile.stage @room(%s: !tile.buffer<4 x 1024 x f32>, %c: !tile.buffer<4 x 16 x i32>) {
  tile.section grid = [4] {
  ^bb0(%t: index):
    // expected-error @+1 {{has bits for 512 positions of 1024}}
    tile.choose %s to %c top = 8 slots affine_map<(t) -> (t)> parts = 2 : !tile.buffer<4 x 1024 x f32> to !tile.buffer<4 x 16 x i32>
  }
}

// -----

tile.stage @chosen(%s: !tile.buffer<4 x 256 x f32>, %c: !tile.buffer<4 x 16 x i32>) {
  tile.section grid = [4] {
  ^bb0(%t: index):
    // expected-error @+1 {{reads 3 parts of '!tile.buffer<4 x 256 x f32>'}}
    tile.choose %s to %c top = 8 slots affine_map<(t) -> (t)> parts = 3 : !tile.buffer<4 x 256 x f32> to !tile.buffer<4 x 16 x i32>
  }
}

// -----

tile.stage @window(%q: !tile.buffer<1 x 64 x f32>, %c: !tile.context<1 x 32 x f32>, %s: !tile.buffer<1 x 16 x i32>) {
  tile.section grid = [1] {
  ^bb0(%h: index):
    %0 = tile.load %q : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
    // expected-error @+1 {{has '!tile.buffer<1 x 16 x i32>' for what is chosen of all positions}}
    %1 = tile.attend %0, %c of %s head affine_map<(h) -> (h)> scale = 0.2 window = 8 splits = 1 : tensor<1x64xf32>, !tile.context<1 x 32 x f32> of !tile.buffer<1 x 16 x i32> -> tensor<1x64xf32>
  }
}
