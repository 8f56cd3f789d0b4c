// Compensate.cpp - codes whose errors make up for each other, on the activations that they meet.
#include "lib/encode/Compensate.h"

#include "llvm/Support/Parallel.h"

#include <algorithm>
#include <cmath>

namespace pianola {

using reference::Rows;

Rows gram(const Rows &x) {
  int64_t size = x.columns;
  Rows result(size, size);
  // Some columns of some rows at a time, so that what is multiplied stays in a core's cache.
  constexpr int64_t kRows = 1024, kColumns = 64;
  for (int64_t first = 0; first < x.rows; first += kRows) {
    int64_t count = std::min(kRows, x.rows - first);
    Rows turned(size, count);
    llvm::parallelFor(0, size_t(size), [&](size_t column) {
      for (int64_t i = 0; i < count; ++i)
        turned.row(int64_t(column))[i] = x.row(first + i)[column];
    });
    llvm::parallelFor(0, size_t((size + kColumns - 1) / kColumns), [&](size_t block) {
      int64_t begin = int64_t(block) * kColumns, end = std::min(begin + kColumns, size);
      for (int64_t j = 0; j < end; ++j)
        for (int64_t i = std::max(begin, j); i < end; ++i)
          result.row(i)[j] += float(reference::dot(turned.row(i), turned.row(j)));
    });
  }
  for (int64_t i = 0; i < size; ++i)
    for (int64_t j = i + 1; j < size; ++j)
      result.row(i)[j] = result.row(j)[i];
  return result;
}

// The lower triangular L of L L^T = a + damping, in place of a; false if rounding makes a pivot
// that has no root.
static bool factorise(Rows &a, double damping) {
  int64_t last = a.rows - 1;
  for (int64_t j = 0; j < a.rows; ++j) {
    llvm::ArrayRef<float> before = a.row(j).take_front(j);
    double pivot = a.row(j)[j] + damping - reference::dot(before, before);
    if (!(pivot > 0))
      return false;
    float root = float(std::sqrt(pivot));
    a.row(j)[j] = root;
    // Some rows at a time: waking a thread takes longer than a short row.
    constexpr int64_t kRows = 64;
    llvm::parallelFor(0, size_t((last - j + kRows - 1) / kRows), [&](size_t block) {
      int64_t first = j + 1 + int64_t(block) * kRows;
      for (int64_t i = first, end = std::min(first + kRows, a.rows); i < end; ++i) {
        llvm::MutableArrayRef<float> row = a.row(i);
        row[j] = float((row[j] - reference::dot(row.take_front(j), before)) / root);
      }
    });
  }
  return true;
}

Rows inverseFactor(const Rows &h) {
  int64_t size = h.rows, last = size - 1;
  double mean = 0;
  for (int64_t i = 0; i < size; ++i)
    mean += h.row(i)[i] / double(size);
  // Read backwards, H = L L^T gives H = R R^T with R upper triangular, and U is the inverse of R.
  Rows lower;
  for (double damping = mean > 0 ? mean / 100 : 1;; damping *= 10) {
    lower = h;
    std::reverse(lower.values.begin(), lower.values.end());
    if (factorise(lower, damping))
      break;
  }
  Rows factor(size, size);
  llvm::parallelFor(0, size_t(size), [&](size_t number) {
    // A column of the inverse of L; the last of `column` is its row 0.
    auto j = int64_t(number);
    std::vector<float> column(size);
    column[j] = 1 / lower.row(j)[j];
    for (int64_t i = j + 1; i < size; ++i) {
      double sum = reference::dot(lower.row(i).slice(j, i - j),
                                  llvm::ArrayRef<float>(column).slice(j, i - j));
      column[i] = float(-sum / lower.row(i)[i]);
    }
    for (int64_t i = j; i < size; ++i)
      factor.row(last - i)[last - j] = column[i];
  });
  return factor;
}

// No sum is contracted with a product, so every machine finds the same codes.
__attribute__((target_clones("avx512f", "avx2", "default"))) void
subtractScaled(float *to, const float *from, float scale, int64_t count) {
#pragma clang fp contract(off)
  for (int64_t i = 0; i < count; ++i)
    to[i] -= scale * from[i];
}

// Rows first .. end - 1, column by column: a row of the factor serves all of them.
static void compensateRows(const Scaling &scaling, const Rows &factor, Rows weights, int64_t first,
                           EncodedRows &out) {
  int64_t columns = out.columns, size = scaling.groupOf(columns);
  std::vector<GroupScale> groups(weights.rows);
  for (int64_t j = 0; j < columns; ++j) {
    float diagonal = factor.row(j)[j];
    for (int64_t r = 0; r < weights.rows; ++r) {
      llvm::MutableArrayRef<float> row = weights.row(r);
      if (j % size == 0) {
        groups[r] = findScale(scaling, row.slice(j, std::min(size, columns - j)));
        setGroup(groups[r], first + r, j / size, out);
      }
      uint8_t code = codeOf(scaling, groups[r], row[j]);
      out.codes[(first + r) * columns + j] = code;
      float error = (row[j] - valueOf(scaling, groups[r], code)) / diagonal;
      subtractScaled(row.data() + j + 1, factor.row(j).data() + j + 1, error, columns - j - 1);
    }
  }
}

void compensate(const Scaling &scaling, const Rows &factor, const Rows &weights, EncodedRows &out) {
  constexpr int64_t kRows = 16;
  llvm::parallelFor(0, size_t((weights.rows + kRows - 1) / kRows), [&](size_t block) {
    int64_t first = int64_t(block) * kRows, count = std::min(kRows, weights.rows - first);
    compensateRows(scaling, factor, weights.slice(first, count), first, out);
  });
}

Rows someRows(const Rows &x) {
  constexpr int64_t kRows = 256;
  Rows some;
  for (int64_t i = 0, count = std::min(x.rows, kRows); i < count; ++i)
    some.append(x.slice(i * x.rows / count, 1));
  return some;
}

double outputError(const Rows &weights, const Rows &found, const Rows &x) {
  Rows difference = weights;
  for (size_t i = 0; i < difference.values.size(); ++i)
    difference.values[i] -= found.values[i];
  auto square = [&](const Rows &matrix) {
    Rows y = reference::linear(x, matrix);
    return reference::dot(y.values, y.values);
  };
  double size = square(weights);
  return size ? square(difference) / size : 0;
}

} // namespace pianola
