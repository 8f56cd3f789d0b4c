// Weights that pass by several blocks of eight slots ask, in each pass, memory for a part of those behind:
// of four steps' eight lines, four in either of two passes. In one pass they ask for all, a little ahead.
// RUN: host-compile %s --target x86-64-v4+avx512bf16 --emit llvm | FileCheck %s

// CHECK-LABEL: define internal {{.*}}@product.bf16.split.2x64.128.4096(
// CHECK-COUNT-8: call void @llvm.prefetch.p0(ptr {{.*}}, i32 0, i32 3, i32 1)
// CHECK-NOT: prefetch
// CHECK: llvm.x86.avx512bf16.dpbf16ps.512
// CHECK-LABEL: define internal {{.*}}@product.bf16.split.2x64.128.4096.2.passes(
// CHECK-COUNT-4: call void @llvm.prefetch.p0(ptr {{.*}}, i32 0, i32 2, i32 1)
// CHECK-NOT: prefetch
// CHECK: llvm.x86.avx512bf16.dpbf16ps.512

tile.stage @sixteen(%x: !tile.buffer<16 x 64 x f32>,
    %w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 64, column_pad = 64, element = bf16>,
    %h: !tile.buffer<16 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<16 x 64 x f32> -> tensor<16x64xf32>
    %1 = tile.contract %w, %0 : !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 64, column_pad = 64, element = bf16>, tensor<16x64xf32> -> tensor<16x32xf32>
    tile.store %1, %h : tensor<16x32xf32>, !tile.buffer<16 x 32 x f32>
  }
}

tile.stage @eight(%x: !tile.buffer<8 x 64 x f32>,
    %w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 64, column_pad = 64, element = bf16>,
    %h: !tile.buffer<8 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<8 x 64 x f32> -> tensor<8x64xf32>
    %1 = tile.contract %w, %0 : !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 64, column_pad = 64, element = bf16>, tensor<8x64xf32> -> tensor<8x32xf32>
    tile.store %1, %h : tensor<8x32xf32>, !tile.buffer<8 x 32 x f32>
  }
}
