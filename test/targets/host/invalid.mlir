// What the host target refuses, all at once.
// RUN: host-compile %s --verify-diagnostics --emit nothing
// RUN: not host-compile %s --target riscv 2>&1 | FileCheck %s --check-prefix=TARGET
// RUN: not host-compile %s --target x86-64-v4+avx1024 2>&1 | FileCheck %s --check-prefix=FEATURE
// RUN: not host-compile %s --target x86-64-v3-fma 2>&1 | FileCheck %s --check-prefix=LEAST

// TARGET: error: target "riscv": unknown; known are host, x86-64-v3 and x86-64-v4
// FEATURE: error: target "x86-64-v4+avx1024": unknown feature "avx1024"; known are {{.*}}avx512bf16
// LEAST: error: target "x86-64-v3-fma": has no fma; the least that code is made for is x86-64-v3

// expected-error@+1 {{argument 1: weights must be bf16, f16, f32, codes or two of four columns}}
tile.stage @element(%x: !tile.buffer<1 x 16 x f32>, %w: !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 16, column_pad = 16, element = f64>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 16 x f32> -> tensor<1x16xf32>
    %1 = tile.contract %w, %0 : !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 16, column_pad = 16, element = f64>, tensor<1x16xf32> -> tensor<1x16xf32>
  }
}

// expected-error@+1 {{argument 0: a table's columns must be in order}}
tile.stage @order(%e: !tile.table<rows = 64, columns = 32, column_pad = 32, tile_rows = 0, element = !encoding.scaled<code = i4, group = 32, scale = f16, order = true>>,
    %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.gather %e scale = 1.0 : !tile.table<rows = 64, columns = 32, column_pad = 32, tile_rows = 0, element = !encoding.scaled<code = i4, group = 32, scale = f16, order = true>> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: the size of a head must be a multiple of 16}}
tile.stage @head(%x: !tile.buffer<1 x 24 x f32>, %c: !tile.context<1 x 24 x bf16>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 24 x f32> -> tensor<1x24xf32>
    tile.append %0, %c key head affine_map<(t) -> (t)> : tensor<1x24xf32>, !tile.context<1 x 24 x bf16>
  }
}

tile.stage @columns(%x: !tile.buffer<1 x 24 x f32>, %y: !tile.buffer<1 x 24 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    // expected-error@+1 {{has a value whose columns are not a multiple of 16: 'tensor<1x24xf32>'}}
    %0 = tile.load %x : !tile.buffer<1 x 24 x f32> -> tensor<1x24xf32>
    tile.store %0, %y : tensor<1x24xf32>, !tile.buffer<1 x 24 x f32>
  }
}

tile.stage @maps(%x: !tile.buffer<1 x 64 x f32>, %y: !tile.buffer<1 x 64 x f32>) {
  tile.section grid = [4] {
  ^bb0(%t: index):
    // expected-error@+1 {{columns must be a linear form of the tile's coordinates}}
    %0 = tile.load %x columns affine_map<(t) -> (t ceildiv 2)> : !tile.buffer<1 x 64 x f32> -> tensor<1x16xf32>
    tile.store %0, %y columns affine_map<(t) -> (t * 16)> : tensor<1x16xf32>, !tile.buffer<1 x 64 x f32>
  }
}

tile.stage @slots(%x: !tile.buffer<64 x 16 x f32>, %y: !tile.buffer<64 x 16 x f32>) {
  tile.section grid = [4] {
  ^bb0(%t: index):
    %0 = tile.load %x slots affine_map<(t) -> (t * 16)> : !tile.buffer<64 x 16 x f32> -> tensor<16x16xf32>
    // expected-error@+1 {{begins at other slots than the part's first op}}
    tile.store %0, %y : tensor<16x16xf32>, !tile.buffer<64 x 16 x f32>
  }
}

tile.stage @blocks(%x: !tile.buffer<64 x 16 x f32>, %y: !tile.buffer<64 x 16 x f32>) {
  %a = tile.prologue {
    %0 = tile.load %x : !tile.buffer<64 x 16 x f32> -> tensor<16x16xf32>
    tile.yield %0 : tensor<16x16xf32>
  } : tensor<16x16xf32>
  tile.section grid = [4] {
  ^bb0(%t: index):
    // expected-error@+1 {{takes a prologue's value in a section of blocks of slots}}
    tile.store %a, %y slots affine_map<(t) -> (t * 16)> : tensor<16x16xf32>, !tile.buffer<64 x 16 x f32>
  }
}

tile.stage @fresh(%q: !tile.buffer<1 x 96 x f32>, %k: !tile.buffer<1 x 32 x f32>, %c: !tile.context<1 x 32 x f32>, %s: !tile.buffer<1 x 256 x f32>) {
  tile.section grid = [2] {
  ^bb0(%t: index):
    %0 = tile.load %q : !tile.buffer<1 x 96 x f32> -> tensor<1x96xf32>
    %1 = tile.load %k : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error@+1 {{takes no fresh keys here: all stand in the context}}
    tile.score %0, %0, %c fresh %1 to %s heads = 3 scale = 0.2 part affine_map<(t) -> (t)> parts = 2 : tensor<1x96xf32>, tensor<1x96xf32>, !tile.context<1 x 32 x f32> fresh tensor<1x32xf32> to !tile.buffer<1 x 256 x f32>
  }
}
