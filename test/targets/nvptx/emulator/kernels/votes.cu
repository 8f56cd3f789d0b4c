// Votes and matches among the lanes of a warp.
#include <cstdint>

// Keeps the odd values. Order within a warp is kept; warps take their places as they come.
extern "C" __global__ void compact_odd(const uint32_t *x, uint32_t *out, uint32_t *count, uint32_t n) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
  const uint32_t v = i < n ? x[i] : 0;
  const uint32_t keep = __ballot_sync(0xffffffffu, v & 1);
  uint32_t base = 0;
  if (lane == 0 && keep != 0)
    base = atomicAdd(count, __popc(keep));
  base = __shfl_sync(0xffffffffu, base, 0);
  if (v & 1)
    out[base + __popc(keep & ((1u << lane) - 1))] = v;
}

// Lanes with the same key add up together: one atomic for each key and warp.
extern "C" __global__ void match_keys(const uint32_t *keys, uint32_t *sums, uint32_t *alike) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
  const uint32_t key = keys[i] % 8;
  const uint32_t peers = __match_any_sync(0xffffffffu, key);
  if (lane == __ffs(peers) - 1)
    atomicAdd(&sums[key], __popc(peers));
  int same;
  const uint32_t all = __match_all_sync(0xffffffffu, i / 32 % 2 ? 7u : key, &same);
  if (lane == 0)
    alike[i / 32] = all + same;
}

// all, any, uni and the active mask of a half of the warp.
extern "C" __global__ void vote_kinds(const uint32_t *x, uint32_t *out) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
  const uint32_t v = x[i];
  uint32_t r = __all_sync(0xffffffffu, v < 200) ? 1 : 0;
  r |= __any_sync(0xffffffffu, v == 77) ? 2 : 0;
  r |= __uni_sync(0xffffffffu, v > 100) ? 4 : 0;
  if (lane < 16)
    r |= __ballot_sync(0x0000ffffu, v & 1) << 8;
  else
    r |= __shfl_down_sync(0xffff0000u, v, 3, 16) << 8;
  out[i] = r;
}
