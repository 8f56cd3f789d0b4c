// Rotations.cpp - tables of cosines and sines, one row for each position.
#include "runtime/session/Rotations.h"

#include <cmath>

namespace pianola {

// As transformers' LlamaRotaryEmbedding computes them: the angle is a product in f32.
void fillRotation(const RollRotation &rotation, uint64_t begin, uint64_t end, float *table) {
  size_t pairs = rotation.invFreq.size();
  for (uint64_t p = begin; p < end; ++p, table += 2 * pairs)
    for (size_t i = 0; i < pairs; ++i) {
      float angle = static_cast<float>(p) * rotation.invFreq[i];
      table[i] = std::cos(angle) * rotation.scale;
      table[pairs + i] = std::sin(angle) * rotation.scale;
    }
}

} // namespace pianola
