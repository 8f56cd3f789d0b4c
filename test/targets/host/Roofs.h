// Roofs.h - what this machine does at best: memory read, and products held in registers.
#ifndef PIANOLA_TEST_TARGETS_HOST_ROOFS_H
#define PIANOLA_TEST_TARGETS_HOST_ROOFS_H

#include <cstddef>
#include <cstdint>

namespace pianola::test {

/// Reads all bytes (a multiple of 512) with 64-byte loads, each of which really happens: the
/// compiler is told that what was loaded is used. With prefetches 4 KiB ahead, or without.
void streamRead(const uint8_t *data, size_t bytes, bool prefetch);

/// `count` times 20 independent vector instructions: pairs of bf16 (64 flops each) or f32 fused
/// multiply-adds (32 flops each). Both need AVX-512, the first AVX512-BF16 too.
void bf16Products(int64_t count);
void f32Products(int64_t count);
constexpr int64_t kRoofChains = 20;

} // namespace pianola::test

#endif
