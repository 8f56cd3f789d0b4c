// mbarriers without copies: halves of a block hand values to each other.
#include "Ptx.cuh"

__device__ __forceinline__ void waitParity(uint64_t *barrier, uint32_t parity) {
  uint32_t done = 0;
  while (!done)
    asm volatile("{\n\t.reg .pred p;\n\tmbarrier.test_wait.parity.shared.b64 p, [%1], %2;\n\t"
                 "selp.u32 %0, 1, 0, p;\n\t}"
                 : "=r"(done)
                 : "r"(sharedAddress(barrier)), "r"(parity)
                 : "memory");
}

// Threads 0-63 write, threads 64-127 read what a mirrored thread wrote, round after round.
extern "C" __global__ void mbarrier_halves(const uint32_t *x, uint32_t *y, uint32_t rounds) {
  __shared__ uint32_t box[2][64];
  __shared__ uint64_t full[2], empty[2];
  const uint32_t t = threadIdx.x;
  if (t < 2)
    initBarrier(&full[t], 64), initBarrier(&empty[t], 64);
  __syncthreads();
  if (t < 64) {
#pragma unroll 1
    for (uint32_t i = 0; i < rounds; ++i) {
      const uint32_t s = i % 2, lap = i / 2;
      const uint32_t v = x[(blockIdx.x * rounds + i) * 64 + t];
      if (lap > 0)
        waitParity(&empty[s], (lap - 1) & 1);
      box[s][t] = v * 3;
      arrive(&full[s]);
    }
  } else {
#pragma unroll 1
    for (uint32_t i = 0; i < rounds; ++i) {
      const uint32_t s = i % 2, lap = i / 2, u = t - 64;
      waitParity(&full[s], lap & 1);
      y[(blockIdx.x * rounds + i) * 64 + u] = box[s][63 - u] + i;
      arrive(&empty[s]);
    }
  }
}

// One arrival counts for a whole warp: lane 0 arrives for the others, and the state that the arrival
// returns is what it waits with.
extern "C" __global__ void mbarrier_state(const uint32_t *x, uint32_t *y) {
  __shared__ uint32_t sums[4];
  __shared__ uint64_t all;
  const uint32_t t = threadIdx.x, lane = t % 32, warp = t / 32;
  if (t == 0)
    initBarrier(&all, 128);
  __syncthreads();
  const uint32_t sum = __reduce_add_sync(0xffffffffu, x[blockIdx.x * 128 + t]);
  if (lane == 0)
    sums[warp] = sum;
  __syncwarp();
  if (lane == 0) {
    [[maybe_unused]] uint64_t state;
    asm volatile("mbarrier.arrive.noComplete.shared.b64 %0, [%1], 31;"
                 : "=l"(state)
                 : "r"(sharedAddress(&all))
                 : "memory");
    arrive(&all);
  }
  waitParity(&all, 0);
  y[blockIdx.x * 128 + t] = sums[0] + sums[1] * 2 + sums[2] * 3 + sums[3] * 4 + t;
}
