// Two of four columns: activations are brought to where weights stand, so that there are half as
// many products.
// RUN: host-compile %s --target x86-64-v3 | FileCheck %s --check-prefix=V3
// RUN: host-compile %s --target x86-64-v4 | FileCheck %s --check-prefix=V4
// RUN: host-compile %s --target x86-64-v4+avx512bf16 | FileCheck %s --check-prefix=BF16

// V3: vpermilps {{.*}}%ymm
// V3: vfmadd{{[0-9]+}}ps {{.*}}%ymm

// V4: vpermilps {{.*}}%zmm
// V4: vfmadd{{[0-9]+}}ps {{.*}}%zmm

// Both halves of a split activation, by the same choice.
// BF16: vpermd {{.*}}%zmm
// BF16: vpshufb {{.*}}%zmm
// BF16: vdpbf16ps {{.*}}%zmm
// BF16: vpshufb {{.*}}%zmm
// BF16: vdpbf16ps {{.*}}%zmm

tile.stage @contract(%x: !tile.buffer<1 x 64 x f32>, %y: !tile.buffer<1 x 32 x f32>,
    %w: !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 64, column_pad = 64, element = !encoding.two_of_four<bf16>>) {
  %a = tile.prologue {
    %0 = tile.load %x : !tile.buffer<1 x 64 x f32> -> tensor<1x64xf32>
    tile.yield %0 : tensor<1x64xf32>
  } : tensor<1x64xf32>
  tile.section grid = [1] {
  ^bb0(%t: index):
    %0 = tile.contract %w, %a : !tile.matrix<rows = 32, row_pad = 32, blocks = 1, columns = 64, column_pad = 64, element = !encoding.two_of_four<bf16>>, tensor<1x64xf32> -> tensor<1x32xf32>
    tile.store %0, %y : tensor<1x32xf32>, !tile.buffer<1 x 32 x f32>
  }
}
