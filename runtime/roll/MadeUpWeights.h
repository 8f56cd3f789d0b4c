// MadeUpWeights.h - weights for rolls that have none, to measure how fast they play.
//
// Weight i of a block is the bf16 number of sign s and mantissa m, ±(1 + m / 128) / 64, of the i-th
// 16 bits of splitmix64 (lowest first; number n of seed s is the hash of s + (n + 1) *
// 0x9e3779b97f4a7c15). Blocks are alike. Two neighbours are an f32 of the same range, too, and a
// single one is an f16 from 1.125 to 1.25, so that every kind of weight is a finite number. What a
// model says with them means nothing, but is the same everywhere.
#ifndef PIANOLA_RUNTIME_ROLL_MADEUPWEIGHTS_H
#define PIANOLA_RUNTIME_ROLL_MADEUPWEIGHTS_H

#include "runtime/Status.h"

#include <cstdint>

namespace pianola {

class MadeUpWeights {
public:
  MadeUpWeights() = default;
  MadeUpWeights(const MadeUpWeights &) = delete;
  MadeUpWeights &operator=(const MadeUpWeights &) = delete;
  ~MadeUpWeights();

  /// `bytes` of them. It is one block of memory, mapped again and again: the weights of a large
  /// model cost address space alone.
  Status make(uint64_t seed, uint64_t bytes);
  const uint8_t *data() const { return begin; }

private:
  uint8_t *begin = nullptr;
  uint64_t mapped = 0;
};

} // namespace pianola

#endif
