// Probables.cpp - the probabilities behind a row of logits.
#include "runtime/server/Probables.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pianola::server {

static constexpr float kLeast = -103.2789f; // log of the smallest f32, 2^-149

Probables::Probables(const float *logits, int32_t vocabulary, size_t count) : logits(logits) {
  float most = -INFINITY;
  for (int32_t id = 0; id < vocabulary; ++id)
    most = std::max(most, logits[id]); // NaN is not
  double sum = 0;
  for (int32_t id = 0; id < vocabulary; ++id)
    if (!std::isnan(logits[id]))
      sum += std::exp(logits[id] - most);
  logSum = most + std::log(sum);

  std::vector<int32_t> ids(vocabulary);
  std::iota(ids.begin(), ids.end(), 0);
  auto isGreater = [&](int32_t left, int32_t right) {
    float a = std::isnan(logits[left]) ? -INFINITY : logits[left];
    float b = std::isnan(logits[right]) ? -INFINITY : logits[right];
    return a != b ? a > b : left < right;
  };
  count = std::min(count, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + count, ids.end(), isGreater);
  for (size_t i = 0; i < count; ++i)
    found.push_back({ids[i], of(ids[i])});
}

float Probables::of(int32_t id) const {
  float value = static_cast<float>(logits[id] - logSum);
  return value > kLeast ? value : kLeast; // NaN becomes the least
}

} // namespace pianola::server
