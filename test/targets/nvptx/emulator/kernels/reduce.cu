// Sums: a tree in shared memory, shuffles, redux, and two passes in one launch.
#include <cstdint>

// Each block leaves the sum of its 256 values.
extern "C" __global__ void reduce_tree(const float *x, float *partial, uint32_t n) {
  __shared__ float s[256];
  const uint32_t t = threadIdx.x, i = blockIdx.x * 256 + t;
  s[t] = i < n ? x[i] : 0.0f;
  __syncthreads();
#pragma unroll 1
  for (uint32_t half = 128; half > 0; half >>= 1) {
    if (t < half)
      s[t] += s[t + half];
    __syncthreads();
  }
  if (t == 0)
    partial[blockIdx.x] = s[0];
}

// Any whole number of warps: each folds itself by shuffles, the first folds the sums of all.
extern "C" __global__ void reduce_shuffle(const float *x, float *partial, uint32_t n) {
  __shared__ float sums[32];
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float v = 0.0f;
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    v += x[i];
#pragma unroll
  for (int d = 16; d > 0; d >>= 1)
    v += __shfl_down_sync(0xffffffffu, v, d);
  if (lane == 0)
    sums[warp] = v;
  __syncthreads();
  if (warp == 0) {
    v = lane < blockDim.x / 32 ? sums[lane] : 0.0f;
#pragma unroll
    for (int d = 16; d > 0; d >>= 1)
      v += __shfl_down_sync(0xffffffffu, v, d);
    if (lane == 0)
      partial[blockIdx.x] = v;
  }
}

// float4 loads over a grid-stride loop; the block that finishes last adds what the others left, in order.
extern "C" __global__ void reduce_last_block(const float4 *x, float *partial, uint32_t *finished,
                                             float *total, uint32_t n4) {
  __shared__ float s[128];
  __shared__ bool last;
  const uint32_t t = threadIdx.x;
  float v = 0.0f;
#pragma unroll 1
  for (uint32_t i = blockIdx.x * 128 + t; i < n4; i += gridDim.x * 128) {
    const float4 f = x[i];
    v += (f.x + f.y) + (f.z + f.w);
  }
  s[t] = v;
  __syncthreads();
#pragma unroll 1
  for (uint32_t half = 64; half > 0; half >>= 1) {
    if (t < half)
      s[t] += s[t + half];
    __syncthreads();
  }
  if (t == 0) {
    partial[blockIdx.x] = s[0];
    __threadfence();
    last = atomicAdd(finished, 1u) == gridDim.x - 1;
    __threadfence();
  }
  __syncthreads();
  if (last && t == 0) {
    float sum = 0.0f;
#pragma unroll 1
    for (uint32_t b = 0; b < gridDim.x; ++b)
      sum += partial[b];
    *total = sum;
    *finished = 0; // as the next launch expects it
  }
}

// The integer reductions of a warp, one row of six results for each.
extern "C" __global__ void reduce_redux(const uint32_t *x, uint32_t *out) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t v = x[i];
  const uint32_t sum = __reduce_add_sync(0xffffffffu, v);
  const uint32_t least = __reduce_min_sync(0xffffffffu, v);
  const int32_t most = __reduce_max_sync(0xffffffffu, static_cast<int32_t>(v));
  const uint32_t all = __reduce_and_sync(0xffffffffu, v);
  const uint32_t any = __reduce_or_sync(0xffffffffu, v);
  const uint32_t odd = __reduce_xor_sync(0xffffffffu, v);
  if (threadIdx.x % 32 == 0) {
    uint32_t *row = out + i / 32 * 6;
    row[0] = sum, row[1] = least, row[2] = static_cast<uint32_t>(most);
    row[3] = all, row[4] = any, row[5] = odd;
  }
}
