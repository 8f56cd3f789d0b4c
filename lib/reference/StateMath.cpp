// StateMath.cpp - the arithmetic of layers that remember, on rows of f32.
#include "lib/reference/StateMath.h"

#include <cmath>

namespace pianola::reference {

Rows convolve(const Rows &history, const Rows &weight, int64_t base) {
  Rows y(history.rows - base, history.columns);
  for (int64_t i = 0; i < y.rows; ++i)
    for (int64_t c = 0; c < y.columns; ++c) {
      double sum = 0;
      for (int64_t tap = 0; tap < weight.rows; ++tap)
        if (int64_t position = base + i - weight.rows + 1 + tap; position >= 0)
          sum += double(weight.row(tap)[size_t(c)]) * history.row(position)[size_t(c)];
      y.row(i)[size_t(c)] = float(sum);
    }
  return y;
}

Rows delta(const DeltaInputs &in, int64_t keySize, llvm::MutableArrayRef<float> state) {
  int64_t heads = in.decay.columns, size = in.value.columns / heads;
  int64_t ofKeyHead = heads / (in.key.columns / keySize);
  Rows y(in.value.rows, in.value.columns);
  for (int64_t i = 0; i < y.rows; ++i)
    for (int64_t h = 0; h < heads; ++h) {
      size_t keyHead = size_t(h / ofKeyHead * keySize);
      llvm::ArrayRef<float> q = in.query.row(i).slice(keyHead, size_t(keySize));
      llvm::ArrayRef<float> k = in.key.row(i).slice(keyHead, size_t(keySize));
      llvm::ArrayRef<float> v = in.value.row(i).slice(size_t(h * size), size_t(size));
      llvm::MutableArrayRef<float> out = y.row(i).slice(size_t(h * size), size_t(size));
      // ln(1 + exp(x)), for large x, too.
      double x = double(in.decay.row(i)[size_t(h)]) + in.offset[size_t(h)];
      double softplus = std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x)));
      double kept = std::exp(-std::exp(double(in.rate[size_t(h)])) * softplus);
      double strength = 1 / (1 + std::exp(-double(in.strength.row(i)[size_t(h)])));
      float *matrix = state.data() + h * keySize * size;
      for (int64_t j = 0; j < size; ++j) {
        auto at = [&](int64_t d) -> float & { return matrix[d * size + j]; };
        double found = 0;
        for (int64_t d = 0; d < keySize; ++d) {
          at(d) = float(kept * at(d));
          found += double(at(d)) * k[size_t(d)];
        }
        double change = strength * (v[size_t(j)] - found), sum = 0;
        for (int64_t d = 0; d < keySize; ++d) {
          at(d) += float(k[size_t(d)] * change);
          sum += double(at(d)) * q[size_t(d)];
        }
        out[size_t(j)] = float(sum);
      }
    }
  return y;
}

} // namespace pianola::reference
