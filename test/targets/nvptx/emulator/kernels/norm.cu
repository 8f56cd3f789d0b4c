// Rows of a model: softmax, norms, rotary positions.
#include <cstdint>
#include <cuda_bf16.h>

__device__ __forceinline__ float sumBlock(float v, float *sums) {
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
  for (int d = 16; d > 0; d >>= 1)
    v += __shfl_xor_sync(0xffffffffu, v, d);
  if (lane == 0)
    sums[warp] = v;
  __syncthreads();
  v = lane < blockDim.x / 32 ? sums[lane] : 0.0f;
#pragma unroll
  for (int d = 16; d > 0; d >>= 1)
    v += __shfl_xor_sync(0xffffffffu, v, d);
  __syncthreads();
  return v;
}

// One row a warp, maximum and sum in one pass.
extern "C" __global__ void softmax_online(const float *x, float *y, uint32_t columns) {
  const uint32_t lane = threadIdx.x % 32, row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
  const float *from = x + size_t(row) * columns;
  float m = -INFINITY, sum = 0.0f;
  for (uint32_t c = lane; c < columns; c += 32) {
    const float v = from[c], top = fmaxf(m, v);
    sum = sum * __expf(m - top) + __expf(v - top);
    m = top;
  }
#pragma unroll
  for (int d = 16; d > 0; d >>= 1) {
    const float om = __shfl_xor_sync(0xffffffffu, m, d), os = __shfl_xor_sync(0xffffffffu, sum, d);
    const float top = fmaxf(m, om);
    sum = sum * __expf(m - top) + os * __expf(om - top);
    m = top;
  }
  for (uint32_t c = lane; c < columns; c += 32)
    y[size_t(row) * columns + c] = expf(from[c] - m) / sum;
}

// One row a block.
extern "C" __global__ void layer_norm(const float *x, const float *gain, const float *bias, float *y,
                                      uint32_t columns) {
  __shared__ float sums[32];
  const float *from = x + size_t(blockIdx.x) * columns;
  float s = 0.0f;
  for (uint32_t c = threadIdx.x; c < columns; c += blockDim.x)
    s += from[c];
  const float mean = sumBlock(s, sums) / columns;
  float q = 0.0f;
  for (uint32_t c = threadIdx.x; c < columns; c += blockDim.x)
    q = fmaf(from[c] - mean, from[c] - mean, q);
  const float scale = rsqrtf(sumBlock(q, sums) / columns + 1e-5f);
  for (uint32_t c = threadIdx.x; c < columns; c += blockDim.x)
    y[size_t(blockIdx.x) * columns + c] = fmaf((from[c] - mean) * scale, gain[c], bias[c]);
}

// bf16 in and out, two elements at a time.
extern "C" __global__ void rms_norm(const __nv_bfloat162 *x, const __nv_bfloat162 *gain,
                                    __nv_bfloat162 *y, uint32_t pairs) {
  __shared__ float sums[32];
  const __nv_bfloat162 *from = x + size_t(blockIdx.x) * pairs;
  float s = 0.0f;
  for (uint32_t c = threadIdx.x; c < pairs; c += blockDim.x) {
    const float2 v = __bfloat1622float2(from[c]);
    s = fmaf(v.x, v.x, s), s = fmaf(v.y, v.y, s);
  }
  const float scale = 1.0f / sqrtf(sumBlock(s, sums) / (2 * pairs) + 1e-6f);
  for (uint32_t c = threadIdx.x; c < pairs; c += blockDim.x) {
    const float2 v = __bfloat1622float2(from[c]), g = __bfloat1622float2(gain[c]);
    y[size_t(blockIdx.x) * pairs + c] = __floats2bfloat162_rn(v.x * scale * g.x, v.y * scale * g.y);
  }
}

// Turns pairs (i, i + half) of each head by position times frequency; angles are large, so that sincosf
// reduces them the long way, through a table of bits of pi in local memory.
extern "C" __global__ void rope(float *x, const float *frequencies, const float *positions,
                                uint32_t half) {
  const uint32_t i = threadIdx.x, head = blockIdx.x;
  const float angle = positions[blockIdx.y] * frequencies[i];
  float s, c;
  sincosf(angle, &s, &c);
  float *p = x + (size_t(blockIdx.y) * gridDim.x + head) * 2 * half;
  const float a = p[i], b = p[i + half];
  p[i] = a * c - b * s;
  p[i + half] = b * c + a * s;
}
