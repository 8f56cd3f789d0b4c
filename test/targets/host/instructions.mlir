// Which instructions inner products become, target by target; the kernels stand once in the image
// and are called by all parts.
// RUN: host-compile %s --target x86-64-v3 | FileCheck %s --check-prefix=V3
// RUN: host-compile %s --target x86-64-v4 | FileCheck %s --check-prefix=V4
// RUN: host-compile %s --target x86-64-v4+avx512bf16 | FileCheck %s --check-prefix=BF16
// RUN: host-compile %s --target x86-64-v4 --emit llvm | FileCheck %s --check-prefix=LLVM
// RUN: host-compile %s --target x86-64-v4+avx512bf16 --emit parts | FileCheck %s --check-prefix=PARTS

// V3-NOT: zmm
// V3: vfmadd{{[0-9]+}}ps {{.*}}%ymm
// V3-NOT: zmm

// V4-NOT: vdpbf16ps
// V4: vfmadd{{[0-9]+}}ps {{.*}}%zmm
// V4-NOT: vdpbf16ps

// BF16: prefetcht0
// BF16: vdpbf16ps {{.*}}%zmm

// One kernel for 32 rows, whoever calls it.
// LLVM-COUNT-1: define internal{{.*}} @product.bf16.f32.2x64.128.4096.single(
// LLVM-NOT: define internal
// LLVM: call {{.*}} @product.bf16.f32.2x64.128.4096.single(
// LLVM: call {{.*}} @product.bf16.f32.2x64.128.4096.single(

// PARTS: up.prologue
// PARTS-NEXT: up.0
// PARTS-NEXT: up.1
// PARTS-NEXT: down.0
// PARTS-NEXT: scratch {{[1-9][0-9]*}}
// PARTS-NEXT: features avx avx2 avx512bf16 avx512bw avx512dq avx512f avx512vl bmi bmi2 f16c fma popcnt

tile.stage @up(%x: !tile.buffer<1 x 64 x f32>, %n: !tile.vector<blocks = 1, size = 57, pad = 64, per_tile = false>,
    %w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 57, column_pad = 64, element = bf16>,
    %h: !tile.buffer<1 x 96 x f32>) {
  %a = tile.prologue {
    %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
    %1 = tile.normalise %0, %n groups = 1 size = 57 eps = 1.0e-6 : tensor<1x64xf32>, !tile.vector<blocks = 1, size = 57, pad = 64, per_tile = false> -> tensor<1x64xf32>
    tile.yield %1 : tensor<1x64xf32>
  } : tensor<1x64xf32>
  tile.section grid = [2] {
  ^bb0(%t: index):
    %0 = tile.contract %w, %a : !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 57, column_pad = 64, element = bf16>, tensor<1x64xf32> -> tensor<1x32xf32>
    tile.store %0, %h columns affine_map<(t) -> (t * 32)> : tensor<1x32xf32>, !tile.buffer<1 x 96 x f32>
  }
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x32xf32>
    tile.store %0, %h columns affine_map<(t) -> (t * 32 + 64)> : tensor<1x32xf32>, !tile.buffer<1 x 96 x f32>
  }
}

tile.stage @down(%h: !tile.buffer<1 x 96 x f32>,
    %w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 96, column_pad = 96, element = bf16>,
    %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %h : !tile.buffer<1 x 96 x f32> -> tensor<1x96xf32>
    %1 = tile.contract %w, %0 : !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 96, column_pad = 96, element = bf16>, tensor<1x96xf32> -> tensor<1x32xf32>
    tile.store %1, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}
