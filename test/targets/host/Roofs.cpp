// Roofs.cpp - what this machine does at best: memory read, and products held in registers.
#include "test/targets/host/Roofs.h"

#include <immintrin.h>

namespace pianola::test {

// An empty statement that might read and change the vector: what made it cannot be left out, and no
// two rounds can be folded into one.
#define KEEP(vector) asm volatile("" : "+v"(vector))

template <bool Prefetch>
__attribute__((target("avx512f"))) static void read(const uint8_t *data, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 512)
    for (int line = 0; line < 8; ++line) {
      if (Prefetch)
        _mm_prefetch(reinterpret_cast<const char *>(data + i + line * 64 + 4096), _MM_HINT_T0);
      __m512i loaded = _mm512_load_si512(data + i + line * 64);
      KEEP(loaded);
    }
}

void streamRead(const uint8_t *data, size_t bytes, bool prefetch) {
  prefetch ? read<true>(data, bytes) : read<false>(data, bytes);
}

__attribute__((target("avx512f,avx512bf16"))) void bf16Products(int64_t count) {
  __m512 sums[kRoofChains];
  __m512i ones = _mm512_set1_epi32(0x3f803f80);
  for (__m512 &sum : sums)
    sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; ++i)
    for (__m512 &sum : sums) {
      sum = _mm512_dpbf16_ps(sum, (__m512bh)ones, (__m512bh)ones);
      KEEP(sum);
    }
}

__attribute__((target("avx512f"))) void f32Products(int64_t count) {
  __m512 sums[kRoofChains], ones = _mm512_set1_ps(1);
  for (__m512 &sum : sums)
    sum = _mm512_setzero_ps();
  for (int64_t i = 0; i < count; ++i)
    for (__m512 &sum : sums) {
      sum = _mm512_fmadd_ps(ones, ones, sum);
      KEEP(sum);
    }
}

} // namespace pianola::test
