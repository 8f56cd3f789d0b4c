// architectures: sm_80
// Kernels that a driver's tests launch: each shows one thing that a launch may do.
#include <cstdint>

__device__ uint32_t table[4] = {3, 1, 4, 1};

extern "C" __global__ void saxpy(float a, const float *x, float *y, uint32_t n) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    y[i] = a * x[i] + y[i];
}

extern "C" __global__ void copy_table(uint32_t *y) { y[threadIdx.x] = table[threadIdx.x]; }

struct Pair {
  uint64_t address;
  uint32_t value;
};

extern "C" __global__ void store_pair(uint8_t low, Pair pair) {
  *reinterpret_cast<uint32_t *>(pair.address) = pair.value + low;
}

// y is x backwards, by way of shared memory.
extern "C" __global__ void reverse(const uint32_t *x, uint32_t *y) {
  extern __shared__ uint32_t row[];
  row[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = row[blockDim.x - 1 - threadIdx.x];
}

extern "C" __global__ void __launch_bounds__(64) narrow(uint32_t *y) { y[threadIdx.x] = threadIdx.x; }

extern "C" __global__ void add_one(uint32_t *x, uint32_t n) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    x[i] += 1;
}

extern "C" __global__ void stop() { asm volatile("trap;"); }

extern "C" __global__ void wait_for_nobody(volatile uint32_t *flag) {
  while (*flag == 0)
    ;
}

__device__ __forceinline__ uint32_t loadAcquireSystem(const uint32_t *p) {
  uint32_t v;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}
__device__ __forceinline__ void storeReleaseSystem(uint32_t *p, uint32_t v) {
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}

// Waits until the host says so, or some other stream does.
extern "C" __global__ void wait_for_host(const uint32_t *flag, uint32_t *seen) {
  uint32_t value;
  do
    value = loadAcquireSystem(flag);
  while (value == 0);
  *seen = value;
}

extern "C" __global__ void count_for_host(uint32_t *counter) {
  asm volatile("red.relaxed.sys.global.add.u32 [%0], 1;" ::"l"(counter) : "memory");
}

constexpr uint32_t slots = 8;
struct Ring {
  uint32_t head, tail, cancel, unused;
  uint32_t tokens[slots];
};

// A player: block 1 computes one token after another, block 0 hands them to the host, until the
// host cancels.
extern "C" __global__ void play_tokens(Ring *ring, uint32_t *step, uint32_t *token, uint32_t most) {
  __shared__ uint32_t go;
  if (blockIdx.x == 1) {
    uint32_t value = 1;
#pragma unroll 1
    for (uint32_t i = 0; i < most; ++i) {
      if (threadIdx.x == 0) {
        uint32_t asked;
        do
          asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(asked) : "l"(step) : "memory");
        while (asked != 2 * i + 1 && asked != ~0u);
        go = asked != ~0u;
      }
      __syncthreads();
      const bool on = go;
      __syncthreads();
      if (!on)
        return;
      value = value * 1664525u + 1013904223u;
      if (threadIdx.x == 0) {
        *token = value;
        asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(step), "r"(2 * i + 2) : "memory");
      }
    }
    return;
  }
  if (threadIdx.x != 0)
    return;
#pragma unroll 1
  for (uint32_t i = 0; i < most; ++i) {
    bool cancelled = false;
    while (!(cancelled = loadAcquireSystem(&ring->cancel)) &&
           i - loadAcquireSystem(&ring->tail) >= slots)
      __nanosleep(100);
    if (cancelled) {
      asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(step), "r"(~0u) : "memory");
      return;
    }
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(step), "r"(2 * i + 1) : "memory");
    uint32_t done;
    do
      asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(done) : "l"(step) : "memory");
    while (done != 2 * i + 2);
    ring->tokens[i % slots] = *token;
    storeReleaseSystem(&ring->head, i + 1);
  }
}
