// With AMX, codes of many slots go through tiles of bytes. Codes of 8 bits are loaded from the tape,
// unsigned; those of 4 bits are unpacked, and signed. While a block of slots is multiplied, the last
// one's sums are added to its results.
// RUN: host-compile %s --target x86-64-v4+amx-bf16+amx-int8 --emit llvm | FileCheck %s
// RUN: host-compile %s --target x86-64-v4+amx-bf16+amx-int8 | FileCheck %s --check-prefix=ASM
// RUN: host-compile %s --target x86-64-v4+avx512vnni --emit llvm | FileCheck %s --check-prefix=WITHOUT --implicit-check-not=llvm.x86.t --implicit-check-not=tilecfg
// RUN: host-compile %s --target x86-64-v4+amx-bf16+amx-int8 --emit parts | FileCheck %s --check-prefix=PARTS

// Unpacked before all slots, in place of zero points; tiles of half the depth, one step a group.
// CHECK-LABEL: define internal {{.*}}@codes.i4.32.32.32.f16.2.16384.tiles(
// CHECK: lshr <16 x i32>
// CHECK: store <64 x i8>
// CHECK-COUNT-4: call void @llvm.x86.tilezero
// CHECK-NOT: lshr <16 x i32>
// CHECK: call void @llvm.x86.tileloadd64(i8 4, {{.*}}, i64 128)
// CHECK-NEXT: call void @llvm.x86.tileloadd64(i8 5, {{.*}}, i64 128)
// CHECK-COUNT-2: call void @llvm.x86.tileloaddt164
// CHECK-NEXT: call void @llvm.x86.tdpbssd(i8 0, i8 6, i8 4)
// CHECK-NEXT: call void @llvm.x86.tdpbssd(i8 1, i8 6, i8 5)
// CHECK-NEXT: call void @llvm.x86.tdpbssd(i8 2, i8 7, i8 4)
// CHECK-NEXT: call void @llvm.x86.tdpbssd(i8 3, i8 7, i8 5)
// CHECK-NOT: tdpb
// CHECK-COUNT-4: call void @llvm.x86.tilestored64
// CHECK: call void @llvm.x86.tdpbssd(i8 3, i8 7, i8 5)
// CHECK-NOT: tilestored
// CHECK-NOT: mul <16 x i32>
// CHECK: sitofp <16 x i32>
// CHECK: call <16 x float> @llvm.fma.v16f32
// CHECK-COUNT-4: call void @llvm.x86.tilestored64
// CHECK: sitofp <16 x i32>
// CHECK: ret void

// The last group has 48 columns: not a whole number of steps.
// CHECK-LABEL: define internal {{.*}}@codes.i8.48.128.64.f16.2.16384(
// CHECK-NOT: llvm.x86.t
// CHECK: call <16 x i32> @llvm.x86.avx512.vpdpbusd.512
// CHECK-NOT: llvm.x86.t
// CHECK: ret void

// From the tape: two steps of 64 columns, a tile of each 16 rows.
// CHECK-LABEL: define internal {{.*}}@codes.i8.128.128.64.f16.2.16384.tiles(
// CHECK-COUNT-4: call void @llvm.x86.tilezero
// CHECK-COUNT-32: call void @llvm.prefetch
// CHECK-COUNT-4: call void @llvm.x86.tdpbsud
// CHECK-NOT: tdpb
// CHECK-COUNT-32: call void @llvm.prefetch
// CHECK-COUNT-4: call void @llvm.x86.tdpbsud
// CHECK-NOT: tdpb
// CHECK-COUNT-4: call void @llvm.x86.tilestored64
// CHECK-NOT: prefetch
// CHECK-COUNT-8: call void @llvm.x86.tdpbsud
// CHECK-NOT: tdpb
// CHECK: ret void

// One shape is set for all of a part.
// CHECK-LABEL: define {{.*}}@many.prologue(
// CHECK-NOT: ldtilecfg
// CHECK-LABEL: define {{.*}}@many.0(
// CHECK: call void @llvm.x86.ldtilecfg(ptr {{.*}}@tile.configuration)
// CHECK-NOT: ldtilecfg
// CHECK: call {{.*}}@codes.i8.128.128.64.f16.2.16384.tiles(
// CHECK: call {{.*}}@codes.i8.48.128.64.f16.2.16384(
// CHECK-NOT: ldtilecfg
// CHECK: call void @llvm.x86.tilerelease()
// CHECK-NEXT: ret void

// Of several shapes each product sets its own, and all are given back once.
// CHECK-LABEL: define {{.*}}@mixed.0(
// CHECK: call void @llvm.x86.ldtilecfg(ptr {{.*}}@tile.configuration)
// CHECK: call {{.*}}@codes.i8.128.128.64.f16.2.16384.tiles(
// CHECK: call void @llvm.x86.ldtilecfg(ptr {{.*}}@tile.configuration.half)
// CHECK: call {{.*}}@codes.i4.32.32.32.f16.2.16384.tiles(
// CHECK: call void @llvm.x86.ldtilecfg(ptr {{.*}}@tile.configuration)
// CHECK: call {{.*}}@product.bf16.split.2x64.128.4096.tiles(
// CHECK-NOT: ldtilecfg
// CHECK: call void @llvm.x86.tilerelease()
// CHECK-NOT: tile
// CHECK: ret void

// Four slots go without.
// CHECK-LABEL: define {{.*}}@few.0(
// CHECK-NOT: tile
// CHECK: call {{.*}}@codes.i8.128.128.32.f16.2.16384(
// CHECK-NOT: tile
// CHECK: ret void

// ASM: many.0:
// ASM: ldtilecfg {{.*}}(%rip)
// ASM: tilerelease

// WITHOUT: define {{.*}}@many.0(

// PARTS: features amx-bf16 amx-int8 amx-tile avx avx2 avx512bf16

!i8 = !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 304, column_pad = 304, element = !encoding.scaled<code = i8, group = 128, scale = f16>>
!i4 = !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 256, column_pad = 256, element = !encoding.scaled<code = i4, group = 32, scale = f16>>
!bf16 = !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 256, column_pad = 256, element = bf16>
!whole = !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 256, column_pad = 256, element = !encoding.scaled<code = i8, group = 128, scale = f16>>

tile.stage @many(%x: !tile.buffer<64 x 304 x f32>, %w: !i8, %h: !tile.buffer<64 x 96 x f32>) {
  %a = tile.prologue {
    %0 = tile.load %x : !tile.buffer<64 x 304 x f32> -> tensor<64x304xf32>
    tile.yield %0 : tensor<64x304xf32>
  } : tensor<64x304xf32>
  tile.section grid = [3] {
  ^bb0(%t: index):
    %0 = tile.contract %w, %a : !i8, tensor<64x304xf32> -> tensor<64x32xf32>
    tile.store %0, %h columns affine_map<(t) -> (t * 32)> : tensor<64x32xf32>, !tile.buffer<64 x 96 x f32>
  }
}

tile.stage @mixed(%x: !tile.buffer<64 x 256 x f32>, %u: !whole, %v: !i4, %w: !bf16, %h: !tile.buffer<64 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %a = tile.load %x : !tile.buffer<64 x 256 x f32> -> tensor<64x256xf32>
    %0 = tile.contract %u, %a : !whole, tensor<64x256xf32> -> tensor<64x32xf32>
    %1 = tile.contract %v, %a : !i4, tensor<64x256xf32> -> tensor<64x32xf32>
    %2 = tile.contract %w, %a : !bf16, tensor<64x256xf32> -> tensor<64x32xf32>
    %3 = tile.add %0, %1 : tensor<64x32xf32>
    %4 = tile.add %3, %2 : tensor<64x32xf32>
    tile.store %4, %h : tensor<64x32xf32>, !tile.buffer<64 x 32 x f32>
  }
}

tile.stage @few(%x: !tile.buffer<4 x 256 x f32>, %w: !whole, %h: !tile.buffer<4 x 32 x f32>) {
  tile.section grid = [1] {
  ^bb0(%t: index):
    %a = tile.load %x : !tile.buffer<4 x 256 x f32> -> tensor<4x256xf32>
    %0 = tile.contract %w, %a : !whole, tensor<4x256xf32> -> tensor<4x32xf32>
    tile.store %0, %h : tensor<4x32xf32>, !tile.buffer<4 x 32 x f32>
  }
}
