// What the nvptx target refuses, all at once.
// RUN: pianola-opt %s -emit-ptx -verify-diagnostics
// RUN: not pianola-opt %s -emit-ptx=device=abacus 2>&1 | FileCheck %s --check-prefix=DEVICE
// DEVICE: error: there is no device "abacus"

module {

// expected-error@+1 {{argument 1: weights must be bf16, f16, f32, codes in the model's order or two of four columns, got}}
tile.stage @element(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 32, column_pad = 32, element = f64, panel = 32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: weights must stand in panels of 32 columns, or 64 bytes of what is packed, and tiles of 8 rows or a multiple, got}}
tile.stage @panel(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 32, column_pad = 32, element = bf16>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: weights must stand in panels of 32 columns, or 64 bytes of what is packed, and tiles of 8 rows or a multiple, got}}
tile.stage @rows(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.matrix<rows = 12, row_pad = 12, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: weights must stand in panels of 32 columns, or 64 bytes of what is packed, and tiles of 8 rows or a multiple, got}}
tile.stage @row_pad(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.matrix<rows = 8, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: a panel's bytes must divide 2048, and these the ring's slots, got}}
tile.stage @chunk(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.matrix<rows = 24, row_pad = 24, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: weights must be bf16, f16, f32, codes in the model's order or two of four columns, got}}
tile.stage @order(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 32, column_pad = 32, element = !encoding.scaled<code = i4, group = 32, scale = f16, order = true>, panel = 128>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: weights must stand in panels of 32 columns, or 64 bytes of what is packed, and tiles of 8 rows or a multiple, got}}
tile.stage @codes(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 32, column_pad = 32, element = !encoding.scaled<code = i4, group = 32, scale = f16>, panel = 32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: a panel's bytes must divide 2048, and these the ring's slots, got}}
tile.stage @codes_rows(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.matrix<rows = 24, row_pad = 24, blocks = 1, columns = 32, column_pad = 32, element = !encoding.scaled<code = i4, group = 32, scale = f16>, panel = 128>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: vectors must be constants, got}}
tile.stage @vector(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.vector<blocks = 1, size = 32, pad = 32, per_tile = false>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: a table must be of bf16, f16, f32 or codes in the model's order, and padded to four columns, got}}
tile.stage @table(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 0, element = f64>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: a table must be of bf16, f16, f32 or codes in the model's order, and padded to four columns, got}}
tile.stage @table_pad(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.table<rows = 8, columns = 30, column_pad = 30, tile_rows = 0, element = f32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: a table on the tapes must stand in panels of 32 columns, or 64 bytes of what is packed, got}}
tile.stage @table_panel(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.table<rows = 8, columns = 32, column_pad = 32, tile_rows = 8, element = bf16>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: a context must have heads of a multiple of 16 and at most 1024, got}}
tile.stage @context_size(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.context<1 x 24 x f32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: a context must have heads of a multiple of 16 and at most 1024, got}}
tile.stage @context_large(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.context<1 x 2048 x f32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: a buffer must be of f32 or i32, its columns a multiple of 4, got}}
tile.stage @buffer_element(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.buffer<1 x 32 x bf16>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{argument 1: a buffer must be of f32 or i32, its columns a multiple of 4, got}}
tile.stage @buffer_columns(%x: !tile.buffer<1 x 32 x f32>, %a: !tile.buffer<1 x 30 x f32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

tile.stage @map(%x: !tile.buffer<1 x 32 x f32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [2] {
  ^bb0(%t: index):
    // expected-error@+1 {{columns must be sums of the tile's coordinates, times, by or modulo constants, got}}
    %0 = tile.load %x columns affine_map<(t) -> (t ceildiv 2)> : !tile.buffer<1 x 32 x f32> -> tensor<1x16xf32>
    tile.store %0, %y columns affine_map<(t) -> (t * 16)> : tensor<1x16xf32>, !tile.buffer<1 x 32 x f32>
  }
}

tile.stage @columns(%x: !tile.buffer<1 x 32 x f32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    // expected-error@+1 {{has a value that is not f32 of a multiple of 4 columns: 'tensor<1x30xf32>'}}
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x30xf32>
    tile.store %0, %y : tensor<1x30xf32>, !tile.buffer<1 x 32 x f32>
  }
}

tile.stage @sample(%l: !tile.buffer<1 x 1048580 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    // expected-error@+1 {{must choose among at most}}
    tile.sample %l vocabulary = 1048580 : !tile.buffer<1 x 1048580 x f32>
  }
}

tile.stage @no_peaks(%l: !tile.buffer<1 x 64 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    // expected-error@+1 {{must have the peaks of each 8 or 16 logits}}
    tile.sample %l vocabulary = 64 : !tile.buffer<1 x 64 x f32>
  }
}

tile.stage @no_products(%x: !tile.buffer<1 x 32 x f32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error@+1 {{stands where no inner products are taken, which the nvptx target cannot lower}}
    %1 = tile.softcap %0 at 3.0 : tensor<1x32xf32>
    tile.store %1, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

tile.stage @prologue(%x: !tile.buffer<1 x 32 x f32>, %y: !tile.buffer<1 x 32 x f32>) {
  %a = tile.prologue {
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    // expected-error@+1 {{stands where no inner products are taken, which the nvptx target cannot lower}}
    %1 = tile.softcap %0 at 3.0 : tensor<1x32xf32>
    tile.yield %1 : tensor<1x32xf32>
  } : tensor<1x32xf32>
  tile.section grid = [1] {
  ^bb0(%t: index):
    tile.store %a, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

tile.stage @follows(%x: !tile.buffer<1 x 32 x f32>, %w: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, %r: !tile.rotation<4>, %y: !tile.buffer<1 x 8 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    %1 = tile.contract %w, %0 : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, tensor<1x32xf32> -> tensor<1x8xf32>
    // expected-error@+1 {{needs more than its own element, and follows inner products}}
    %2 = tile.rotate %1, %r groups = 1 : tensor<1x8xf32>, !tile.rotation<4>
    tile.store %2, %y : tensor<1x8xf32>, !tile.buffer<1 x 8 x f32>
  }
}

tile.stage @widths(%x: !tile.buffer<1 x 32 x f32>, %w: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, %v: !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, %y: !tile.buffer<1 x 8 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    %1 = tile.contract %w, %0 : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, tensor<1x32xf32> -> tensor<1x8xf32>
    // expected-error@+1 {{gives 'tensor<1x16xf32>' in a section of 'tensor<1x8xf32>'}}
    %2 = tile.contract %v, %0 : !tile.matrix<rows = 16, row_pad = 16, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, tensor<1x32xf32> -> tensor<1x16xf32>
    tile.store %1, %y : tensor<1x8xf32>, !tile.buffer<1 x 8 x f32>
  }
}

tile.stage @product_map(%x: !tile.buffer<1 x 32 x f32>, %w: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, %y: !tile.buffer<1 x 8 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    %1 = tile.contract %w, %0 : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, tensor<1x32xf32> -> tensor<1x8xf32>
    // expected-error@+1 {{columns must be sums of the tile's coordinates, times, by or modulo constants, got}}
    tile.store %1, %y columns affine_map<(t) -> (t ceildiv 2)> : tensor<1x8xf32>, !tile.buffer<1 x 8 x f32>
  }
}

tile.stage @moving(%x: !tile.buffer<1 x 32 x f32>, %g: !tile.buffer<1 x 64 x f32>, %w: !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, %y: !tile.buffer<1 x 16 x f32>) {
  tile.section grid = [2] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    %1 = tile.contract %w, %0 : !tile.matrix<rows = 8, row_pad = 8, blocks = 1, columns = 32, column_pad = 32, element = bf16, panel = 32>, tensor<1x32xf32> -> tensor<1x8xf32>
    // expected-error@+1 {{is read as a whole, and depends on the tile}}
    %2 = tile.load %g columns affine_map<(t) -> (t * 32)> : !tile.buffer<1 x 64 x f32> -> tensor<1x32xf32>
    %3 = tile.gate %1, %2 by_row : tensor<1x8xf32>, tensor<1x32xf32>
    tile.store %3, %y columns affine_map<(t) -> (t * 8)> : tensor<1x8xf32>, !tile.buffer<1 x 16 x f32>
  }
}

// expected-error@+1 {{binds 15 values, more than 14}}
tile.stage @bindings(%a0: !tile.buffer<1 x 32 x f32>, %a1: !tile.buffer<1 x 32 x f32>, %a2: !tile.buffer<1 x 32 x f32>, %a3: !tile.buffer<1 x 32 x f32>, %a4: !tile.buffer<1 x 32 x f32>, %a5: !tile.buffer<1 x 32 x f32>, %a6: !tile.buffer<1 x 32 x f32>, %a7: !tile.buffer<1 x 32 x f32>, %a8: !tile.buffer<1 x 32 x f32>, %a9: !tile.buffer<1 x 32 x f32>, %a10: !tile.buffer<1 x 32 x f32>, %a11: !tile.buffer<1 x 32 x f32>, %a12: !tile.buffer<1 x 32 x f32>, %a13: !tile.buffer<1 x 32 x f32>, %a14: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %a0 : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %a1 : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// expected-error@+1 {{has 7 sections, more than 6}}
tile.stage @sections(%x: !tile.buffer<1 x 32 x f32>, %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

}
