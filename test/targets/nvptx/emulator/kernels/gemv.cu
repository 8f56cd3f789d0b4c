// A matrix times a vector, as one token needs it: a warp for each row.
#include <cstdint>
#include <cuda_bf16.h>

// y[rows] = W[rows][columns] * x in bf16, sums in f32; columns is a multiple of 256.
extern "C" __global__ void gemv_bf16(const __nv_bfloat16 *__restrict__ w,
                                     const __nv_bfloat16 *__restrict__ x, float *__restrict__ y,
                                     uint32_t rows, uint32_t columns) {
  const uint32_t lane = threadIdx.x % 32;
  const uint32_t row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  if (row >= rows)
    return; // the whole warp
  float sum = 0.0f;
#pragma unroll 1
  for (uint32_t c = lane * 8; c < columns; c += 256) {
    const uint4 a = *reinterpret_cast<const uint4 *>(w + size_t(row) * columns + c);
    const uint4 b = *reinterpret_cast<const uint4 *>(x + c);
    const __nv_bfloat162 *pa = reinterpret_cast<const __nv_bfloat162 *>(&a),
                         *pb = reinterpret_cast<const __nv_bfloat162 *>(&b);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float2 u = __bfloat1622float2(pa[i]), v = __bfloat1622float2(pb[i]);
      sum = fmaf(u.x, v.x, sum);
      sum = fmaf(u.y, v.y, sum);
    }
  }
#pragma unroll
  for (int d = 16; d > 0; d >>= 1)
    sum += __shfl_xor_sync(0xffffffffu, sum, d);
  if (lane == 0)
    y[row] = sum;
}

// Signed bytes by dp4a; groups of 128 columns have a scale each.
extern "C" __global__ void gemv_dp4a(const int32_t *__restrict__ w, const float *__restrict__ scales,
                                     const int32_t *__restrict__ x, float *__restrict__ y,
                                     uint32_t rows, uint32_t words) {
  const uint32_t lane = threadIdx.x % 32;
  const uint32_t row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  if (row >= rows)
    return;
  float sum = 0.0f;
#pragma unroll 1
  for (uint32_t g = 0; g < words / 32; ++g) {
    const int32_t dot = __dp4a(w[size_t(row) * words + g * 32 + lane], __ldg(x + g * 32 + lane), 0);
    const int32_t all = __reduce_add_sync(0xffffffffu, dot);
    sum = fmaf(static_cast<float>(all), __ldg(scales + row * (words / 32) + g), sum);
  }
  if (lane == 0)
    y[row] = sum;
}
