// architectures: sm_90a
// Kernels that stay: layers and events, rings whose laps do not come out even, relays by bulk copies.
#include "Ptx.cuh"

__device__ __forceinline__ bool elected() {
  uint32_t one;
  asm volatile("{\n\t.reg .pred p;\n\telect.sync _|p, 0xffffffff;\n\tselp.u32 %0, 1, 0, p;\n\t}"
               : "=r"(one));
  return one;
}
__device__ __forceinline__ void expect(uint64_t *barrier, uint32_t bytes) {
  asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(
                   sharedAddress(barrier)),
               "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void invalidate(uint64_t *barrier) {
  asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(sharedAddress(barrier)) : "memory");
}
// As code for clusters frees a slot: of the block with that rank.
__device__ __forceinline__ void arriveAt(uint64_t *barrier, uint32_t rank) {
  asm volatile("{\n\t.reg .b32 there;\n\tmapa.shared::cluster.u32 there, %0, %1;\n\t"
               "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there];\n\t}" ::"r"(
                   sharedAddress(barrier)),
               "r"(rank)
               : "memory");
}

// Every layer reads all of the layer before; every token begins when the last layer of the one before is
// done. Events count on over the tokens.
extern "C" __global__ void layers(uint32_t *values, uint32_t *events, uint32_t count, uint32_t tokens) {
  const uint32_t t = threadIdx.x, n = gridDim.x * blockDim.x, me = blockIdx.x * blockDim.x + t;
  for (uint32_t token = 0; token < tokens; ++token) {
    for (uint32_t layer = 0; layer < count; ++layer) {
      const uint32_t before = layer ? layer - 1 : count - 1;
      const uint32_t target = gridDim.x * (token + (layer ? 1 : 0));
      if (t == 0)
        while (loadAcquire(&events[before]) < target)
          ;
      __syncthreads();
      const uint32_t *in = values + before * n;
      values[layer * n + me] = in[(me + 1) % n] * 3 + in[(me + n - 5) % n] + layer;
      __syncthreads();
      if (t == 0)
        addRelease(&events[layer], 1);
    }
  }
}

// A producer warp and four consumer warps. The ring goes round in three slots, whatever the number of
// tiles of each item: slot and parity go on from one item to the next.
extern "C" __global__ void __launch_bounds__(256)
    ring_of_items(const uint32_t *x, uint32_t *y, uint32_t items, uint32_t tiles) {
  constexpr uint32_t slots = 3;
  __shared__ alignas(128) uint32_t buffer[slots][128];
  __shared__ alignas(8) uint64_t full[slots], empty[slots];
  const uint32_t warp = __shfl_sync(~0u, threadIdx.x / 32, 0), t = threadIdx.x;
  if (warp == 0 && elected()) {
    for (uint32_t i = 0; i < slots; ++i) {
      initBarrier(&full[i], 1);
      initBarrier(&empty[i], 4);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
  uint32_t slot = 0, parity = 0;
  const auto advance = [&] {
    if (++slot == slots)
      slot = 0, parity ^= 1;
  };
  if (warp >= 4) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    if (warp == 4 && elected()) {
      for (uint32_t i = 0; i < items * tiles; ++i, advance()) {
        wait(&empty[slot], parity ^ 1);
        arriveExpect(&full[slot], 512);
        bulkLoad(buffer[slot], x + (blockIdx.x * items * tiles + i) * 128, 512, &full[slot]);
      }
    }
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    for (uint32_t item = 0; item < items; ++item) {
      uint32_t sum = 0;
      for (uint32_t tile = 0; tile < tiles; ++tile, advance()) {
        wait(&full[slot], parity);
        sum += buffer[slot][127 - t] * (tile + 1);
        if (t % 2) // lanes that read once more
          sum ^= buffer[slot][t ^ 64];
        __syncwarp();
        if (elected())
          arriveAt(&empty[slot], 0);
      }
      y[(blockIdx.x * items + item) * 128 + t] = sum;
    }
  }
}

// The bytes are expected after they may have come: the phase waits for both.
extern "C" __global__ void expected_late(const uint32_t *x, uint32_t *y) {
  __shared__ alignas(16) uint32_t tile[128];
  __shared__ uint64_t full;
  if (threadIdx.x == 0) {
    initBarrier(&full, 1);
    fenceAsync();
    bulkLoad(tile, x + blockIdx.x * 128, 512, &full);
    __nanosleep(200);
    expect(&full, 256);
    arriveExpect(&full, 256);
  }
  __syncthreads();
  wait(&full, 0);
  y[blockIdx.x * 128 + threadIdx.x] = tile[127 - threadIdx.x];
}

// The place of an mbarrier is data afterwards.
extern "C" __global__ void place_of_mbarrier(uint32_t *y) {
  __shared__ alignas(8) uint64_t place;
  __shared__ uint32_t s[128];
  const uint32_t t = threadIdx.x;
  if (t == 0)
    initBarrier(&place, blockDim.x);
  __syncthreads();
  s[t] = t * 7;
  arrive(&place);
  wait(&place, 0);
  const uint32_t v = s[127 - t];
  __syncthreads();
  if (t == 0)
    invalidate(&place);
  __syncthreads();
  if (t < 2)
    reinterpret_cast<uint32_t *>(&place)[t] = s[t + 1];
  __syncthreads();
  y[blockIdx.x * 128 + t] = v + reinterpret_cast<uint32_t *>(&place)[t % 2];
}

// A block leaves its tile by a bulk store; the next one reads it with ordinary loads.
extern "C" __global__ void relay_store(const uint32_t *x, uint32_t *middle, uint32_t *events,
                                       uint32_t *y) {
  __shared__ alignas(16) uint32_t tile[128];
  const uint32_t t = threadIdx.x, b = blockIdx.x, next = (b + 1) % gridDim.x;
  tile[t] = x[b * 128 + t] * 5 + b;
  fenceAsyncShared();
  __syncthreads();
  if (t == 0) {
    bulkStore(middle + b * 128, tile, 512);
    bulkCommit();
    bulkWait<0>();
    addRelease(&events[b], 1);
    while (loadAcquire(&events[next]) == 0)
      ;
  }
  __syncthreads();
  y[b * 128 + t] = middle[next * 128 + (t + 5) % 128] + tile[127 - t];
}

// Sums of all blocks, added by the copy engine.
extern "C" __global__ void bulk_sum(float *sums) {
  __shared__ alignas(16) float s[64];
  s[threadIdx.x] = threadIdx.x + blockIdx.x;
  fenceAsyncShared();
  __syncthreads();
  if (threadIdx.x == 0) {
    asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], 256;" ::"l"(
                     sums),
                 "r"(sharedAddress(s))
                 : "memory");
    bulkCommit();
    bulkWaitRead<0>();
  }
}

// Registers of 128 bits: moves, loads, stores, swaps.
extern "C" __global__ void wide_words(const ulonglong2 *x, ulonglong2 *y, ulonglong2 *swapped) {
  asm volatile("{\n\t.reg .b128 v;\n\tld.global.b128 v, [%0];\n\tst.global.b128 [%1], v;\n\t}" ::"l"(
                   x + threadIdx.x),
               "l"(y + threadIdx.x)
               : "memory");
  // Everyone adds one and two, in steps of 128 bits.
  unsigned long long low = 0, high = 0, seenLow, seenHigh;
  for (;;) {
    asm volatile("{\n\t.reg .b128 c, s, r;\n\tmov.b128 c, {%3, %4};\n\tmov.b128 s, {%5, %6};\n\t"
                 "atom.relaxed.gpu.global.cas.b128 r, [%2], c, s;\n\tmov.b128 {%0, %1}, r;\n\t}"
                 : "=l"(seenLow), "=l"(seenHigh)
                 : "l"(swapped), "l"(low), "l"(high), "l"(low + 1), "l"(high + 2)
                 : "memory");
    if (seenLow == low && seenHigh == high)
      break;
    low = seenLow, high = seenHigh;
  }
}

// The cluster's barrier, in two steps.
extern "C" __global__ void cluster_of_one(uint32_t *y) {
  __shared__ uint32_t s[64];
  s[threadIdx.x] = threadIdx.x * 9;
  asm volatile("barrier.cluster.arrive.release;" ::: "memory");
  uint32_t rank, blocks;
  asm("mov.u32 %0, %%cluster_ctarank;\n\tmov.u32 %1, %%cluster_nctarank;" : "=r"(rank), "=r"(blocks));
  asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
  y[blockIdx.x * 64 + threadIdx.x] = s[63 - threadIdx.x] + rank + blocks;
}

// Local memory by the amount.
extern "C" __global__ void stack_words(uint32_t *y, uint32_t n) {
  uint32_t *words = static_cast<uint32_t *>(__builtin_alloca(n * 4));
  for (uint32_t i = 0; i < n; ++i)
    words[i] = i * threadIdx.x;
  uint32_t sum = 0;
  for (uint32_t i = 0; i < n; ++i)
    sum = sum * 3 + words[(i * 3) % n];
  y[threadIdx.x] = sum;
}

// Groups are counted by their commits alone, whatever arrives on mbarriers between.
extern "C" __global__ void groups_and_arrivals(const uint4 *x, uint4 *y) {
  __shared__ alignas(16) uint4 s[2][64];
  __shared__ uint64_t full;
  const uint32_t t = threadIdx.x;
  if (t == 0)
    initBarrier(&full, 64);
  __syncthreads();
  copyAsync16(&s[0][t], x + t);
  commitGroup();
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(sharedAddress(&full))
               : "memory");
  copyAsync16(&s[1][t], x + 64 + t);
  commitGroup();
  waitGroup<1>();
  const uint4 mine = s[0][t];
  wait(&full, 0);
  const uint4 other = s[0][63 - t];
  waitGroup<0>();
  y[t] = make_uint4(mine.x, other.y, s[1][t].z, mine.w ^ other.w);
}

// Structures with holes go through local and shared memory by words.
struct Holes {
  char c;
  int i;
  short s;
  double d;
};
__device__ __noinline__ Holes holesOf(int i) {
  Holes h;
  h.c = char(i), h.i = i * 2, h.s = short(i * 3), h.d = i;
  return h;
}
extern "C" __global__ void structures_with_holes(Holes *out, int k) {
  __shared__ Holes s[64];
  Holes local[4];
  for (int i = 0; i < 4; ++i)
    local[i] = holesOf(int(threadIdx.x) + i);
  s[threadIdx.x] = local[k & 3];
  __syncthreads();
  const Holes h = s[63 - threadIdx.x];
  out[threadIdx.x].c = h.c, out[threadIdx.x].i = h.i + h.s, out[threadIdx.x].d = h.d;
}
