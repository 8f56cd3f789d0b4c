// Tolerance.h - how far from the reference is right.
//
// All by relative L2 distance, |a - b| / |b|.
#ifndef PIANOLA_TEST_NUMERIC_TOLERANCE_H
#define PIANOLA_TEST_NUMERIC_TOLERANCE_H

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace pianola {

/// The f32 interpreter against goldens made in f32. The goldens' own noise is at most 3e-6; the
/// mildest wrong reading of a config moves logits by 1.5e-4.
constexpr double kReferenceTolerance = 2e-5;

/// A roll of the host target against the same. Activations are f32, or sums of two bf16 numbers (16
/// bits, see targets/host/Contract.cpp), so rounding gives 2e-5 at most on the goldens; 2e-3 is far
/// below what any wrong step gives (the next smallest after the activation's flavour is 7e-3) and
/// leaves room for deeper models.
constexpr double kHostTolerance = 2e-3;

/// A roll of the nvptx target against the same: its arithmetic is the host's, in another order.
constexpr double kGpuTolerance = kHostTolerance;

inline double distance(const float *a, const float *b, size_t count) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < count; ++i) {
    difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    norm += double(b[i]) * b[i];
  }
  return std::sqrt(difference / norm);
}

inline double greatestError(const float *a, const float *b, size_t count) {
  double greatest = 0;
  for (size_t i = 0; i < count; ++i)
    greatest = std::max(greatest, std::abs(double(a[i]) - b[i]));
  return greatest;
}

} // namespace pianola

#endif
