// Probe.cpp - what this machine can do.
#include "runtime/host/Probe.h"

#include "runtime/host/Cores.h"
#include "runtime/host/Threads.h"
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pianola {

using Clock = std::chrono::steady_clock;

// Seconds that `work(thread)` takes on all threads together, from a common start.
static double timeThreads(unsigned threads, const std::function<void(unsigned)> &work) {
  std::vector<int> cores = availableCores();
  std::atomic<unsigned> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> pool;
  for (unsigned i = 0; i < threads; ++i) {
    bool started = startThread(pool, [&, i] {
      pinTo(cores, i);
      ++ready;
      while (!go.load(std::memory_order_acquire))
        std::this_thread::yield();
      work(i);
    });
    if (!started)
      break;
  }
  while (ready != pool.size())
    std::this_thread::yield();
  Clock::time_point start = Clock::now();
  go.store(true, std::memory_order_release);
  for (std::thread &thread : pool)
    thread.join();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What a measurement computes must look used.
static volatile float sink;

#if defined(__x86_64__)

__attribute__((target("avx512f"))) static void read512(const uint8_t *data, size_t bytes) {
  __m512i sums[4] = {};
  for (size_t i = 0; i < bytes; i += 256)
    for (int j = 0; j < 4; ++j) {
      _mm_prefetch(reinterpret_cast<const char *>(data + i + j * 64 + 4096), _MM_HINT_T0);
      sums[j] = _mm512_add_epi64(sums[j], _mm512_load_si512(data + i + j * 64));
    }
  sink = _mm512_reduce_add_epi64(sums[0]) + _mm512_reduce_add_epi64(sums[1]) +
         _mm512_reduce_add_epi64(sums[2]) + _mm512_reduce_add_epi64(sums[3]);
}

__attribute__((target("avx2"))) static void read256(const uint8_t *data, size_t bytes) {
  __m256i sums[4] = {};
  for (size_t i = 0; i < bytes; i += 128) {
    _mm_prefetch(reinterpret_cast<const char *>(data + i + 4096), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char *>(data + i + 4160), _MM_HINT_T0);
    for (int j = 0; j < 4; ++j)
      sums[j] = _mm256_add_epi64(
          sums[j], _mm256_load_si256(reinterpret_cast<const __m256i *>(data + i + j * 32)));
  }
  sums[0] =
      _mm256_add_epi64(_mm256_add_epi64(sums[0], sums[1]), _mm256_add_epi64(sums[2], sums[3]));
  sink = _mm256_extract_epi64(sums[0], 0) + _mm256_extract_epi64(sums[0], 3);
}

// 12 chains: more than latency times throughput anywhere.
constexpr int kChains = 12;

__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) static void
products512bf16(int64_t count) {
  __m512 sums[kChains];
  for (__m512 &sum : sums)
    sum = _mm512_setzero_ps();
  __m512bh ones = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  for (int64_t i = 0; i < count; ++i) {
    for (__m512 &sum : sums)
      sum = _mm512_dpbf16_ps(sum, ones, ones);
    asm volatile("" : "+v"(ones));
  }
  float total = 0;
  for (__m512 &sum : sums)
    total += _mm512_reduce_add_ps(sum);
  sink = total;
}

// Four tiles of sums of two by two tiles: each has the time that its multiply takes.
constexpr int kTileSums = 4;

__attribute__((target("amx-tile,amx-bf16"))) static void productsInTiles(int64_t count) {
  alignas(64) uint8_t shapes[64] = {1};
  for (int tile = 0; tile < 8; ++tile) {
    shapes[16 + 2 * tile] = 64;
    shapes[48 + tile] = 16;
  }
  _tile_loadconfig(shapes); // and all tiles are zero
  for (int64_t i = 0; i < count; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

__attribute__((target("avx512f"))) static void products512f32(int64_t count) {
  __m512 sums[kChains];
  for (__m512 &sum : sums)
    sum = _mm512_setzero_ps();
  __m512 ones = _mm512_set1_ps(1);
  for (int64_t i = 0; i < count; ++i) {
    for (__m512 &sum : sums)
      sum = _mm512_fmadd_ps(ones, ones, sum);
    asm volatile("" : "+v"(ones));
  }
  float total = 0;
  for (__m512 &sum : sums)
    total += _mm512_reduce_add_ps(sum);
  sink = total;
}

__attribute__((target("avx2,fma"))) static void products256f32(int64_t count) {
  __m256 sums[kChains];
  for (__m256 &sum : sums)
    sum = _mm256_setzero_ps();
  __m256 ones = _mm256_set1_ps(1);
  for (int64_t i = 0; i < count; ++i) {
    for (__m256 &sum : sums)
      sum = _mm256_fmadd_ps(ones, ones, sum);
    asm volatile("" : "+x"(ones));
  }
  float total = 0;
  for (__m256 &sum : sums)
    total += _mm256_cvtss_f32(sum);
  sink = total;
}

#endif

static void readAll(const uint8_t *data, size_t bytes) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return read512(data, bytes);
  if (__builtin_cpu_supports("avx2"))
    return read256(data, bytes);
#endif
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes; i += 8)
    sum += *reinterpret_cast<const uint64_t *>(data + i);
  sink = static_cast<float>(sum);
}

Result<BandwidthProbe> BandwidthProbe::create(unsigned threads) {
  BandwidthProbe probe;
  probe.threads = threads;
  probe.part = (size_t(1) << 30) / threads / 4096 * 4096;
  Result<Memory> memory = Memory::create(probe.part * threads, "bandwidth probe");
  if (!memory)
    return memory.status();
  probe.memory = std::move(*memory);
  // Each thread touches its own part first.
  timeThreads(threads, [&](unsigned i) {
    std::fill_n(probe.memory.data() + i * probe.part, probe.part, static_cast<uint8_t>(i + 1));
  });
  return probe;
}

double BandwidthProbe::pass() const {
  double seconds =
      timeThreads(threads, [&](unsigned i) { readAll(memory.data() + i * part, part); });
  return part * threads / seconds;
}

// The best of three runs of about 50 ms.
static double measurePeak(unsigned threads, double flopsEach, void (*products)(int64_t),
                          int64_t count = 10'000'000) {
  double best = 0;
  for (int r = 0; r < 3; ++r) {
    double seconds = timeThreads(threads, [&](unsigned) { products(count); });
    best = std::max(best, threads * count * flopsEach / seconds);
  }
  return best;
}

double measureBf16Peak(unsigned threads, bool tiles) {
#if defined(__x86_64__)
  if (tiles)
    return measurePeak(threads, kTileSums * 2.0 * 16 * 16 * 32, productsInTiles, 2'000'000);
  if (__builtin_cpu_supports("avx512bf16"))
    return measurePeak(threads, kChains * 64, products512bf16);
#endif
  (void)threads;
  (void)tiles;
  return 0;
}

double measureF32Peak(unsigned threads) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return measurePeak(threads, kChains * 32, products512f32);
  if (__builtin_cpu_supports("fma"))
    return measurePeak(threads, kChains * 16, products256f32);
#endif
  (void)threads;
  return 0;
}

} // namespace pianola
