// Attention of one token, split over the positions: parts by blocks, then one block combines them in order.
#include "Ptx.cuh"

constexpr uint32_t HeadSize = 64, PartFloats = HeadSize + 2;

// grid (splits, heads), 128 threads; keys and values are [head][position][64].
extern "C" __global__ void attend_split(const float *q, const float *keys, const float *values,
                                        float *parts, uint32_t *finished, float *out,
                                        uint32_t positions) {
  __shared__ float scores[128], most[4], sums[4], half[HeadSize];
  __shared__ bool last;
  const uint32_t t = threadIdx.x, lane = t % 32, warp = t / 32;
  const uint32_t split = blockIdx.x, splits = gridDim.x, head = blockIdx.y;
  const uint32_t share = (positions + splits - 1) / splits; // at most 128
  const uint32_t first = split * share, count = min(share, positions - first);
  const float *key = keys + (size_t(head) * positions + first) * HeadSize;
  const float *value = values + (size_t(head) * positions + first) * HeadSize;
  // A warp for each position: two elements of the head a lane.
  for (uint32_t p = warp; p < count; p += 4) {
    float dot = q[head * HeadSize + lane] * key[p * HeadSize + lane];
    dot = fmaf(q[head * HeadSize + lane + 32], key[p * HeadSize + lane + 32], dot);
#pragma unroll
    for (int d = 16; d > 0; d >>= 1)
      dot += __shfl_xor_sync(0xffffffffu, dot, d);
    if (lane == 0)
      scores[p] = dot * 0.125f;
  }
  __syncthreads();
  float m = t < count ? scores[t] : -INFINITY;
#pragma unroll
  for (int d = 16; d > 0; d >>= 1)
    m = fmaxf(m, __shfl_xor_sync(0xffffffffu, m, d));
  if (lane == 0)
    most[warp] = m;
  __syncthreads();
  m = fmaxf(fmaxf(most[0], most[1]), fmaxf(most[2], most[3]));
  float e = 0.0f;
  if (t < count) {
    e = __expf(scores[t] - m);
    scores[t] = e;
  }
#pragma unroll
  for (int d = 16; d > 0; d >>= 1)
    e += __shfl_xor_sync(0xffffffffu, e, d);
  if (lane == 0)
    sums[warp] = e;
  __syncthreads();
  // Two halves of the block take every other position.
  const uint32_t c = t % HeadSize;
  float sum = 0.0f;
  for (uint32_t p = t / HeadSize; p < count; p += 2)
    sum = fmaf(scores[p], value[p * HeadSize + c], sum);
  if (t >= HeadSize)
    half[c] = sum;
  __syncthreads();
  float *part = parts + (size_t(head) * splits + split) * PartFloats;
  if (t < HeadSize)
    part[2 + c] = sum + half[c];
  if (t == 0)
    part[0] = m, part[1] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  __syncthreads();
  if (t == 0) {
    __threadfence();
    last = atomicAdd(&finished[head], 1u) == splits - 1;
    __threadfence();
  }
  __syncthreads();
  if (!last || t >= HeadSize)
    return;
  const float *all = parts + size_t(head) * splits * PartFloats;
  float top = -INFINITY, weight = 0.0f, result = 0.0f;
#pragma unroll 1
  for (uint32_t s = 0; s < splits; ++s)
    top = fmaxf(top, all[s * PartFloats]);
#pragma unroll 1
  for (uint32_t s = 0; s < splits; ++s) {
    const float scale = __expf(all[s * PartFloats] - top);
    weight = fmaf(scale, all[s * PartFloats + 1], weight);
    result = fmaf(scale, all[s * PartFloats + 2 + c], result);
  }
  out[head * HeadSize + c] = result / weight;
}
