// architectures: sm_90a
// What the CUDA C++ libraries make of barriers, pipelines, semaphores, groups and block-wide sorts.
#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_scan.cuh>
#include <cuda/atomic>
#include <cuda/barrier>
#include <cuda/latch>
#include <cuda/pipeline>
#include <cuda/semaphore>

namespace cg = cooperative_groups;
constexpr auto inBlock = cuda::thread_scope_block;

extern "C" __global__ void library_barrier(unsigned *y) {
  __shared__ cuda::barrier<inBlock> barrier;
  __shared__ unsigned s[128];
  if (threadIdx.x == 0)
    init(&barrier, blockDim.x);
  __syncthreads();
  unsigned sum = 0;
  for (unsigned round = 0; round < 5; ++round) {
    s[threadIdx.x] = threadIdx.x * (round + 1);
    auto token = barrier.arrive();
    barrier.wait(std::move(token));
    sum += s[(threadIdx.x + 37) % 128];
    barrier.arrive_and_wait();
  }
  y[blockIdx.x * 128 + threadIdx.x] = sum;
}
extern "C" __global__ void library_pipeline(const unsigned *x, unsigned *y) {
  constexpr int stages = 2;
  __shared__ cuda::pipeline_shared_state<inBlock, stages> state;
  __shared__ alignas(16) unsigned s[stages][128];
  auto block = cg::this_thread_block();
  auto pipe = cuda::make_pipeline(block, &state);
  for (int c = 0, f = 0; c < 8; ++c) {
    for (; f < 8 && f < c + stages; ++f) {
      pipe.producer_acquire();
      cuda::memcpy_async(block, s[f % stages], x + f * 128, cuda::aligned_size_t<16>(512), pipe);
      pipe.producer_commit();
    }
    pipe.consumer_wait();
    y[c * 128 + threadIdx.x] = s[c % stages][127 - threadIdx.x];
    pipe.consumer_release();
  }
}
extern "C" __global__ void library_roles(const unsigned *x, unsigned *y) {
  constexpr int stages = 2;
  __shared__ cuda::pipeline_shared_state<inBlock, stages> state;
  __shared__ alignas(16) unsigned s[stages][128];
  const auto role =
      threadIdx.x < 64 ? cuda::pipeline_role::producer : cuda::pipeline_role::consumer;
  auto pipe = cuda::make_pipeline(cg::this_thread_block(), &state, role);
  const unsigned t = threadIdx.x % 64;
  for (int i = 0; i < 9; ++i) {
    if (threadIdx.x < 64) {
      pipe.producer_acquire();
      cuda::memcpy_async(s[i % stages] + t * 2, x + i * 128 + t * 2, cuda::aligned_size_t<8>(8), pipe);
      pipe.producer_commit();
    } else {
      pipe.consumer_wait();
      y[i * 128 + t] = s[i % stages][127 - t];
      y[i * 128 + 64 + t] = s[i % stages][63 - t];
      pipe.consumer_release();
    }
  }
}
extern "C" __global__ void library_orders(unsigned *p, unsigned *y) {
  cuda::atomic_ref<unsigned, cuda::thread_scope_device> a(*p);
  a.fetch_add(1, cuda::memory_order_relaxed);
  a.fetch_add(1, cuda::memory_order_acquire);
  a.fetch_add(1, cuda::memory_order_release);
  cuda::atomic_ref<unsigned, cuda::thread_scope_system> all(*p);
  all.fetch_add(1, cuda::memory_order_acq_rel);
  all.fetch_add(1, cuda::memory_order_seq_cst);
  unsigned seen = a.load(cuda::memory_order_relaxed);
  while (!a.compare_exchange_weak(seen, seen + 3, cuda::memory_order_acq_rel,
                                  cuda::memory_order_acquire)) {
  }
  a.fetch_max(2);
  a.fetch_or(0);
  cuda::atomic_thread_fence(cuda::memory_order_seq_cst, cuda::thread_scope_device);
  cuda::atomic_thread_fence(cuda::memory_order_acq_rel, cuda::thread_scope_block);
  cuda::atomic_ref<unsigned char, cuda::thread_scope_device> byte(
      reinterpret_cast<unsigned char *>(y)[threadIdx.x % 3]);
  byte.fetch_add(1, cuda::memory_order_relaxed);
}
extern "C" __global__ void library_semaphore(unsigned *y) {
  __shared__ alignas(cuda::binary_semaphore<inBlock>) char place[sizeof(cuda::binary_semaphore<inBlock>)];
  auto &semaphore = *reinterpret_cast<cuda::binary_semaphore<inBlock> *>(place);
  __shared__ unsigned sum;
  if (threadIdx.x == 0) {
    new (&semaphore) cuda::binary_semaphore<inBlock>(1);
    sum = 0;
  }
  __syncthreads();
  semaphore.acquire();
  sum += threadIdx.x;
  semaphore.release();
  __syncthreads();
  y[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
extern "C" __global__ void library_latch(unsigned *y) {
  __shared__ alignas(cuda::latch<inBlock>) char place[sizeof(cuda::latch<inBlock>)];
  auto &latch = *reinterpret_cast<cuda::latch<inBlock> *>(place);
  __shared__ unsigned s[128];
  if (threadIdx.x == 0)
    new (&latch) cuda::latch<inBlock>(blockDim.x);
  __syncthreads();
  s[threadIdx.x] = threadIdx.x;
  latch.arrive_and_wait();
  y[blockIdx.x * blockDim.x + threadIdx.x] = s[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void library_groups(unsigned *y) {
  auto block = cg::this_thread_block();
  auto sixteen = cg::tiled_partition<16>(block);
  auto warp = cg::tiled_partition<32>(block);
  auto four = cg::tiled_partition<4>(sixteen);
  const int v = int(threadIdx.x);
  unsigned sum = unsigned(cg::reduce(sixteen, v, cg::plus<int>()));
  sum += unsigned(cg::reduce(four, v, cg::greater<int>()));
  sum += unsigned(cg::exclusive_scan(warp, v % 32)) * 3;
  sum += unsigned(cg::inclusive_scan(sixteen, 1, cg::plus<int>()));
  if (v % 3 == 0) {
    // Who comes along is not said: only sums over all of them are.
    auto active = cg::coalesced_threads();
    const unsigned count = unsigned(cg::reduce(active, 1, cg::plus<int>()));
    if (active.thread_rank() == 0)
      atomicAdd(&y[blockDim.x], count);
  }
  auto fifth = cg::binary_partition(warp, v % 5 == 0);
  sum += unsigned(cg::reduce(fifth, v, cg::plus<int>()));
  auto token = block.barrier_arrive();
  block.barrier_wait(std::move(token));
  y[threadIdx.x] = sum;
}
extern "C" __global__ void library_grid(unsigned *a, unsigned *y) {
  auto grid = cg::this_grid();
  const unsigned i = unsigned(grid.thread_rank()), n = unsigned(grid.size());
  a[i] = i;
  for (int round = 0; round < 3; ++round) {
    grid.sync();
    const unsigned v = a[(i + 33) % n];
    grid.sync();
    a[i] = v;
  }
  auto token = grid.barrier_arrive();
  grid.barrier_wait(std::move(token));
  y[i] = a[n - 1 - i];
}
extern "C" __global__ void library_sort(const unsigned *x, unsigned *y) {
  using Sort = cub::BlockRadixSort<unsigned, 128, 4>;
  using Scan = cub::BlockScan<unsigned, 128>;
  __shared__ union {
    Sort::TempStorage sort;
    Scan::TempStorage scan;
  } room;
  unsigned v[4];
  for (int i = 0; i < 4; ++i)
    v[i] = x[threadIdx.x * 4 + i];
  Sort(room.sort).Sort(v);
  __syncthreads();
  Scan(room.scan).InclusiveSum(v, v);
  for (int i = 0; i < 4; ++i)
    y[threadIdx.x * 4 + i] = v[i];
}
