// WholeProduct.h - a product of matrices of small whole numbers, which every type holds and adds
// exactly.
#ifndef PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_WHOLEPRODUCT_H
#define PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_WHOLEPRODUCT_H

#include "test/targets/nvptx/emulator/Rehearsal.h"
#include "test/targets/nvptx/emulator/SmallFloat.h"

namespace pianola::ptx {

struct WholeProduct {
  size_t m, n, k;
  std::vector<int> a, b, c;

  WholeProduct(size_t m, size_t n, size_t k) : m(m), n(n), k(k) {
    Draw draw(m * 64 + n + k);
    const auto small = [&](size_t) { return draw.whole(-3, 3); };
    a = listOf(m * k, small), b = listOf(k * n, small), c = listOf(m * n, small);
  }
  int at(size_t row, size_t column) const {
    int sum = 0;
    for (size_t i = 0; i < k; ++i)
      sum += a[row * k + i] * b[i * n + column];
    return sum;
  }
  std::vector<int> columnsOfB() const {
    return listOf(b.size(), [&](size_t i) { return b[i % k * n + i / k]; });
  }
};

template <typename T> std::vector<T> as(const std::vector<int> &values) {
  return listOf(values.size(), [&](size_t i) { return T(values[i]); });
}
inline std::vector<uint16_t> halves(const std::vector<int> &values) {
  return listOf(values.size(), [&](size_t i) { return Half.encode(values[i]); });
}
inline std::vector<uint16_t> brains(const std::vector<int> &values) {
  return listOf(values.size(), [&](size_t i) { return Brain.encode(values[i]); });
}

} // namespace pianola::ptx

#endif
