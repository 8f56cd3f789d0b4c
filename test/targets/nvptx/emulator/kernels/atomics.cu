// Atomic operations on integers, floats and packed halves; a histogram.
#include <cstdint>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

// One cell for each operation; the results do not depend on the order.
extern "C" __global__ void atomics_integer(const uint32_t *x, uint32_t *cells,
                                           unsigned long long *wide, uint32_t n) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  const uint32_t v = x[i];
  atomicAdd(&cells[0], v);
  atomicMin(&cells[1], v);
  atomicMax(&cells[2], v);
  atomicMin(reinterpret_cast<int32_t *>(&cells[3]), static_cast<int32_t>(v));
  atomicMax(reinterpret_cast<int32_t *>(&cells[4]), static_cast<int32_t>(v));
  atomicAnd(&cells[5], v | 0xff);
  atomicOr(&cells[6], v & 0xf0f0);
  atomicXor(&cells[7], v);
  atomicInc(&cells[8], 12); // counts modulo 13
  atomicDec(&cells[9], 10); // counts down modulo 11
  atomicSub(&cells[10], v & 15);
  atomicAdd(&wide[0], (unsigned long long)v << 20);
  atomicMax(&wide[1], (unsigned long long)v * v);
  atomicXor(&wide[2], (unsigned long long)v << (i % 32));
}

// Tickets by exchange and compare-and-swap: every thread gets a number of its own.
extern "C" __global__ void atomics_ticket(uint32_t *next, uint32_t *owners) {
  uint32_t old = *reinterpret_cast<volatile uint32_t *>(next), seen;
  do {
    seen = old;
    old = atomicCAS(next, seen, seen + 1);
  } while (old != seen);
  // Whoever was there before would show; nobody may be.
  const uint32_t before = atomicExch(&owners[seen], threadIdx.x + blockIdx.x * blockDim.x + 1);
  if (before != 0)
    atomicAdd(next, 0x10000u);
}

// atomicAdd of two bf16. Before sm_90 the header has a loop that begins with a plain load, which races with
// the other threads; this one begins with a strong load.
__device__ __forceinline__ void addPair(__nv_bfloat162 *sum, __nv_bfloat162 v) {
#if __CUDA_ARCH__ >= 900
  atomicAdd(sum, v);
#else
  uint32_t *bits = reinterpret_cast<uint32_t *>(sum);
  uint32_t old = *reinterpret_cast<volatile uint32_t *>(bits), seen;
  do {
    seen = old;
    const __nv_bfloat162 next = __hadd2(reinterpret_cast<const __nv_bfloat162 &>(seen), v);
    old = atomicCAS(bits, seen, reinterpret_cast<const uint32_t &>(next));
  } while (old != seen);
#endif
}

// Sums of whole numbers, which are exact in any order.
extern "C" __global__ void atomics_float(const float *x, float *sum, double *wide, float *most,
                                         __half2 *halves, __nv_bfloat162 *brains) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const float v = x[i];
  atomicAdd(sum, v);
  atomicAdd(wide, static_cast<double>(v) * 0.25);
  // The greatest float, by a loop over its bits.
  int *bits = reinterpret_cast<int *>(most);
  int old = __float_as_int(*reinterpret_cast<volatile float *>(most)), seen;
  do {
    seen = old;
    if (__int_as_float(seen) >= v)
      break;
    old = atomicCAS(bits, seen, __float_as_int(v));
  } while (old != seen);
  atomicAdd(&halves[i % 16], __floats2half2_rn(v, -1.0f));
  addPair(&brains[i % 32], __floats2bfloat162_rn(1.0f, v));
}

// 64 bins in shared memory, then one addition a bin and block.
extern "C" __global__ void histogram(const uint8_t *x, uint32_t *bins, uint32_t n) {
  __shared__ uint32_t s[64];
  if (threadIdx.x < 64)
    s[threadIdx.x] = 0;
  __syncthreads();
  for (uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(&s[x[i] >> 2], 1u);
  __syncthreads();
  if (threadIdx.x < 64 && s[threadIdx.x] != 0)
    atomicAdd(&bins[threadIdx.x], s[threadIdx.x]);
}
