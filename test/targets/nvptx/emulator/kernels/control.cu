// Control flow: lanes that part and meet, calls, barriers of some threads, clocks, messages.
#include <cassert>
#include <cstdint>
#include <cstdio>

// Steps of Collatz's rule to one: every lane leaves the loop at another time.
extern "C" __global__ void branch_collatz(const uint32_t *x, uint32_t *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  uint32_t v = x[i], steps = 0;
  while (v != 1 && steps < 200) {
    if (v & 1) {
      if (v % 3 == 0)
        steps += 0x10000;
      v = v * 3 + 1;
    } else {
      v /= 2;
    }
    ++steps;
  }
  y[i] = steps;
}

// A stack machine: a switch within a loop, another program for each lane.
extern "C" __global__ void branch_switch(const uint8_t *programs, uint32_t *y, uint32_t length) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  uint32_t a = i, b = 1;
#pragma unroll 1
  for (uint32_t pc = 0; pc < length; ++pc) {
    switch (programs[i * length + pc]) {
    case 0: a += b; break;
    case 1: a -= b * 2; break;
    case 2: a ^= b << 3; break;
    case 3: b = a & 63; break;
    case 4: { const uint32_t c = a; a = b, b = c; } break;
    case 5: a = b == 0 ? ~0u : a % b; break;
    case 6: if (static_cast<int32_t>(a) > static_cast<int32_t>(b)) ++pc; break;
    default: y[i] = a - b; return;
    }
  }
  y[i] = a + b;
}

__device__ __noinline__ uint32_t mix(uint32_t a, uint32_t b) {
  a ^= b * 0x9e3779b9u;
  return (a << 13 | a >> 19) * 5 + 0xe6546b64u;
}
__device__ __noinline__ uint32_t times(uint32_t a, uint32_t b) { return a * b; }
__device__ __noinline__ uint32_t power(uint32_t base, uint32_t e) { // a call in a loop
  uint32_t p = 1;
#pragma unroll 1
  for (; e; e >>= 1) {
    if (e & 1)
      p = times(p, base);
    base = times(base, base);
  }
  return p;
}
__device__ __noinline__ uint32_t minus(uint32_t a, uint32_t b) { return a - b; }
using Binary = uint32_t (*)(uint32_t, uint32_t);
__device__ Binary table[3] = {mix, power, minus};

// A call by name, one that calls on in a loop, and one through a table, where lanes choose differently.
extern "C" __global__ void call_functions(const uint32_t *x, uint32_t *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t v = x[i];
  y[i] = table[v % 3](mix(v, i), power(3, v % 11));
}

// Two warps fill a buffer, two empty it; barrier 1 says full, barrier 2 says empty.
extern "C" __global__ void named_barriers(const uint32_t *x, uint32_t *y, uint32_t rounds) {
  __shared__ uint32_t buffer[64];
  const uint32_t t = threadIdx.x;
  if (t < 64) {
#pragma unroll 1
    for (uint32_t i = 0; i < rounds; ++i) {
      const uint32_t v = x[(blockIdx.x * rounds + i) * 64 + t];
      asm volatile("bar.sync 2, 128;" ::: "memory");
      buffer[t] = v + i;
      asm volatile("bar.arrive 1, 128;" ::: "memory");
    }
  } else {
    asm volatile("bar.arrive 2, 128;" ::: "memory");
#pragma unroll 1
    for (uint32_t i = 0; i < rounds; ++i) {
      asm volatile("bar.sync 1, 128;" ::: "memory");
      y[(blockIdx.x * rounds + i) * 64 + t - 64] = buffer[127 - t];
      if (i + 1 < rounds)
        asm volatile("bar.arrive 2, 128;" ::: "memory");
    }
  }
}

// Barriers that count, and that ask everyone.
extern "C" __global__ void barrier_votes(const uint32_t *x, uint32_t *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const uint32_t v = x[i];
  const int odd = __syncthreads_count(v & 1);
  const int small = __syncthreads_and(v < 1000);
  const int seven = __syncthreads_or(v == 7);
  y[i] = odd * 4 + (small ? 2 : 0) + (seven ? 1 : 0);
}

// Clocks go forward, also over a sleep.
extern "C" __global__ void clocks(uint32_t *y) {
  const long long c0 = clock64();
  uint64_t g0, g1;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(g0)::"memory");
  uint32_t sleep = 8;
  for (int k = 0; k < 4; ++k, sleep *= 2)
    __nanosleep(sleep);
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(g1)::"memory");
  const long long c1 = clock64();
  uint32_t sm, sms;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
  asm volatile("mov.u32 %0, %%nsmid;" : "=r"(sms));
  y[blockIdx.x * blockDim.x + threadIdx.x] = (c1 > c0) + 2 * (g1 >= g0) + 4 * (sm < sms);
}

// One line for every fourth thread.
extern "C" __global__ void print_lines(const float *x) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i % 4 == 0)
    printf("%u: %.3f %s %c 0x%llx %5d|%-4d|\n", i, x[i], i % 8 ? "odd" : "even", 'a' + i % 26,
           (unsigned long long)i << 36, -static_cast<int>(i), i);
}

// An assertion that holds.
extern "C" __global__ void assert_holds(const uint32_t *x, uint32_t *y) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  assert(x[i] < 1000 && "input in range");
  y[i] = x[i] + 1;
}
