// architectures: sm_90a
// Products of four warps from shared memory: each kernel lays its tiles out as one kind of descriptor says.
#include "Ptx.cuh"

__device__ __forceinline__ uint64_t descriptor(const void *tile, uint32_t leading, uint32_t stride,
                                               uint64_t swizzle) {
  return uint64_t((sharedAddress(tile) & 0x3ffff) >> 4) | uint64_t(leading >> 4) << 16 |
         uint64_t(stride >> 4) << 32 | swizzle << 62;
}
__device__ __forceinline__ void fenceProducts() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void commitProducts() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
template <int Pending> __device__ __forceinline__ void waitProducts() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}
#define EIGHT(d, i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
// The thread's part of row 16 w + l / 4 + 8 h, from column 8 i + 2 (l % 4) on.
template <typename T, typename D> __device__ void storePart(T *d, uint32_t columns, const D *part) {
  const uint32_t w = threadIdx.x / 32, l = threadIdx.x % 32;
  for (uint32_t i = 0; i < columns / 2; ++i)
    d[(16 * w + l / 4 + 8 * (i / 2 % 2)) * columns + i / 4 * 8 + 2 * (l % 4) + i % 2] = part[i];
}

// d = a b for a of 64 x 64 by rows and b of 64 x 32 by columns, of bf16: rows of 128 bytes, whose vectors
// of 16 are exchanged by the row (swizzle of 128 bytes).
extern "C" __global__ void wgmma_swizzled(const uint4 *a, const uint4 *b, float *d) {
  __shared__ alignas(1024) uint4 tileA[64 * 8], tileB[32 * 8];
  for (uint32_t i = threadIdx.x; i < 512; i += 128)
    tileA[i / 8 * 8 + (i % 8 ^ i / 8 % 8)] = a[i];
  for (uint32_t i = threadIdx.x; i < 256; i += 128)
    tileB[i / 8 * 8 + (i % 8 ^ i / 8 % 8)] = b[i];
  fenceAsyncShared();
  __syncthreads();
  float s[16];
  fenceProducts();
#pragma unroll
  for (int k = 0; k < 4; ++k)
    asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %18, 0;\n\t"
                 "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 "
                 "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15}, %16, %17, p, 1, 1, 0, 0;\n\t}"
                 : EIGHT(s, 0), EIGHT(s, 8)
                 : "l"(descriptor(tileA, 16, 1024, 1) + 2 * k),
                   "l"(descriptor(tileB, 16, 1024, 1) + 2 * k), "r"(k));
  commitProducts();
  waitProducts<0>();
  storePart(d, 32, s);
}

// a in registers, b of 16 x 64 by rows: read along its rows (swizzle of 128 bytes). d = -a b.
extern "C" __global__ void wgmma_registers(const uint32_t *a, const uint4 *b, float *d) {
  __shared__ alignas(1024) uint4 tileB[16 * 8];
  const uint32_t t = threadIdx.x, row = t / 32 * 16 + t % 32 / 4, pair = t % 4;
  tileB[t / 8 * 8 + (t % 8 ^ t / 8 % 8)] = b[t];
  fenceAsyncShared();
  __syncthreads();
  const uint32_t a0 = a[row * 8 + pair], a1 = a[(row + 8) * 8 + pair], a2 = a[row * 8 + pair + 4],
                 a3 = a[(row + 8) * 8 + pair + 4];
  float s[32] = {};
  fenceProducts();
  asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, %37, 0;\n\t"
               "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 "
               "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
               "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
               "{%32,%33,%34,%35}, %36, p, -1, 1, 1;\n\t}"
               : EIGHT(s, 0), EIGHT(s, 8), EIGHT(s, 16), EIGHT(s, 24)
               : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "l"(descriptor(tileB, 16, 1024, 1)), "r"(1));
  commitProducts();
  waitProducts<0>();
  storePart(d, 64, s);
}

// Bytes: blocks of eight rows by 16 bytes follow each other, first along k, then along the rows.
template <typename Product> __device__ void plain(const uint4 *a, const uint4 *b, Product product) {
  __shared__ alignas(128) uint4 tileA[64 * 2], tileB[16 * 2];
  const uint32_t t = threadIdx.x;
  tileA[t / 16 * 16 + t % 2 * 8 + t / 2 % 8] = a[t];
  if (t < 32)
    tileB[t / 16 * 16 + t % 2 * 8 + t / 2 % 8] = b[t];
  fenceAsyncShared();
  __syncthreads();
  fenceProducts();
  product(descriptor(tileA, 128, 256, 0), descriptor(tileB, 128, 256, 0));
  commitProducts();
  waitProducts<0>();
}
extern "C" __global__ void wgmma_bytes(const uint4 *a, const uint4 *b, int *d) {
  int s[8];
  plain(a, b, [&](uint64_t ofA, uint64_t ofB) {
    asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, 0, 0;\n\t"
                 "wgmma.mma_async.sync.aligned.m64n16k32.s32.s8.s8 {%0,%1,%2,%3,%4,%5,%6,%7}, %8, %9, p;\n\t}"
                 : "=r"(s[0]), "=r"(s[1]), "=r"(s[2]), "=r"(s[3]), "=r"(s[4]), "=r"(s[5]), "=r"(s[6]),
                   "=r"(s[7])
                 : "l"(ofA), "l"(ofB));
  });
  storePart(d, 16, s);
}
extern "C" __global__ void wgmma_eights(const uint4 *a, const uint4 *b, float *d) {
  float s[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  plain(a, b, [&](uint64_t ofA, uint64_t ofB) {
    asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, 1, 0;\n\t"
                 "wgmma.mma_async.sync.aligned.m64n16k32.f32.e4m3.e4m3 {%0,%1,%2,%3,%4,%5,%6,%7}, %8, %9, "
                 "p, 1, 1;\n\t}"
                 : EIGHT(s, 0)
                 : "l"(ofA), "l"(ofB));
  });
  storePart(d, 16, s);
}

// Two tiles in turn, fetched by bulk copies: a slot is fetched again once the product that reads it is
// done. Rows of 64 bytes come in the order in which the descriptor wants them.
extern "C" __global__ void wgmma_ring(const uint4 *a, const uint4 *b, float *d, uint32_t tiles) {
  __shared__ alignas(1024) uint4 tileA[2][128], tileB[2][16];
  __shared__ uint64_t full[2];
  const uint32_t t = threadIdx.x;
  const auto fetch = [&](uint32_t tile) {
    arriveExpect(&full[tile % 2], 2304);
    bulkLoad(tileA[tile % 2], a + tile * 128, 2048, &full[tile % 2]);
    bulkLoad(tileB[tile % 2], b + tile * 16, 256, &full[tile % 2]);
  };
  if (t == 0) {
    initBarrier(&full[0], 1);
    initBarrier(&full[1], 1);
    fenceAsync();
    fetch(0);
    if (tiles > 1)
      fetch(1);
  }
  __syncthreads();
  float s[4] = {};
  for (uint32_t tile = 0; tile < tiles; ++tile) {
    wait(&full[tile % 2], tile / 2 & 1);
    fenceProducts();
    asm volatile("{\n\t.reg .pred p;\n\tsetp.ne.b32 p, 1, 0;\n\t"
                 "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%0,%1,%2,%3}, %4, %5, p, 1, 1, 0, 0;\n\t}"
                 : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3])
                 : "l"(descriptor(tileA[tile % 2], 128, 256, 0)),
                   "l"(descriptor(tileB[tile % 2], 128, 256, 0)));
    commitProducts();
    waitProducts<0>();
    __syncthreads();
    if (t == 0 && tile + 2 < tiles)
      fetch(tile + 2);
  }
  storePart(d, 8, s);
}
