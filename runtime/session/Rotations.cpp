// Rotations.cpp - tables of cosines and sines, one row for each position.
#include "runtime/session/Rotations.h"

#include <cmath>

namespace pianola {

// As transformers' LlamaRotaryEmbedding computes them: the angle is a product in f32.
void fillRotation(const RollRotation &rotation, uint64_t begin, uint64_t end, float *table) {
  size_t pairs = rotation.invFreq.size();
  for (uint64_t p = begin; p < end; ++p, table += 2 * pairs) {
    float scale = rotation.scale;
    if (rotation.growth != 0) {
      uint64_t passed = (p + rotation.from) / rotation.period;
      scale *= 1.0f + rotation.growth * std::log(1.0f + static_cast<float>(passed));
    }
    for (size_t i = 0; i < pairs; ++i) {
      float angle = static_cast<float>(p) * rotation.invFreq[i];
      table[i] = std::cos(angle) * scale;
      table[pairs + i] = std::sin(angle) * scale;
    }
  }
}

} // namespace pianola
