// Sorting within a block.
#include <cstdint>

// Bitonic, 256 keys by 128 threads.
extern "C" __global__ void sort_bitonic(int32_t *x) {
  __shared__ int32_t s[256];
  const uint32_t t = threadIdx.x;
  int32_t *keys = x + blockIdx.x * 256;
  s[t] = keys[t], s[t + 128] = keys[t + 128];
#pragma unroll 1
  for (uint32_t size = 2; size <= 256; size *= 2)
#pragma unroll 1
    for (uint32_t stride = size / 2; stride > 0; stride /= 2) {
      __syncthreads();
      const uint32_t low = 2 * t - (t & (stride - 1)), high = low + stride;
      const int32_t a = s[low], b = s[high];
      if ((a > b) == ((low & size) == 0))
        s[low] = b, s[high] = a;
    }
  __syncthreads();
  keys[t] = s[t], keys[t + 128] = s[t + 128];
}

// One stable pass of a radix sort over four bits: 128 keys and their payloads.
extern "C" __global__ void sort_radix_pass(const uint32_t *keys, const uint32_t *payloads,
                                           uint32_t *sorted, uint32_t *carried, uint32_t shift) {
  __shared__ uint32_t counts[16][4];
  const uint32_t t = threadIdx.x, lane = t % 32, warp = t / 32, i = blockIdx.x * 128 + t;
  if (t < 64)
    counts[t / 4][t % 4] = 0;
  __syncthreads();
  const uint32_t key = keys[i], digit = key >> shift & 15;
  const uint32_t peers = __match_any_sync(0xffffffffu, digit);
  const uint32_t rank = __popc(peers & ((1u << lane) - 1));
  if (rank == 0)
    counts[digit][warp] = __popc(peers);
  __syncthreads();
  if (warp == 0) { // exclusive prefix of 64 counts, two a lane
    uint32_t *c = &counts[0][0];
    const uint32_t a = c[2 * lane], b = c[2 * lane + 1];
    uint32_t v = a + b;
#pragma unroll
    for (uint32_t d = 1; d < 32; d <<= 1) {
      const uint32_t below = __shfl_up_sync(0xffffffffu, v, d);
      if (lane >= d)
        v += below;
    }
    c[2 * lane] = v - a - b, c[2 * lane + 1] = v - b;
  }
  __syncthreads();
  const uint32_t at = blockIdx.x * 128 + counts[digit][warp] + rank;
  sorted[at] = key, carried[at] = payloads[i];
}

// Each warp reverses and rotates its row in shared memory: lanes read what other lanes wrote.
extern "C" __global__ void warp_exchange(const uint32_t *x, uint32_t *y) {
  __shared__ uint32_t s[4][32];
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const uint32_t i = blockIdx.x * 128 + threadIdx.x;
  s[warp][lane] = x[i];
  __syncwarp();
  const uint32_t v = s[warp][31 - lane];
  __syncwarp();
  s[warp][(lane + 1) % 32] = v * 2;
  __syncwarp();
  y[i] = s[warp][lane] + s[warp][lane ^ 1];
}
