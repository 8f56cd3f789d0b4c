// cp.async: a pipeline of stages, tails filled with zeros, and arrival on an mbarrier.
#include "Ptx.cuh"

// Four stages in flight; each thread reads what its neighbour copied, so the wait needs a barrier too.
extern "C" __global__ void copy_stages(const float4 *x, float4 *y, uint32_t tiles) {
  __shared__ float4 ring[4][64];
  const uint32_t t = threadIdx.x;
  const float4 *from = x + size_t(blockIdx.x) * tiles * 64;
  for (uint32_t s = 0; s < 3; ++s) {
    if (s < tiles)
      copyAsync16(&ring[s][t], from + s * 64 + t);
    commitGroup();
  }
  float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll 1
  for (uint32_t i = 0; i < tiles; ++i) {
    waitGroup<2>();
    __syncthreads(); // all copies of this tile have landed, and all threads are done with the one before
    if (i + 3 < tiles)
      copyAsync16(&ring[(i + 3) % 4][t], from + (i + 3) * 64 + t);
    commitGroup(); // also an empty one, so that the count of groups stays in step
    const float4 v = ring[i % 4][(t + 1) % 64];
    sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
  }
  y[blockIdx.x * 64 + t] = sum;
}

// Words of four bytes; what lies behind the end arrives as zero.
extern "C" __global__ void copy_tail(const uint32_t *x, uint32_t *y, uint32_t n) {
  __shared__ uint32_t s[128];
  const uint32_t t = threadIdx.x, i = blockIdx.x * 128 + t;
  copyAsync4(&s[t], i < n ? x + i : x, i < n ? 4 : 0);
  asm volatile("cp.async.wait_all;" ::: "memory");
  __syncthreads();
  y[i] = s[127 - t];
}

// Copies that arrive on an mbarrier when they have landed: every thread waits for all of them.
extern "C" __global__ void copy_barrier(const uint4 *x, uint4 *y, uint32_t tiles) {
  __shared__ uint4 s[64];
  __shared__ uint64_t landed;
  const uint32_t t = threadIdx.x;
  if (t == 0)
    initBarrier(&landed, 64);
  __syncthreads();
#pragma unroll 1
  for (uint32_t i = 0; i < tiles; ++i) {
    const size_t base = (size_t(blockIdx.x) * tiles + i) * 64;
    uint64_t state;
    copyAsync16(&s[t], x + base + t);
    asm volatile("cp.async.mbarrier.arrive.shared.b64 [%0];" ::"r"(sharedAddress(&landed))
                 : "memory");
    asm volatile("mbarrier.arrive.shared.b64 %0, [%1];"
                 : "=l"(state)
                 : "r"(sharedAddress(&landed))
                 : "memory");
    uint32_t done = 0;
    while (!done)
      asm volatile("{\n\t.reg .pred p;\n\tmbarrier.test_wait.shared.b64 p, [%1], %2;\n\t"
                   "selp.u32 %0, 1, 0, p;\n\t}"
                   : "=r"(done)
                   : "r"(sharedAddress(&landed)), "l"(state)
                   : "memory");
    const uint4 v = s[63 - t];
    y[base + t] = v;
    __syncthreads(); // before the next round overwrites `s`
  }
}
