// Matrices of a warp by <mma.h>, from device memory and by way of shared memory; and the rarer shapes of mma.
#include <cstdint>
#include <cuda_bf16.h>
#include <mma.h>

using namespace nvcuda;

template <typename T, typename Sum, int M, int N, int K, typename OrderOfB>
__device__ void multiply(const T *a, const T *b, const Sum *c, Sum *d, bool columns) {
  wmma::fragment<wmma::matrix_a, M, N, K, T, wmma::row_major> ofA;
  wmma::fragment<wmma::matrix_b, M, N, K, T, OrderOfB> ofB;
  wmma::fragment<wmma::accumulator, M, N, K, Sum> sum;
  wmma::load_matrix_sync(ofA, a, K);
  wmma::load_matrix_sync(ofB, b, std::is_same<OrderOfB, wmma::row_major>::value ? N : K);
  wmma::load_matrix_sync(sum, c, N, wmma::mem_row_major);
  wmma::mma_sync(sum, ofA, ofB, sum);
  for (int i = 0; i < sum.num_elements; ++i)
    sum.x[i] = sum.x[i] + sum.x[i];
  if (columns)
    wmma::store_matrix_sync(d, sum, M, wmma::mem_col_major);
  else
    wmma::store_matrix_sync(d, sum, N, wmma::mem_row_major);
}
extern "C" __global__ void wmma_f16(const half *a, const half *b, const float *c, float *d) {
  multiply<half, float, 16, 16, 16, wmma::col_major>(a, b, c, d, false);
}
extern "C" __global__ void wmma_tall(const half *a, const half *b, const float *c, float *d) {
  multiply<half, float, 32, 8, 16, wmma::row_major>(a, b, c, d, true);
}
extern "C" __global__ void wmma_half(const half *a, const half *b, const half *c, half *d) {
  multiply<half, half, 8, 32, 16, wmma::row_major>(a, b, c, d, false);
}
extern "C" __global__ void wmma_bf16(const __nv_bfloat16 *a, const __nv_bfloat16 *b, const float *c,
                                     float *d) {
  multiply<__nv_bfloat16, float, 16, 16, 16, wmma::row_major>(a, b, c, d, false);
}
extern "C" __global__ void wmma_s8(const signed char *a, const signed char *b, const int *c, int *d) {
  multiply<signed char, int, 16, 16, 16, wmma::col_major>(a, b, c, d, false);
}
extern "C" __global__ void wmma_f64(const double *a, const double *b, const double *c, double *d) {
  multiply<double, double, 8, 8, 4, wmma::col_major>(a, b, c, d, false);
}

// c = a b for row-major matrices of 32 x k and k x 32: four warps, tiles in shared memory.
extern "C" __global__ void wmma_tiles(const half *a, const half *b, float *c, int k) {
  __shared__ alignas(32) half tileA[32][16], tileB[16][32];
  const int t = threadIdx.x, row = t / 64 * 16, column = t / 32 % 2 * 16;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
  wmma::fill_fragment(sum, 0.f);
  for (int k0 = 0; k0 < k; k0 += 16) {
    for (int i = t; i < 512; i += 128) {
      tileA[i / 16][i % 16] = a[i / 16 * k + k0 + i % 16];
      tileB[i / 32][i % 32] = b[(k0 + i / 32) * 32 + i % 32];
    }
    __syncthreads();
    wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> ofA;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::row_major> ofB;
    wmma::load_matrix_sync(ofA, &tileA[row][0], 16);
    wmma::load_matrix_sync(ofB, &tileB[0][column], 32);
    wmma::mma_sync(sum, ofA, ofB, sum);
    __syncthreads();
  }
  wmma::store_matrix_sync(c + row * 32 + column, sum, 32, wmma::mem_row_major);
}

// One product of each rare shape: what lies in the registers is a row of a table in memory.
extern "C" __global__ void mma_f64(const double *a, const double *b, double *d) {
  const int l = threadIdx.x;
  double d0 = 1, d1 = 2;
  asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};"
      : "+d"(d0), "+d"(d1)
      : "d"(a[l]), "d"(b[l]));
  d[2 * l] = d0, d[2 * l + 1] = d1;
}
extern "C" __global__ void mma_eight_rows(const uint32_t *a, const uint32_t *b, int *d) {
  const int l = threadIdx.x;
  int d0 = 3, d1 = 4;
  asm("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0,%1}, {%2}, {%3}, {%0,%1};"
      : "+r"(d0), "+r"(d1)
      : "r"(a[l]), "r"(b[l]));
  d[2 * l] = d0, d[2 * l + 1] = d1;
}
extern "C" __global__ void mma_nibbles(const uint32_t *a, const uint32_t *b, int *d) {
  const int l = threadIdx.x;
  int s[4] = {0, 1, 2, 3};
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s4.s4.s32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+r"(s[0]), "+r"(s[1]), "+r"(s[2]), "+r"(s[3])
      : "r"(a[2 * l]), "r"(a[2 * l + 1]), "r"(b[l]));
  for (int i = 0; i < 4; ++i)
    d[4 * l + i] = s[i];
}
extern "C" __global__ void matrix_turned(const uint32_t *x, uint32_t *y) {
  uint32_t d;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(d) : "r"(x[threadIdx.x]));
  y[threadIdx.x] = d;
}
