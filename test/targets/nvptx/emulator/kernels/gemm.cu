// Products of matrices on tensor cores. Every block computes 32 x 32 of C with four warps of 16 x 16.
#include "Ptx.cuh"
#include <cuda_bf16.h>
#include <cuda_fp16.h>

__device__ __forceinline__ void loadMatrix4(uint32_t (&r)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(sharedAddress(row))
               : "memory");
}
__device__ __forceinline__ void loadMatrix4Transposed(uint32_t (&r)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(sharedAddress(row))
               : "memory");
}

// C[M][N] = A[M][K] * B[N][K]^T in bf16 with sums in f32; K is a multiple of 32.
extern "C" __global__ void gemm_bf16(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c,
                                     uint32_t n, uint32_t k) {
  __shared__ __align__(16) __nv_bfloat16 sa[32][40], sb[32][40]; // padded: rows start in other banks
  const uint32_t t = threadIdx.x, lane = t % 32, warp = t / 32;
  const uint32_t row0 = blockIdx.y * 32, column0 = blockIdx.x * 32;
  const uint32_t m0 = warp / 2 * 16, n0 = warp % 2 * 16;
  float d[2][4] = {};
#pragma unroll 1
  for (uint32_t k0 = 0; k0 < k; k0 += 32) {
    const uint32_t r = t / 4, q = t % 4 * 8;
    *reinterpret_cast<uint4 *>(&sa[r][q]) =
        *reinterpret_cast<const uint4 *>(&a[size_t(row0 + r) * k + k0 + q]);
    *reinterpret_cast<uint4 *>(&sb[r][q]) =
        *reinterpret_cast<const uint4 *>(&b[size_t(column0 + r) * k + k0 + q]);
    __syncthreads();
#pragma unroll
    for (uint32_t kk = 0; kk < 32; kk += 16) {
      uint32_t fa[4], fb[4];
      loadMatrix4(fa, &sa[m0 + lane % 16][kk + lane / 16 * 8]);
      loadMatrix4(fb, &sb[n0 + lane % 8 + lane / 16 * 8][kk + lane / 8 % 2 * 8]);
#pragma unroll
      for (int j = 0; j < 2; ++j)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
                     "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
                     : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[2 * j]),
                       "r"(fb[2 * j + 1]));
    }
    __syncthreads();
  }
  for (int j = 0; j < 2; ++j)
    for (int h = 0; h < 2; ++h)
      *reinterpret_cast<float2 *>(
          &c[size_t(row0 + m0 + lane / 4 + 8 * h) * n + column0 + n0 + 8 * j + lane % 4 * 2]) =
          make_float2(d[j][2 * h], d[j][2 * h + 1]);
}

// C[M][N] = A[M][K] * B[K][N] in f16 with sums in f32; tiles come by cp.async, one ahead.
extern "C" __global__ void gemm_f16(const __half *a, const __half *b, float *c, uint32_t n,
                                    uint32_t k) {
  __shared__ __align__(16) __half sa[2][32][40], sb[2][32][40];
  const uint32_t t = threadIdx.x, lane = t % 32, warp = t / 32;
  const uint32_t row0 = blockIdx.y * 32, column0 = blockIdx.x * 32;
  const uint32_t m0 = warp / 2 * 16, n0 = warp % 2 * 16;
  const uint32_t r = t / 4, q = t % 4 * 8;
  auto fetch = [&](uint32_t stage, uint32_t k0) {
    copyAsync16(&sa[stage][r][q], &a[size_t(row0 + r) * k + k0 + q]);
    copyAsync16(&sb[stage][r][q], &b[size_t(k0 + r) * n + column0 + q]);
    commitGroup();
  };
  float d[2][4] = {};
  fetch(0, 0);
#pragma unroll 1
  for (uint32_t k0 = 0, stage = 0; k0 < k; k0 += 32, stage ^= 1) {
    if (k0 + 32 < k) {
      fetch(stage ^ 1, k0 + 32);
      waitGroup<1>();
    } else {
      waitGroup<0>();
    }
    __syncthreads();
#pragma unroll
    for (uint32_t kk = 0; kk < 32; kk += 16) {
      uint32_t fa[4], fb[4];
      loadMatrix4(fa, &sa[stage][m0 + lane % 16][kk + lane / 16 * 8]);
      loadMatrix4Transposed(fb, &sb[stage][kk + lane % 16][n0 + lane / 16 * 8]);
#pragma unroll
      for (int j = 0; j < 2; ++j)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, "
                     "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
                     : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[2 * j]),
                       "r"(fb[2 * j + 1]));
    }
    __syncthreads(); // the next round fetches into this stage
  }
  for (int j = 0; j < 2; ++j)
    for (int h = 0; h < 2; ++h)
      *reinterpret_cast<float2 *>(
          &c[size_t(row0 + m0 + lane / 4 + 8 * h) * n + column0 + n0 + 8 * j + lane % 4 * 2]) =
          make_float2(d[j][2 * h], d[j][2 * h + 1]);
}

__device__ __forceinline__ uint32_t toTf32(float v) {
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(v));
  return r;
}

// C[M][N] = A[M][K] * B[N][K]^T in tf32; fragments straight from device memory. K is a multiple of 8.
extern "C" __global__ void gemm_tf32(const float *a, const float *b, float *c, uint32_t n,
                                     uint32_t k) {
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, q = lane % 4;
  const uint32_t row = blockIdx.y * 32 + warp / 2 * 16 + g, column = blockIdx.x * 32 + warp % 2 * 16;
  float d[2][4] = {};
#pragma unroll 1
  for (uint32_t k0 = 0; k0 < k; k0 += 8) {
    const float *p = a + size_t(row) * k + k0 + q;
    const uint32_t a0 = toTf32(p[0]), a1 = toTf32(p[8 * k]), a2 = toTf32(p[4]),
                   a3 = toTf32(p[8 * k + 4]);
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const float *w = b + size_t(column + 8 * j + g) * k + k0 + q;
      const uint32_t b0 = toTf32(w[0]), b1 = toTf32(w[4]);
      asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
                   "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                   : "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])
                   : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    }
  }
  for (int j = 0; j < 2; ++j)
    for (int e = 0; e < 4; ++e)
      c[size_t(row + e / 2 * 8) * n + column + 8 * j + q * 2 + e % 2] = d[j][e];
}

// C[M][N] = A[M][K] * B[N][K]^T of signed bytes with sums in s32. K is a multiple of 32.
extern "C" __global__ void gemm_s8(const int8_t *a, const int8_t *b, int32_t *c, uint32_t n,
                                   uint32_t k) {
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, q = lane % 4;
  const uint32_t row = blockIdx.y * 32 + warp / 2 * 16 + g, column = blockIdx.x * 32 + warp % 2 * 16;
  auto word = [](const int8_t *p) { return *reinterpret_cast<const uint32_t *>(p); };
  int32_t d[2][4] = {};
#pragma unroll 1
  for (uint32_t k0 = 0; k0 < k; k0 += 32) {
    const int8_t *p = a + size_t(row) * k + k0 + q * 4;
    const uint32_t a0 = word(p), a1 = word(p + 8 * k), a2 = word(p + 16), a3 = word(p + 8 * k + 16);
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int8_t *w = b + size_t(column + 8 * j + g) * k + k0 + q * 4;
      const uint32_t b0 = word(w), b1 = word(w + 16);
      asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, "
                   "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                   : "+r"(d[j][0]), "+r"(d[j][1]), "+r"(d[j][2]), "+r"(d[j][3])
                   : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    }
  }
  for (int j = 0; j < 2; ++j)
    for (int e = 0; e < 4; ++e)
      c[size_t(row + e / 2 * 8) * n + column + 8 * j + q * 2 + e % 2] = d[j][e];
}

// One warp, 16 x 8 of C: f16 in, f16 out. C[16][8] += A[16][K] * B[8][K]^T.
extern "C" __global__ void gemm_f16_sums(const __half *a, const __half *b, __half *c, uint32_t k) {
  const uint32_t lane = threadIdx.x, g = lane / 4, q = lane % 4;
  auto word = [](const __half *p) { return *reinterpret_cast<const uint32_t *>(p); };
  uint32_t *top = reinterpret_cast<uint32_t *>(c + g * 8 + q * 2),
           *bottom = reinterpret_cast<uint32_t *>(c + (g + 8) * 8 + q * 2);
  uint32_t d0 = *top, d1 = *bottom;
#pragma unroll 1
  for (uint32_t k0 = 0; k0 < k; k0 += 16) {
    const __half *p = a + g * k + k0 + q * 2, *w = b + g * k + k0 + q * 2;
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0, %1}, {%2, %3, %4, %5}, "
                 "{%6, %7}, {%0, %1};"
                 : "+r"(d0), "+r"(d1)
                 : "r"(word(p)), "r"(word(p + 8 * k)), "r"(word(p + 8)), "r"(word(p + 8 * k + 8)),
                   "r"(word(w)), "r"(word(w + 8)));
  }
  *top = d0, *bottom = d1;
}
