// architectures: sm_90a
// A small player: every block has a tape of records (an instruction and its weights). One warp streams the
// tape through a ring, four warps play it; layers wait for each other by counters in device memory.
#include "Ptx.cuh"

constexpr uint32_t Slots = 3, Width = 64, Rows = 4;

struct Record {
  uint32_t source, target; // offsets into the activations
  uint32_t awaits, until;  // wait until this event has reached this count; ~0: nothing to wait for
  uint32_t signals;        // the event that counts this record
  uint32_t halve;          // scale the result by a half
  uint32_t unused[2];
  float weights[Rows][Width];
};
static_assert(sizeof(Record) % 16 == 0, "a bulk copy's size");

extern "C" __global__ void tape_player(const Record *tape, const uint32_t *begins, float *activations,
                                       uint32_t *events) {
  extern __shared__ __align__(128) uint8_t memory[];
  Record *ring = reinterpret_cast<Record *>(memory);
  __shared__ uint64_t full[Slots], empty[Slots];
  const uint32_t t = threadIdx.x, lane = t % 32, warp = t / 32;
  const uint32_t begin = begins[blockIdx.x], end = begins[blockIdx.x + 1];
  if (t == 0) {
    for (uint32_t s = 0; s < Slots; ++s)
      initBarrier(&full[s], 1), initBarrier(&empty[s], Rows);
    fenceAsyncShared();
  }
  __syncthreads();
  if (warp == Rows) { // the loader runs ahead, whatever the consumers wait for
    if (lane == 0)
#pragma unroll 1
      for (uint32_t i = 0; i < end - begin; ++i) {
        const uint32_t s = i % Slots, lap = i / Slots;
        if (lap > 0)
          wait(&empty[s], (lap - 1) & 1);
        arriveExpect(&full[s], sizeof(Record));
        bulkLoad(&ring[s], tape + begin + i, sizeof(Record), &full[s]);
      }
    return;
  }
#pragma unroll 1
  for (uint32_t i = 0; i < end - begin; ++i) {
    const uint32_t s = i % Slots, lap = i / Slots;
    wait(&full[s], lap & 1);
    const Record &record = ring[s];
    if (record.awaits != ~0u) {
      if (t == 0)
        while (loadAcquire(&events[record.awaits]) < record.until)
          ;
      asm volatile("bar.sync 1, 128;" ::: "memory"); // the loader takes no part
    }
    const float *x = activations + record.source;
    float sum = record.weights[warp][lane] * x[lane];
    sum = fmaf(record.weights[warp][lane + 32], x[lane + 32], sum);
#pragma unroll
    for (int d = 16; d > 0; d >>= 1)
      sum += __shfl_xor_sync(0xffffffffu, sum, d);
    if (lane == 0)
      activations[record.target + warp] = record.halve ? fmaxf(sum, 0.0f) * 0.5f : sum;
    const uint32_t signals = record.signals;
    __syncwarp();
    if (lane == 0)
      arrive(&empty[s]);
    asm volatile("bar.sync 1, 128;" ::: "memory");
    if (t == 0)
      addRelease(&events[signals], 1);
  }
}
