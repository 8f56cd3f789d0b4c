// Prefix sums: within a block, within a warp, across blocks in one pass, and of 64-bit numbers.
#include "Ptx.cuh"

// Hillis and Steele's scan of 128 values a block, between two halves of shared memory.
extern "C" __global__ void scan_block(const int32_t *x, int32_t *y) {
  __shared__ int32_t s[2][128];
  const uint32_t t = threadIdx.x, i = blockIdx.x * 128 + t;
  s[0][t] = x[i];
  uint32_t from = 0;
  __syncthreads();
#pragma unroll 1
  for (uint32_t d = 1; d < 128; d <<= 1) {
    s[from ^ 1][t] = t >= d ? s[from][t] + s[from][t - d] : s[from][t];
    from ^= 1;
    __syncthreads();
  }
  y[i] = s[from][t];
}

__device__ __forceinline__ uint32_t scanWarp(uint32_t v) {
#pragma unroll
  for (uint32_t d = 1; d < 32; d <<= 1) {
    const uint32_t below = __shfl_up_sync(0xffffffffu, v, d);
    if (threadIdx.x % 32 >= d)
      v += below;
  }
  return v;
}

// Each warp on its own; the sums of the last, half-empty warp too.
extern "C" __global__ void scan_warp(const uint32_t *x, uint32_t *y, uint32_t n) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t v = scanWarp(i < n ? x[i] : 0);
  if (i < n)
    y[i] = v;
}

// One pass over the whole array: a block publishes the sum of its part (state 1), looks back over the
// blocks before it until one knows its whole prefix (state 2), and publishes its own. Parts are drawn by
// ticket, so that a block waits only for blocks that have begun.
extern "C" __global__ void scan_lookback(const uint32_t *x, uint32_t *y, uint32_t *ticket,
                                         uint32_t *state, uint32_t *sums, uint32_t *prefixes) {
  __shared__ uint32_t part, before, warps[4];
  const uint32_t t = threadIdx.x, lane = t % 32, warp = t / 32;
  if (t == 0)
    part = atomicAdd(ticket, 1u);
  __syncthreads();
  const uint32_t i = part * 128 + t;
  uint32_t v = scanWarp(x[i]);
  if (lane == 31)
    warps[warp] = v;
  __syncthreads();
#pragma unroll
  for (uint32_t w = 0; w < 3; ++w)
    v += w < warp ? warps[w] : 0;
  if (t == 127) {
    uint32_t sum = 0;
    if (part > 0) {
      sums[part] = v;
      storeRelease(&state[part], 1);
      for (uint32_t p = part; p-- > 0;) {
        uint32_t s;
        while ((s = loadAcquire(&state[p])) == 0)
          __nanosleep(20);
        if (s == 2) {
          sum += prefixes[p];
          break;
        }
        sum += sums[p];
      }
    }
    prefixes[part] = sum + v;
    storeRelease(&state[part], 2);
    before = sum;
  }
  __syncthreads();
  y[i] = before + v;
}

// 64-bit sums whose low halves carry into the high ones; one block walks over the array.
extern "C" __global__ void scan_u64(const unsigned long long *x, unsigned long long *y, uint32_t n) {
  __shared__ unsigned long long warps[4];
  const uint32_t t = threadIdx.x, lane = t % 32, warp = t / 32;
  unsigned long long carry = 0;
#pragma unroll 1
  for (uint32_t base = 0; base < n; base += 128) {
    unsigned long long v = base + t < n ? x[base + t] : 0;
#pragma unroll
    for (uint32_t d = 1; d < 32; d <<= 1) {
      const unsigned long long below = __shfl_up_sync(0xffffffffu, v, d);
      if (lane >= d)
        v += below;
    }
    if (lane == 31)
      warps[warp] = v;
    __syncthreads();
    unsigned long long all = 0;
#pragma unroll
    for (uint32_t w = 0; w < 4; ++w) {
      if (w < warp)
        v += warps[w];
      all += warps[w];
    }
    if (base + t < n)
      y[base + t] = carry + v;
    carry += all;
    __syncthreads(); // before the next round writes `warps`
  }
}
