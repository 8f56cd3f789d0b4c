// RUN: pianola-opt %s -split-input-file -verify-diagnostics

// expected-error @+1 {{has no section}}
tile.stage @empty(%x: !tile.buffer<1 x 32 x f32>) {
}

// -----

// expected-error @+1 {{argument 0 has type 'f32', which no step can bind}}
tile.stage @scalar(%x: f32) {
  tile.section grid = [1] {
  ^bb0(%t: index):
  }
}

// -----

tile.stage @grid(%x: !tile.buffer<1 x 32 x f32>) {
  // expected-error @+1 {{has 1 block arguments, but its grid has 2 dimensions (each one index)}}
  tile.section grid = [2, 2] {
  ^bb0(%t: index):
  }
}

// -----

tile.stage @late(%x: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
  }
  // expected-error @+1 {{must come first in its stage, and only once}}
  %0 = tile.prologue {
    %1 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.yield %1 : tensor<1x32xf32>
  } : tensor<1x32xf32>
}

// -----

tile.stage @slice(%x: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    // expected-error @+1 {{a slice of shape 'tensor<1x64xf32>' does not fit in '!tile.buffer<1 x 32 x f32>'}}
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x64xf32>
  }
}

// -----

tile.stage @map(%x: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    // expected-error @+1 {{columns must map 1 tile coordinates to one number}}
    %0 = tile.load %x columns affine_map<(a, b) -> (a)> : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
  }
}

// -----

tile.stage @element(%x: !tile.buffer<1 x 32 x bf16>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    // expected-error @+1 {{loads 'f32' from a buffer of 'bf16'}}
    %0 = tile.load %x : !tile.buffer<1 x 32 x bf16> -> tensor<1x32xf32>
  }
}

// -----

tile.stage @depth(%x: !tile.buffer<1 x 32 x f32>,
    %w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 64, column_pad = 64, element = f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{contracts 32 columns with a matrix of depth 64}}
    %1 = tile.contract %w, %0 : !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 64, column_pad = 64, element = f32>, tensor<1x32xf32> -> tensor<1x32xf32>
  }
}

// -----

tile.stage @bias(%x: !tile.buffer<1 x 32 x f32>, %b: !tile.vector<blocks = 1, size = 16, pad = 16, per_tile = true>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{adds 16 elements to 32 columns}}
    %1 = tile.bias %0, %b : tensor<1x32xf32>, !tile.vector<blocks = 1, size = 16, pad = 16, per_tile = true>
  }
}

// -----

tile.stage @groups(%x: !tile.buffer<1 x 32 x f32>, %b: !tile.vector<blocks = 1, size = 16, pad = 16, per_tile = false>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{has groups of 32 columns, but a vector of 16}}
    %1 = tile.normalise %0, %b groups = 1 size = 16 eps = 1.0 : tensor<1x32xf32>, !tile.vector<blocks = 1, size = 16, pad = 16, per_tile = false> -> tensor<1x32xf32>
  }
}

// -----

tile.stage @lanes(%x: !tile.buffer<1 x 32 x f32>, %r: !tile.rotation<24>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{cannot rotate 48 lanes of 1 groups in 32 columns}}
    %1 = tile.rotate %0, %r groups = 1 : tensor<1x32xf32>, !tile.rotation<24>
  }
}

// -----

tile.stage @append(%x: !tile.buffer<1 x 32 x f32>, %c: !tile.context<2 x 16 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{appends 32 columns to heads of 16}}
    tile.append %0, %c key head affine_map<(t) -> (t)> : tensor<1x32xf32>, !tile.context<2 x 16 x f32>
  }
}

// -----

// expected-error @+1 {{a ring has whole groups of 64 positions, not 72}}
tile.stage @ring(%c: !tile.context<2 x 16 x f32 ring 72>) {
}

// -----

// expected-error @+1 {{a context is of f32, bf16, i8 or f8E4M3FN, found 'i16'}}
tile.stage @kept_as(%c: !tile.context<2 x 16 x i16>) {
}

// -----

tile.stage @attend(%x: !tile.buffer<1 x 32 x f32>, %c: !tile.context<2 x 16 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{gives statistics if and only if it has several splits}}
    %1 = tile.attend %0, %c head affine_map<(t) -> (t)> scale = 1.0 window = 0 splits = 2 : tensor<1x32xf32>, !tile.context<2 x 16 x f32> -> tensor<1x32xf32>
  }
}

// -----

tile.stage @combine(%x: !tile.buffer<1 x 32 x f32>, %s: !tile.buffer<1 x 16 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    %1 = tile.load %s : !tile.buffer<1 x 16 x f32> -> tensor<1x16xf32>
    // expected-error @+1 {{needs 32 columns of statistics, got 16}}
    %2 = tile.combine %0, %1 heads = 1 group = 1 splits = 2 : tensor<1x32xf32>, tensor<1x16xf32> -> tensor<1x16xf32>
  }
}

// -----

tile.stage @peak(%l: !tile.buffer<1 x 32 x f32>, %p: !tile.buffer<1 x 16 x bf16>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %l : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{writes peaks of 'tensor<1x32xf32>' to '!tile.buffer<1 x 16 x bf16>'}}
    tile.peak %0, %p columns affine_map<(t) -> (t)> : tensor<1x32xf32>, !tile.buffer<1 x 16 x bf16>
  }
}

// -----

tile.stage @sample(%l: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    // expected-error @+1 {{chooses among 33 logits of '!tile.buffer<1 x 32 x f32>'}}
    tile.sample %l vocabulary = 33 : !tile.buffer<1 x 32 x f32>
  }
}

// -----

tile.stage @sample(%l: !tile.buffer<1 x 512 x f32>, %p: !tile.buffer<1 x 16 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    // expected-error @+1 {{has '!tile.buffer<1 x 16 x f32>' for peaks of 16 of 300 logits}}
    tile.sample %l vocabulary = 300 peaks %p rows = 16 : !tile.buffer<1 x 512 x f32>, !tile.buffer<1 x 16 x f32>
  }
}

// -----

tile.stage @no_order(%x: !tile.buffer<1 x 32 x f32>, %o: !tile.vector<blocks = 1, size = 32, pad = 32, per_tile = false>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{needs an order, got '!tile.vector<blocks = 1, size = 32, pad = 32, per_tile = false>'}}
    %1 = tile.reorder %0, %o : tensor<1x32xf32>, !tile.vector<blocks = 1, size = 32, pad = 32, per_tile = false> -> tensor<1x32xf32>
  }
}

// -----

tile.stage @other_order(%x: !tile.buffer<1 x 32 x f32>, %o: !tile.vector<order = true, blocks = 2, size = 24, pad = 32, per_tile = false>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error @+1 {{has a value of 32 columns, but the order of 64}}
    %1 = tile.reorder %0, %o : tensor<1x32xf32>, !tile.vector<order = true, blocks = 2, size = 24, pad = 32, per_tile = false> -> tensor<1x48xf32>
  }
}

// -----

tile.stage @padded_order(%x: !tile.buffer<1 x 64 x f32>, %o: !tile.vector<order = true, blocks = 2, size = 24, pad = 32, per_tile = false>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
    // expected-error @+1 {{has 48 columns, got 'tensor<1x64xf32>'}}
    %1 = tile.reorder %0, %o : tensor<1x64xf32>, !tile.vector<order = true, blocks = 2, size = 24, pad = 32, per_tile = false> -> tensor<1x64xf32>
  }
}

// -----

tile.stage @centred(%x: !tile.buffer<1 x 32 x f32>, %w: !tile.vector<blocks = 2, size = 16, pad = 16, per_tile = false>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error@+1 {{is centred, and its columns are not one row with padding at its end}}
    %1 = tile.normalise %0, %w groups = 1 size = 32 eps = 1.0 centred : tensor<1x32xf32>, !tile.vector<blocks = 2, size = 16, pad = 16, per_tile = false> -> tensor<1x32xf32>
    tile.store %1, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// -----

tile.stage @bias(%x: !tile.buffer<1 x 32 x f32>, %w: !tile.vector<blocks = 1, size = 30, pad = 32, per_tile = false>, %b: !tile.vector<blocks = 1, size = 32, pad = 32, per_tile = false>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error@+1 {{has a bias of '!tile.vector<blocks = 1, size = 32, pad = 32, per_tile = false>' and a vector of '!tile.vector<blocks = 1, size = 30, pad = 32, per_tile = false>'}}
    %1 = tile.normalise %0, %w bias %b groups = 1 size = 30 eps = 1.0 centred : tensor<1x32xf32>, !tile.vector<blocks = 1, size = 30, pad = 32, per_tile = false>, !tile.vector<blocks = 1, size = 32, pad = 32, per_tile = false> -> tensor<1x32xf32>
    tile.store %1, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// -----

tile.stage @scale(%x: !tile.buffer<1 x 32 x f32>, %y: !tile.buffer<1 x 48 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error@+1 {{changes the shape from 'tensor<1x32xf32>' to 'tensor<1x48xf32>'}}
    %1 = tile.scale %0 by 2.0 : tensor<1x32xf32> -> tensor<1x48xf32>
    tile.store %1, %y : tensor<1x48xf32>, !tile.buffer<1 x 48 x f32>
  }
}

// -----

// expected-error @+1 {{blocks that are kept have f32, bf16 or f16, found '!encoding.two_of_four<bf16>'}}
tile.stage @kept(%w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 96, column_pad = 96, element = !encoding.two_of_four<bf16>, kept = 1>) {
}

// -----

// expected-error @+1 {{blocks that are kept have 32 columns each, in panels, too, and no padding in between}}
tile.stage @padding(%w: !tile.matrix<rows = 32, row_pad = 32, blocks = 2, columns = 24, column_pad = 32, element = bf16, kept = 1>) {
}

// -----

// expected-error @+1 {{of 3 blocks 4 cannot be kept}}
tile.stage @many(%w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 96, column_pad = 96, element = bf16, kept = 4>) {
}
