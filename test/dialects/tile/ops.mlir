// The examples of the documentation (test/docs.test) parse; this checks what is printed, in the
// pretty form, the generic form and bytecode.
// RUN: pianola-opt %s | pianola-opt | FileCheck %s
// RUN: pianola-opt %s -mlir-print-op-generic | pianola-opt | FileCheck %s
// RUN: pianola-opt %s -emit-bytecode | pianola-opt | FileCheck %s

// CHECK-LABEL: tile.stage @down(%{{.*}}: !tile.buffer<1 x 96 x bf16>
// CHECK-SAME: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 88, column_pad = 96, element = bf16>) {
tile.stage @down(%h: !tile.buffer<1 x 96 x bf16>, %x: !tile.buffer<1 x 64 x f32>,
    %y: !tile.buffer<1 x 64 x f32>,
    %w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 88, column_pad = 96, element = bf16>) {
  // CHECK: %[[A:.*]] = tile.prologue {
  // CHECK: tile.yield
  // CHECK: } : tensor<1x96xbf16>
  %a = tile.prologue {
    %0 = tile.load %h : !tile.buffer<1 x 96 x bf16> -> tensor<1x96xbf16>
    tile.yield %0 : tensor<1x96xbf16>
  } : tensor<1x96xbf16>
  // CHECK: tile.section grid = [2] {
  tile.section grid = [2] {
  ^bb0(%t: index):
    // CHECK: tile.contract %{{.*}}, %[[A]]
    %0 = tile.contract %w, %a : !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 88, column_pad = 96, element = bf16>, tensor<1x96xbf16> -> tensor<1x32xf32>
    // CHECK: tile.load %{{.*}} columns #{{.*}} : <1 x 64 x f32> -> tensor<1x32xf32>
    %1 = tile.load %x columns affine_map<(t) -> (t * 32)> : !tile.buffer<1 x 64 x f32> -> tensor<1x32xf32>
    %2 = tile.add %1, %0 : tensor<1x32xf32>
    tile.store %2, %y columns affine_map<(t) -> (t * 32)> : tensor<1x32xf32>, !tile.buffer<1 x 64 x f32>
  }
}

// CHECK-LABEL: tile.stage @logits(%{{.*}}) outputs {
tile.stage @logits(%x: !tile.buffer<1 x 32 x f32>, %y: !tile.buffer<1 x 32 x f32>) outputs {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 32 x f32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}

// CHECK-LABEL: tile.stage @peaks
tile.stage @peaks(%l: !tile.buffer<1 x 64 x f32>, %p: !tile.buffer<1 x 16 x f32>) {
  tile.section grid = [8] {
  ^bb0(%t: index):
    %0 = tile.load %l columns affine_map<(t) -> (t * 8)> : !tile.buffer<1 x 64 x f32> -> tensor<1x8xf32>
    // CHECK: tile.peak %{{.*}}, %{{.*}} columns #{{.*}} : tensor<1x8xf32>, <1 x 16 x f32>
    tile.peak %0, %p columns affine_map<(t) -> (t)> : tensor<1x8xf32>, !tile.buffer<1 x 16 x f32>
  }
}

// CHECK-LABEL: tile.stage @sample
tile.stage @sample(%l: !tile.buffer<1 x 64 x f32>, %p: !tile.buffer<1 x 16 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    // CHECK: tile.sample %{{.*}} vocabulary = 50 : <1 x 64 x f32>
    tile.sample %l vocabulary = 50 : !tile.buffer<1 x 64 x f32>
    // CHECK: tile.sample %{{.*}} vocabulary = 50 peaks %{{.*}} rows = 8 : <1 x 64 x f32>, !tile.buffer<1 x 16 x f32>
    tile.sample %l vocabulary = 50 peaks %p rows = 8 : !tile.buffer<1 x 64 x f32>, !tile.buffer<1 x 16 x f32>
  }
}
