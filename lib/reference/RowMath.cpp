// RowMath.cpp - the arithmetic of the interpreter, on rows of f32.
#include "lib/reference/RowMath.h"

#include "lib/checkpoint/Encoding.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Parallel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace pianola::reference {

Rows Rows::slice(int64_t first, int64_t count) const {
  Rows part(count, columns);
  std::copy_n(values.begin() + first * columns, count * columns, part.values.begin());
  return part;
}

void Rows::append(const Rows &more) {
  columns = more.columns;
  rows += more.rows;
  values.insert(values.end(), more.values.begin(), more.values.end());
}

using Floats = float __attribute__((vector_size(32)));
using Doubles = double __attribute__((vector_size(64)));

// Products of two f32 are exact in double, so every machine finds the same sums.
__attribute__((target_clones("avx512f", "avx2", "default"))) double
dotProduct(const float *a, const float *b, size_t n) {
  // Sums side by side, because one would make every addition wait for the last.
  constexpr size_t kLanes = 8, kSums = 4;
  Doubles sums[kSums] = {};
  size_t i = 0;
  for (; i + kLanes * kSums <= n; i += kLanes * kSums)
    for (size_t s = 0; s < kSums; ++s) {
      Floats x, y;
      std::memcpy(&x, a + i + s * kLanes, sizeof(x));
      std::memcpy(&y, b + i + s * kLanes, sizeof(y));
      sums[s] += __builtin_convertvector(x, Doubles) * __builtin_convertvector(y, Doubles);
    }
  Doubles lanes = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double sum = 0;
  for (size_t lane = 0; lane < kLanes; ++lane)
    sum += lanes[lane];
  for (; i < n; ++i)
    sum += double(a[i]) * double(b[i]);
  return sum;
}

double dot(llvm::ArrayRef<float> a, llvm::ArrayRef<float> b) {
  return dotProduct(a.data(), b.data(), a.size());
}

Rows headLinear(const Rows &x, const Rows &weight, int64_t heads) {
  int64_t size = x.columns / heads, out = weight.rows / heads;
  Rows y(x.rows, weight.rows);
  for (int64_t i = 0; i < x.rows; ++i)
    for (int64_t row = 0; row < weight.rows; ++row) {
      auto head = x.row(i).slice(size_t(row / out * size), size_t(weight.columns));
      y.row(i)[size_t(row)] = float(dot(head, weight.row(row)));
    }
  return y;
}

Rows join(const Rows &x, const Rows &y, int64_t heads) {
  Rows z(x.rows, x.columns + y.columns);
  for (int64_t i = 0; i < x.rows; ++i) {
    auto *to = z.row(i).begin();
    for (int64_t head = 0; head < heads; ++head)
      for (const Rows *from : {&x, &y}) {
        auto size = size_t(from->columns / heads);
        llvm::ArrayRef<float> slice = from->row(i).slice(size_t(head) * size, size);
        to = std::copy(slice.begin(), slice.end(), to);
      }
  }
  return z;
}

Rows linear(const Rows &x, const Rows &weight) {
  Rows y(x.rows, weight.rows);
  // Some rows at a time, which a core's cache holds while all of the weight goes by.
  constexpr int64_t kAtOnce = 32;
  llvm::parallelFor(0, size_t(x.rows + kAtOnce - 1) / kAtOnce, [&](size_t block) {
    int64_t first = int64_t(block) * kAtOnce, end = std::min(first + kAtOnce, x.rows);
    for (int64_t out = 0; out < weight.rows; ++out)
      for (int64_t i = first; i < end; ++i)
        y.row(i)[size_t(out)] = float(dot(x.row(i), weight.row(out)));
  });
  return y;
}

Rows layerNorm(const Rows &x, llvm::ArrayRef<float> weight, llvm::ArrayRef<float> bias, float eps) {
  Rows y(x.rows, x.columns);
  for (int64_t i = 0; i < x.rows; ++i) {
    double sum = 0, squares = 0, size = double(x.columns);
    for (float value : x.row(i))
      sum += double(value);
    auto mean = float(sum / size);
    for (float value : x.row(i))
      squares += double(value - mean) * double(value - mean);
    float factor = 1.0f / std::sqrt(float(squares / size) + eps);
    for (size_t j = 0; j < size_t(x.columns); ++j)
      y.row(i)[j] = weight[j] * ((x.row(i)[j] - mean) * factor) + (bias.empty() ? 0 : bias[j]);
  }
  return y;
}

Rows norm(const Rows &x, llvm::ArrayRef<float> weight, int64_t heads, float eps) {
  Rows y(x.rows, x.columns);
  size_t size = size_t(x.columns / heads);
  for (int64_t i = 0; i < x.rows; ++i)
    for (size_t begin = 0; begin < size_t(x.columns); begin += size) {
      llvm::ArrayRef<float> slice = x.row(i).slice(begin, size);
      float mean = float(dot(slice, slice) / double(size));
      float factor = 1.0f / std::sqrt(mean + eps);
      for (size_t j = 0; j < size; ++j)
        y.row(i)[begin + j] = (weight.empty() ? 1.0f : weight[j]) * (slice[j] * factor);
    }
  return y;
}

static float scaleAt(transformer::RopeTableOp table, int64_t position) {
  float scale = table.getScale().convertToFloat();
  if (!table.getGrowth())
    return scale;
  int64_t passed = (position + int64_t(*table.getFrom())) / int64_t(*table.getPeriod());
  return scale * (1.0f + table.getGrowth()->convertToFloat() * std::log(1.0f + float(passed)));
}

Rows rope(const Rows &x, transformer::RopeTableOp table, int64_t heads, int64_t base) {
  llvm::ArrayRef<float> frequencies = table.getInvFreq();
  Rows y = x;
  int64_t size = x.columns / heads;
  size_t half = frequencies.size();
  for (int64_t i = 0; i < x.rows; ++i) {
    float scale = scaleAt(table, base + i);
    for (size_t pair = 0; pair < half; ++pair) {
      float angle = float(base + i) * frequencies[pair];
      float cosine = scale * float(std::cos(double(angle)));
      float sine = scale * float(std::sin(double(angle)));
      for (int64_t head = 0; head < heads; ++head) {
        size_t first = size_t(head * size) + pair, second = first + half;
        float a = x.row(i)[first], b = x.row(i)[second];
        y.row(i)[first] = a * cosine - b * sine;
        y.row(i)[second] = b * cosine + a * sine;
      }
    }
  }
  return y;
}

void roundTo(Rows &rows, mlir::Type element, int64_t headSize) {
  if (!element || element.isF32())
    return;
  if (element.isBF16()) {
    for (float &value : rows.values)
      value = fromBf16(toBf16(value));
    return;
  }
  bool isFloat = element.isFloat8E4M3FN();
  float greatestCode = isFloat ? 448 : 127;
  for (size_t first = 0; first < rows.values.size(); first += size_t(headSize)) {
    auto head = llvm::MutableArrayRef(rows.values).slice(first, size_t(headSize));
    float greatest = 0;
    for (float value : head)
      greatest = std::max(greatest, std::fabs(value));
    float scale = greatest / greatestCode, inverse = greatestCode / std::max(greatest, 1e-30f);
    for (float &value : head) {
      float scaled = value * inverse;
      value = scale * (isFloat ? fromF8E4M3(toF8E4M3(scaled)) : std::nearbyint(scaled));
    }
  }
}

/// The first position that one at `last` sees.
static int64_t firstSeen(transformer::AttentionOp op, int64_t last) {
  if (op.getWindow())
    return std::max<int64_t>(0, last - int64_t(*op.getWindow()) + 1);
  return op.getChunk() ? last / int64_t(*op.getChunk()) * int64_t(*op.getChunk()) : 0;
}

std::vector<int64_t> chooseFirst(llvm::ArrayRef<float> scores, size_t top) {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](int64_t a, int64_t b) {
    return std::pair(-scores[size_t(a)], a) < std::pair(-scores[size_t(b)], b);
  });
  order.resize(std::min(top, order.size()));
  return order;
}

Selection select(const Rows &query, const Rows &weights, const Rows &keys, transformer::SelectOp op,
                 int64_t base, const Chooser &choose) {
  int64_t heads = op.getHeads();
  auto size = size_t(keys.columns), top = size_t(op.getResult().getType().getTop());
  Selection selection(size_t(query.rows));
  llvm::parallelFor(0, size_t(query.rows), [&](size_t row) {
    auto i = int64_t(row);
    std::vector<float> scores(size_t(keys.rows), -std::numeric_limits<float>::infinity());
    for (int64_t k = 0; k <= base + i; ++k) {
      double sum = 0;
      for (int64_t head = 0; head < heads; ++head) {
        double product = dot(query.row(i).slice(size_t(head) * size, size), keys.row(k));
        sum += double(weights.row(i)[size_t(head)]) * std::max(0.0, product);
      }
      scores[size_t(k)] = op.getScale().convertToFloat() * float(sum);
    }
    selection[row] = choose(scores, top);
    llvm::erase_if(selection[row], [&](int64_t k) { return k > base + i; });
    llvm::sort(selection[row]);
  });
  return selection;
}

Rows attention(const Rows &query, const Rows &keys, const Rows &values, transformer::AttentionOp op,
               llvm::ArrayRef<float> sinks, int64_t base, const Selection *selection) {
  Rows y(query.rows, query.columns);
  int64_t heads = int64_t(op.getHeads()), headSize = op.getContext().getType().getHeadSize();
  float scale = op.getScale().convertToFloat();
  float cap = op.getCap() ? op.getCap()->convertToFloat() : 0;
  size_t size = size_t(headSize);
  int64_t sharing = heads * headSize / keys.columns; // query heads per key head
  llvm::parallelFor(0, size_t(query.rows), [&](size_t row) {
    auto i = int64_t(row);
    std::vector<float> weights;
    std::vector<int64_t> seen;
    std::vector<double> sums(size);
    for (int64_t head = 0; head < heads; ++head) {
      int64_t last = base + i;
      if (selection) {
        seen = (*selection)[row];
      } else {
        seen.resize(size_t(last - firstSeen(op, last) + 1));
        std::iota(seen.begin(), seen.end(), firstSeen(op, last));
      }
      size_t mine = size_t(head) * size, theirs = size_t(head / sharing) * size;
      weights.clear();
      for (int64_t k : seen)
        weights.push_back(
            scale * float(dot(query.row(i).slice(mine, size), keys.row(k).slice(theirs, size))));
      if (cap)
        for (float &weight : weights)
          weight = cap * std::tanh(weight / cap);
      float largest = *llvm::max_element(weights);
      if (!sinks.empty())
        largest = std::max(largest, sinks[size_t(head)]);
      double total = sinks.empty() ? 0 : std::exp(sinks[size_t(head)] - largest);
      for (float &weight : weights)
        total += weight = std::exp(weight - largest);
      std::fill(sums.begin(), sums.end(), 0.0);
      for (auto [n, k] : llvm::enumerate(seen))
        for (size_t j = 0; j < size; ++j)
          sums[j] += double(weights[n]) * double(values.row(k)[theirs + j]);
      for (size_t j = 0; j < size; ++j)
        y.row(i)[mine + j] = float(sums[j] / total);
    }
  });
  return y;
}

static float activate(float x, transformer::Activation activation) {
  switch (activation) {
  case transformer::Activation::Silu:
    return x / (1.0f + std::exp(-x));
  case transformer::Activation::GeluTanh: {
    constexpr float root = 0.7978845608f; // sqrt(2 / pi)
    return 0.5f * x * (1.0f + std::tanh(root * (x + 0.044715f * x * x * x)));
  }
  case transformer::Activation::Gelu:
    return 0.5f * x * (1.0f + std::erf(x * llvm::numbers::inv_sqrt2f));
  case transformer::Activation::SwigluOai:
    break; // of a gate and an up: see glu
  }
  llvm_unreachable("an activation without a formula");
}

Rows activate(const Rows &rows, transformer::Activation activation) {
  Rows y = rows;
  for (float &value : y.values)
    value = activate(value, activation);
  return y;
}

static float swigluOai(float gate, float up, float limit) {
  float g = std::min(gate, limit), u = std::clamp(up, -limit, limit);
  return (u + 1.0f) * g / (1.0f + std::exp(-1.702f * g));
}

Rows glu(const Rows &gate, const Rows &up, transformer::Activation activation, float limit) {
  Rows y(gate.rows, gate.columns);
  if (activation == transformer::Activation::SwigluOai) {
    for (size_t i = 0; i < y.values.size(); ++i)
      y.values[i] = swigluOai(gate.values[i], up.values[i], limit);
    return y;
  }
  for (size_t i = 0; i < y.values.size(); ++i)
    y.values[i] = activate(gate.values[i], activation) * up.values[i];
  return y;
}

Rows add(const Rows &lhs, const Rows &rhs) {
  Rows y = lhs;
  for (size_t i = 0; i < y.values.size(); ++i)
    y.values[i] += rhs.values[i];
  return y;
}

Rows scale(const Rows &rows, float factor) {
  Rows y = rows;
  for (float &value : y.values)
    value *= factor;
  return y;
}

Rows softcap(const Rows &rows, float cap) {
  Rows y = rows;
  for (float &value : y.values)
    value = cap * std::tanh(value / cap);
  return y;
}

void addToRows(Rows &rows, llvm::ArrayRef<float> bias) {
  for (int64_t i = 0; i < rows.rows; ++i)
    for (size_t j = 0; j < bias.size(); ++j)
      rows.row(i)[j] += bias[j];
}

} // namespace pianola::reference
