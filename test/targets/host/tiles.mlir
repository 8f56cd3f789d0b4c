// With AMX, products of several slots go through tiles: their shapes are set once in a part, and for
// each tile of weights there is one multiply for the greater parts of a block of slots and one for
// the lesser ones. What is left of the depth is half a tile, and one slot, go the other way.
// RUN: host-compile %s --target x86-64-v4+avx512bf16+amx-bf16 --emit llvm | FileCheck %s
// RUN: host-compile %s --target x86-64-v4+avx512bf16+amx-bf16 | FileCheck %s --check-prefix=ASM
// RUN: host-compile %s --target x86-64-v4+avx512bf16 --emit llvm | FileCheck %s --check-prefix=WITHOUT --implicit-check-not=llvm.x86.t --implicit-check-not=tilecfg
// RUN: host-compile %s --target x86-64-v4+avx512bf16+amx-bf16 --emit parts | FileCheck %s --check-prefix=PARTS

// The kernel, two blocks of slots by two of rows: 2 tiles of weights, 4 of activations.
// CHECK-LABEL: define internal {{.*}}@product.bf16.split.2x64.128.4096.tiles(
// CHECK-COUNT-4: call void @llvm.x86.tilezero
// CHECK-COUNT-32: call void @llvm.prefetch
// CHECK: call void @llvm.x86.tileloadd64(i8 4, {{.*}}, i64 128)
// CHECK: call void @llvm.x86.tileloadd64(i8 5, {{.*}}, i64 128)
// CHECK-COUNT-2: call void @llvm.x86.tileloaddt164
// CHECK-NEXT: call void @llvm.x86.tdpbf16ps(i8 0, i8 6, i8 4)
// CHECK-NEXT: call void @llvm.x86.tdpbf16ps(i8 1, i8 6, i8 5)
// CHECK-NEXT: call void @llvm.x86.tdpbf16ps(i8 2, i8 7, i8 4)
// CHECK-NEXT: call void @llvm.x86.tdpbf16ps(i8 3, i8 7, i8 5)
// CHECK-NOT: tileloadd64
// CHECK-COUNT-2: call void @llvm.x86.tileloaddt164
// CHECK-NEXT: call void @llvm.x86.tdpbf16ps(i8 0, i8 6, i8 4)
// CHECK-NEXT: call void @llvm.x86.tdpbf16ps(i8 1, i8 6, i8 5)
// CHECK-NEXT: call void @llvm.x86.tdpbf16ps(i8 2, i8 7, i8 4)
// CHECK-NEXT: call void @llvm.x86.tdpbf16ps(i8 3, i8 7, i8 5)
// CHECK-NOT: tdpbf16ps
// CHECK-COUNT-4: call void @llvm.x86.tilestored64
// One block of slots.
// CHECK-COUNT-4: call void @llvm.x86.tdpbf16ps
// CHECK-NOT: tdpbf16ps
// CHECK: ret void

// A prologue has none; a part sets them up before its tiles and gives them back after.
// CHECK-LABEL: define {{.*}}@many.prologue(
// CHECK-NOT: ldtilecfg
// CHECK-LABEL: define {{.*}}@many.0(
// CHECK: call void @llvm.x86.ldtilecfg(ptr {{.*}}@tile.configuration)
// CHECK-NOT: ldtilecfg
// CHECK: call {{.*}}@product.bf16.split.2x64.128.4096.tiles(
// CHECK: call {{.*}}@product.bf16.split.2x64.128.4096(
// CHECK-NOT: ldtilecfg
// CHECK: call void @llvm.x86.tilerelease()
// CHECK-NEXT: ret void
// CHECK-LABEL: define {{.*}}@one.0(
// CHECK-NOT: tilecfg
// CHECK: call {{.*}}@product.bf16.split.2x64.128.4096.single(
// CHECK-NOT: tile
// CHECK: ret void

// ASM: many.0:
// ASM: ldtilecfg {{.*}}(%rip)
// ASM: tilerelease

// WITHOUT: define {{.*}}@many.0(

// PARTS: features amx-bf16 amx-tile avx avx2 avx512bf16

tile.stage @many(%x: !tile.buffer<64 x 304 x f32>,
    %w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 299, column_pad = 304, element = bf16>,
    %h: !tile.buffer<64 x 96 x f32>) {
  %a = tile.prologue {
    %0 = tile.load %x : !tile.buffer<64 x 304 x f32> -> tensor<64x304xf32>
    tile.yield %0 : tensor<64x304xf32>
  } : tensor<64x304xf32>
  tile.section grid = [3] {
  ^bb0(%t: index):
    %0 = tile.contract %w, %a : !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 299, column_pad = 304, element = bf16>, tensor<64x304xf32> -> tensor<64x32xf32>
    tile.store %0, %h columns affine_map<(t) -> (t * 32)> : tensor<64x32xf32>, !tile.buffer<64 x 96 x f32>
  }
}

tile.stage @one(%h: !tile.buffer<1 x 96 x f32>,
    %w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 96, column_pad = 96, element = bf16>,
    %y: !tile.buffer<1 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.load %h : !tile.buffer<1 x 96 x f32> -> tensor<1x96xf32>
    %1 = tile.contract %w, %0 : !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 96, column_pad = 96, element = bf16>, tensor<1x96xf32> -> tensor<1x32xf32>
    tile.store %1, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}
