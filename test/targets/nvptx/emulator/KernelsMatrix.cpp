// Products of matrices and vectors, attention. Inputs of the tensor cores are small whole numbers,
// so that every product and sum is exact and the order of additions, which PTX leaves open, does
// not matter.
#include "test/targets/nvptx/emulator/Rehearsal.h"
#include "test/targets/nvptx/emulator/SmallFloat.h"

using namespace pianola::ptx;

namespace {

using Ints = std::vector<int32_t>;

Ints smallInts(size_t n, int32_t most, uint64_t seed) {
  Draw draw(seed);
  return listOf(n, [&](size_t) { return draw.whole(-most, most); });
}

/// A[m][k] times B, which is [n][k], or [k][n].
Ints multiply(const Ints &a, const Ints &b, size_t m, size_t n, size_t k, bool rowsOfK = false) {
  Ints c(m * n, 0);
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < n; ++j)
      for (size_t l = 0; l < k; ++l)
        c[i * n + j] += a[i * k + l] * (rowsOfK ? b[l * n + j] : b[j * k + l]);
  return c;
}

template <typename T, typename Encode>
void gemm(Rehearsal &p, const char *kernel, uint32_t m, uint32_t n, uint32_t k, int32_t most,
          Encode encode, bool rowsOfK = false) {
  const Ints a = smallInts(m * k, most, m), b = smallInts(n * k, most, n + k);
  const auto encoded = [&](const Ints &values) {
    return listOf(values.size(), [&](size_t i) -> T { return encode(values[i]); });
  };
  const uint64_t atA = p.put(encoded(a), "a"), atB = p.put(encoded(b), "b"),
                 atC = p.room<float>(m * n, "c");
  Arguments arguments;
  arguments.add(atA).add(atB).add(atC).add(n).add(k);
  p.play(kernel, {n / 32, m / 32}, {128}, arguments);
  const Ints c = multiply(a, b, m, n, k, rowsOfK);
  if (sizeof(T) == 1) // whole numbers in and out
    p.expectSame(atC, c, "c");
  else
    p.expectSame(atC, std::vector<float>(c.begin(), c.end()), "c");
}

void gemmF16Sums(Rehearsal &p, uint32_t k) {
  const Ints a = smallInts(16 * k, 3, 1), b = smallInts(8 * k, 3, 2), c0 = smallInts(128, 50, 3);
  const auto halves = [](const Ints &values) {
    return listOf(values.size(), [&](size_t i) { return Half.of(values[i]); });
  };
  const uint64_t atA = p.put(halves(a), "a"), atB = p.put(halves(b), "b"),
                 atC = p.put(halves(c0), "c");
  Arguments arguments;
  arguments.add(atA).add(atB).add(atC).add(k);
  p.play("gemm_f16_sums", {1}, {32}, arguments);
  Ints c = multiply(a, b, 16, 8, k);
  for (size_t i = 0; i < c.size(); ++i)
    c[i] += c0[i];
  p.expectSame(atC, halves(c), "c");
}

float foldWarp(std::vector<float> v) {
  for (size_t d = 16; d > 0; d /= 2) {
    const std::vector<float> before = v;
    for (size_t l = 0; l < 32; ++l)
      v[l] = before[l] + before[l ^ d];
  }
  return v[0];
}

void gemvBf16(Rehearsal &p, uint32_t blocks, uint32_t rows, uint32_t columns) {
  Draw draw(rows);
  const auto brains = [&](size_t n) {
    return listOf(n, [&](size_t) { return Brain.of(draw.real(-2, 2)); });
  };
  const auto w = brains(rows * columns), x = brains(columns);
  const uint64_t atW = p.put(w, "w"), atX = p.put(x, "x"), atY = p.room<float>(rows, "y");
  Arguments arguments;
  arguments.add(atW).add(atX).add(atY).add(rows).add(columns);
  p.play("gemv_bf16", {blocks}, {128}, arguments);
  p.expectSame(atY,
               listOf(rows,
                      [&](size_t row) {
                        std::vector<float> lanes(32, 0.0f);
                        for (size_t c = 0; c < columns; ++c) // a lane takes eight columns at a time
                          lanes[c / 8 % 32] =
                              std::fma(float(Brain.decode(w[row * columns + c])),
                                       float(Brain.decode(x[c])), lanes[c / 8 % 32]);
                        return foldWarp(lanes);
                      }),
               "y");
}

void gemvDp4a(Rehearsal &p, uint32_t blocks, uint32_t rows, uint32_t words) {
  Draw draw(rows + 1);
  const auto bytes = [&](size_t n) {
    return listOf(n, [&](size_t) { return int8_t(draw.whole(-128, 127)); });
  };
  const auto w = bytes(rows * words * 4), x = bytes(words * 4);
  const uint32_t groups = words / 32;
  const auto scales = listOf(rows * groups, [&](size_t) { return draw.real(0.01f, 0.1f); });
  const uint64_t atW = p.put(w, "w"), atS = p.put(scales, "scales"), atX = p.put(x, "x"),
                 atY = p.room<float>(rows, "y");
  Arguments arguments;
  arguments.add(atW).add(atS).add(atX).add(atY).add(rows).add(words);
  p.play("gemv_dp4a", {blocks}, {64}, arguments);
  p.expectSame(atY,
               listOf(rows,
                      [&](size_t row) {
                        float sum = 0;
                        for (size_t g = 0; g < groups; ++g) {
                          int32_t dot = 0;
                          for (size_t c = 0; c < 128; ++c)
                            dot += w[row * words * 4 + g * 128 + c] * x[g * 128 + c];
                          sum = std::fma(float(dot), scales[row * groups + g], sum);
                        }
                        return sum;
                      }),
               "y");
}

// Softmax by ex2.approx, whose last bits are not specified: 1e-5 is some eighty ulp of the values,
// which are about one.
void attendSplit(Rehearsal &p, uint32_t heads, uint32_t splits, uint32_t positions) {
  Draw draw(positions);
  const auto reals = [&](size_t n) { return listOf(n, [&](size_t) { return draw.real(-1, 1); }); };
  const auto q = reals(heads * 64), keys = reals(heads * positions * 64),
             values = reals(keys.size());
  const uint64_t atQ = p.put(q, "q"), atK = p.put(keys, "keys"), atV = p.put(values, "values"),
                 parts = p.room<float>(heads * splits * 66, "parts"),
                 finished = p.put(std::vector<uint32_t>(heads, 0), "finished"),
                 out = p.room<float>(heads * 64, "out");
  Arguments arguments;
  arguments.add(atQ).add(atK).add(atV).add(parts).add(finished).add(out).add(positions);
  p.play("attend_split", {splits, heads}, {128}, arguments);
  std::vector<double> expected;
  for (size_t h = 0; h < heads; ++h) {
    std::vector<double> result(64, 0.0);
    double weight = 0;
    for (size_t i = 0; i < positions; ++i) {
      double dot = 0;
      for (size_t c = 0; c < 64; ++c)
        dot += double(q[h * 64 + c]) * keys[(h * positions + i) * 64 + c];
      const double e = std::exp(dot / 8);
      weight += e;
      for (size_t c = 0; c < 64; ++c)
        result[c] += e * values[(h * positions + i) * 64 + c];
    }
    for (double r : result)
      expected.push_back(r / weight);
  }
  p.expectNear<float>(out, expected, 0, 1e-5, "out");
}

} // namespace

void pianola::ptx::addMatrices(Repertoire &r) {
  const auto brain = [](int32_t v) { return Brain.of(v); };
  const auto half = [](int32_t v) { return Half.of(v); };
  const auto single = [](int32_t v) { return float(v); };
  const auto byte = [](int32_t v) { return int8_t(v); };
  r.file("gemm");
  r.add("gemm_bf16_64x32x96",
        [=](Rehearsal &p) { gemm<uint16_t>(p, "gemm_bf16", 64, 32, 96, 9, brain); });
  r.add("gemm_bf16_32x64x32",
        [=](Rehearsal &p) { gemm<uint16_t>(p, "gemm_bf16", 32, 64, 32, 100, brain); });
  r.add("gemm_f16_64x64x128",
        [=](Rehearsal &p) { gemm<uint16_t>(p, "gemm_f16", 64, 64, 128, 20, half, true); });
  r.add("gemm_f16_32x32x32",
        [=](Rehearsal &p) { gemm<uint16_t>(p, "gemm_f16", 32, 32, 32, 7, half, true); });
  r.add("gemm_tf32_32x64x40",
        [=](Rehearsal &p) { gemm<float>(p, "gemm_tf32", 32, 64, 40, 30, single); });
  r.add("gemm_s8_64x64x64",
        [=](Rehearsal &p) { gemm<int8_t>(p, "gemm_s8", 64, 64, 64, 127, byte); });
  r.add("gemm_f16_sums_48", [](Rehearsal &p) { gemmF16Sums(p, 48); });
  r.file("gemv");
  r.add("gemv_bf16_3", [](Rehearsal &p) { gemvBf16(p, 3, 10, 768); });
  r.add("gemv_bf16_1", [](Rehearsal &p) { gemvBf16(p, 1, 4, 256); });
  r.add("gemv_dp4a_4", [](Rehearsal &p) { gemvDp4a(p, 4, 7, 96); });
  r.file("attention");
  r.add("attend_split_2x3", [](Rehearsal &p) { attendSplit(p, 2, 3, 100); });
  r.add("attend_split_1x4", [](Rehearsal &p) { attendSplit(p, 1, 4, 60); });
  r.add("attend_split_3x1", [](Rehearsal &p) { attendSplit(p, 3, 1, 128); });
}
