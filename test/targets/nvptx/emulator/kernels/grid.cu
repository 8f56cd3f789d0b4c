// Blocks that wait for each other: barriers over the grid, messages, a lock.
#include "Ptx.cuh"
#include <cooperative_groups.h>
#include <cuda/atomic>

// Jacobi steps on a line, with cooperative groups' barrier between them. `a` and `b` change roles.
extern "C" __global__ void grid_sync(float *a, float *b, uint32_t n, uint32_t steps) {
  auto grid = cooperative_groups::this_grid();
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
#pragma unroll 1
  for (uint32_t s = 0; s < steps; ++s) {
    if (i > 0 && i + 1 < n)
      b[i] = (a[i - 1] + a[i + 1]) * 0.5f;
    else if (i < n)
      b[i] = a[i];
    grid.sync();
    float *old = a;
    a = b, b = old;
  }
}

// The same by hand: a counter that only grows.
extern "C" __global__ void grid_counter(uint32_t *a, uint32_t *b, uint32_t *counter, uint32_t steps) {
  const uint32_t n = gridDim.x * blockDim.x, i = blockIdx.x * blockDim.x + threadIdx.x;
#pragma unroll 1
  for (uint32_t s = 0; s < steps; ++s) {
    b[i] = a[(i + n - 1) % n] + a[(i + 1) % n] * 3;
    __syncthreads();
    if (threadIdx.x == 0) {
      addRelease(counter, 1);
      while (loadAcquire(counter) < (s + 1) * gridDim.x)
        __nanosleep(40);
    }
    __syncthreads();
    uint32_t *old = a;
    a = b, b = old;
  }
}

// Block 0 sends messages of 128 words to block 1 through a ring of two.
extern "C" __global__ void message_ring(const uint32_t *x, uint32_t *ring, uint32_t *sent,
                                        uint32_t *taken, uint32_t *y, uint32_t messages) {
  const uint32_t t = threadIdx.x;
#pragma unroll 1
  for (uint32_t m = 0; m < messages; ++m) {
    uint32_t *slot = ring + m % 2 * 128;
    if (blockIdx.x == 0) {
      if (t == 0 && m >= 2)
        while (loadAcquire(taken) < m - 1)
          ;
      __syncthreads();
      slot[t] = x[m * 128 + t] ^ m;
      __syncthreads();
      if (t == 0)
        storeRelease(sent, m + 1);
    } else {
      if (t == 0)
        while (loadAcquire(sent) < m + 1)
          ;
      __syncthreads();
      y[m * 128 + t] = slot[127 - t];
      __syncthreads();
      if (t == 0)
        storeRelease(taken, m + 1);
    }
  }
}

// The old way: fences around a volatile flag.
extern "C" __global__ void message_fence(const uint32_t *x, uint32_t *data, volatile uint32_t *flag,
                                         uint32_t *y) {
  const uint32_t t = threadIdx.x;
  if (blockIdx.x == 0) {
    data[t] = x[t] * 5 + 1;
    __syncthreads();
    if (t == 0) {
      __threadfence();
      *flag = 1;
    }
  } else {
    if (t == 0) {
      while (*flag == 0)
        ;
      __threadfence();
    }
    __syncthreads();
    y[t] = data[t] + blockIdx.x;
  }
}

// The library's way: each block passes a growing sum on to the next.
extern "C" __global__ void message_chain(const uint32_t *x, uint32_t *links, uint32_t *sums) {
  if (threadIdx.x != 0)
    return;
  const uint32_t b = blockIdx.x;
  uint32_t sum = x[b];
  if (b > 0) {
    cuda::atomic_ref<uint32_t, cuda::thread_scope_device> before(links[b - 1]);
    while (before.load(cuda::memory_order_acquire) == 0)
      ;
    sum += sums[b - 1];
  }
  sums[b] = sum;
  cuda::atomic_ref<uint32_t, cuda::thread_scope_device> mine(links[b]);
  mine.store(1, cuda::memory_order_release);
}

// A lock around plain words that every block adds to.
extern "C" __global__ void spin_lock(uint32_t *lock, uint32_t *words, uint32_t rounds) {
  const uint32_t t = threadIdx.x;
#pragma unroll 1
  for (uint32_t r = 0; r < rounds; ++r) {
    if (t == 0) {
      uint32_t held = 1;
      while (held) {
        asm volatile("atom.acquire.gpu.global.cas.b32 %0, [%1], 0, 1;"
                     : "=r"(held)
                     : "l"(lock)
                     : "memory");
        if (held)
          __nanosleep(30);
      }
    }
    __syncthreads();
    words[t] += blockIdx.x + r + t;
    __syncthreads();
    if (t == 0)
      storeRelease(lock, 0);
  }
}
