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

Rows delta(const Rows &queryKey, const Rows &value, const Rows &gates, llvm::ArrayRef<float> rate,
           llvm::ArrayRef<float> offset, transformer::DeltaOp op,
           llvm::MutableArrayRef<float> state) {
  int64_t heads = gates.columns / 2, keyHeads = op.getKeyHeads();
  int64_t keySize = queryKey.columns / (2 * keyHeads), size = value.columns / heads;
  Rows y(value.rows, value.columns);
  for (int64_t i = 0; i < y.rows; ++i)
    for (int64_t h = 0; h < heads; ++h) {
      auto head = [&](int64_t number) {
        return queryKey.row(i).slice(size_t(number * keySize), size_t(keySize));
      };
      int64_t keyHead = h / (heads / keyHeads);
      llvm::ArrayRef<float> q = head(keyHead), k = head(keyHeads + keyHead);
      llvm::ArrayRef<float> v = value.row(i).slice(size_t(h * size), size_t(size));
      llvm::MutableArrayRef<float> out = y.row(i).slice(size_t(h * size), size_t(size));
      // ln(1 + exp(x)), for large x, too.
      double x = double(gates.row(i)[size_t(heads + h)]) + offset[size_t(h)];
      double softplus = std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x)));
      double kept = std::exp(-std::exp(double(rate[size_t(h)])) * softplus);
      double strength = 1 / (1 + std::exp(-double(gates.row(i)[size_t(h)])));
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
        out[size_t(j)] = float(op.getScale().convertToDouble() * sum);
      }
    }
  return y;
}

} // namespace pianola::reference
