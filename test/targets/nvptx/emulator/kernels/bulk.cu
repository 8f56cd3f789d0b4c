// architectures: sm_90a
// Bulk copies: rings of tiles between a producer and consumers, and the way back to device memory.
#include "Ptx.cuh"

constexpr uint32_t Slots = 4, TileWords = 256, TileBytes = TileWords * 4;

// Warp 0 streams tiles through a ring of four slots, four warps add them up. Consumers free a slot with
// one arrival for each warp.
extern "C" __global__ void bulk_ring(const uint32_t *x, uint32_t *y, uint32_t tiles) {
  __shared__ __align__(128) uint32_t ring[Slots][TileWords];
  __shared__ uint64_t full[Slots], empty[Slots];
  const uint32_t t = threadIdx.x, lane = t % 32, warp = t / 32;
  const uint32_t *from = x + size_t(blockIdx.x) * tiles * TileWords;
  if (t == 0) {
    for (uint32_t s = 0; s < Slots; ++s)
      initBarrier(&full[s], 1), initBarrier(&empty[s], 4);
    fenceAsync();
  }
  __syncthreads();
  if (warp == 0) {
    if (lane == 0)
#pragma unroll 1
      for (uint32_t i = 0; i < tiles; ++i) {
        const uint32_t s = i % Slots, lap = i / Slots;
        if (lap > 0)
          wait(&empty[s], (lap - 1) & 1);
        arriveExpect(&full[s], TileBytes);
        bulkLoad(ring[s], from + i * TileWords, TileBytes, &full[s]);
      }
    return;
  }
  uint32_t a = 0, b = 0;
#pragma unroll 1
  for (uint32_t i = 0; i < tiles; ++i) {
    const uint32_t s = i % Slots, lap = i / Slots, c = t - 32;
    wait(&full[s], lap & 1);
    a += ring[s][c] * (i + 1), b ^= ring[s][255 - c];
    __syncwarp();
    if (lane == 0)
      arrive(&empty[s]);
  }
  y[(blockIdx.x * 128 + t - 32) * 2] = a;
  y[(blockIdx.x * 128 + t - 32) * 2 + 1] = b;
}

// Results leave through shared memory: two buffers, one being written while the other is read by the
// copy engine.
extern "C" __global__ void bulk_store(uint32_t *y, uint32_t tiles) {
  __shared__ __align__(128) uint32_t out[2][128];
  const uint32_t t = threadIdx.x;
#pragma unroll 1
  for (uint32_t i = 0; i < tiles; ++i) {
    if (t == 0)
      bulkWaitRead<1>(); // the store before the last has read its buffer
    __syncthreads();
    out[i % 2][t] = (blockIdx.x * tiles + i) * 1000 + t;
    fenceAsyncShared();
    __syncthreads();
    if (t == 0) {
      bulkStore(y + (size_t(blockIdx.x) * tiles + i) * 128, out[i % 2], 512);
      bulkCommit();
    }
  }
  if (t == 0)
    bulkWait<0>();
}

// There and back through one buffer: load, change in place, store, and again.
extern "C" __global__ void bulk_in_place(const float *x, float *y, uint32_t tiles) {
  __shared__ __align__(16) float tile[256];
  __shared__ uint64_t full;
  const uint32_t t = threadIdx.x;
  if (t == 0) {
    initBarrier(&full, 1);
    fenceAsyncShared();
  }
  __syncthreads();
#pragma unroll 1
  for (uint32_t i = 0; i < tiles; ++i) {
    const size_t at = (size_t(blockIdx.x) * tiles + i) * 256;
    if (t == 0) {
      bulkWaitRead<0>();
      arriveExpect(&full, 1024);
      // Two copies, one transaction count.
      bulkLoad(tile, x + at, 768, &full);
      bulkLoad(tile + 192, x + at + 192, 256, &full);
    }
    wait(&full, i & 1);
    const float v = tile[t], w = tile[t + 128];
    tile[t] = v + w, tile[t + 128] = v - w;
    fenceAsyncShared();
    __syncthreads();
    if (t == 0) {
      bulkStore(y + at, tile, 1024);
      bulkCommit();
    }
  }
  if (t == 0)
    bulkWait<0>();
}
