// Compensate.cpp - errors make up for each other where activations allow it, and only there.
#include "lib/encode/Compensate.h"
#include "lib/encode/WeightSpec.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace pianola;
using reference::Rows;

namespace {

Rows normal(int64_t rows, int64_t columns, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> distribution;
  Rows result(rows, columns);
  for (float &value : result.values)
    value = distribution(engine);
  return result;
}

// Activations of few directions and some noise, as those of a model are.
Rows activations(int64_t rows, int64_t columns, unsigned seed) {
  Rows x =
      reference::linear(normal(rows, columns / 4, seed), normal(columns, columns / 4, seed + 1));
  return reference::add(x, normal(rows, columns, seed + 2));
}

Scaling scalingOf(const char *encoding) {
  return *llvm::cantFail(WeightSpec::parse(encoding)).find("w")->scaling;
}

EncodedRows roomFor(const Scaling &scaling, const Rows &weights) {
  EncodedRows rows;
  rows.rows = weights.rows;
  rows.columns = weights.columns;
  rows.groups = scaling.groups(rows.columns);
  rows.codes.resize(rows.rows * rows.columns);
  rows.scales.resize(rows.rows * rows.groups);
  rows.zeros.resize(scaling.zeros ? rows.rows * rows.groups : 0);
  return rows;
}

EncodedRows plain(const Scaling &scaling, const Rows &weights) {
  EncodedRows rows = roomFor(scaling, weights);
  for (int64_t r = 0; r < weights.rows; ++r)
    quantiseRow(scaling, weights.row(r), r, rows);
  return rows;
}

EncodedRows compensated(const Scaling &scaling, const Rows &weights, const Rows &x) {
  EncodedRows rows = roomFor(scaling, weights);
  compensate(scaling, inverseFactor(gram(x)), weights, rows);
  return rows;
}

Rows decoded(const Scaling &scaling, const EncodedRows &rows) {
  Rows result(rows.rows, rows.columns);
  for (int64_t r = 0; r < rows.rows; ++r)
    decodeRow(scaling, rows, r, result.row(r));
  return result;
}

void expectSame(const EncodedRows &a, const EncodedRows &b) {
  EXPECT_EQ(a.codes, b.codes);
  EXPECT_EQ(a.scales, b.scales);
  EXPECT_EQ(a.zeros, b.zeros);
}

TEST(Gram, IsOfColumns) {
  Rows x(3, 2);
  x.values = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(gram(x).values, (std::vector<float>{35, 44, 44, 56}));
}

TEST(Gram, OfManyRowsAndColumns) {
  Rows x = normal(1500, 100, 1), h = gram(x);
  for (auto [i, j] : {std::pair(0, 0), std::pair(3, 99), std::pair(99, 3), std::pair(70, 66)}) {
    double sum = 0;
    for (int64_t row = 0; row < x.rows; ++row)
      sum += double(x.row(row)[i]) * x.row(row)[j];
    EXPECT_NEAR(h.row(i)[j], sum, 1e-2) << i << " " << j;
  }
}

// H = 4 0; 0 1 and d = 0.025: the roots of 1 / 4.025 and 1 / 1.025.
TEST(InverseFactor, OfADiagonal) {
  Rows h(2, 2);
  h.values = {4, 0, 0, 1};
  Rows u = inverseFactor(h);
  EXPECT_FLOAT_EQ(u.row(0)[0], 1 / std::sqrt(4.025f));
  EXPECT_FLOAT_EQ(u.row(1)[1], 1 / std::sqrt(1.025f));
  EXPECT_EQ(u.row(0)[1], 0);
  EXPECT_EQ(u.row(1)[0], 0);
}

TEST(InverseFactor, TimesItselfIsTheInverse) {
  constexpr int64_t kSize = 40;
  Rows h = gram(activations(200, kSize, 2)), u = inverseFactor(h);
  double mean = 0;
  for (int64_t i = 0; i < kSize; ++i)
    mean += h.row(i)[i] / kSize;
  for (int64_t i = 0; i < kSize; ++i)
    h.row(i)[i] += float(mean / 100);
  for (int64_t i = 0; i < kSize; ++i)
    for (int64_t j = 0; j < kSize; ++j) {
      double product = 0; // of row i of U^T U and column j of H
      for (int64_t k = 0; k <= i; ++k)
        for (int64_t c = k; c < kSize; ++c)
          product += double(u.row(k)[i]) * u.row(k)[c] * h.row(c)[j];
      EXPECT_NEAR(product, i == j, 1e-3) << i << " " << j;
      if (j < i) {
        EXPECT_EQ(u.row(i)[j], 0);
      }
    }
}

// Each row one direction only: without damping there would be no root.
TEST(InverseFactor, OfASingularMatrix) {
  Rows x(2, 3);
  x.values = {1, 1, 1, 2, 2, 2};
  for (float value : inverseFactor(gram(x)).values)
    EXPECT_TRUE(std::isfinite(value));
  for (float value : inverseFactor(Rows(3, 3)).values)
    EXPECT_TRUE(value == 0 || value == 1);
}

class Compensate : public testing::TestWithParam<const char *> {
protected:
  Scaling scaling = scalingOf(GetParam());
};

TEST_P(Compensate, ServesCorrelatedActivations) {
  Rows weights = normal(24, 160, 3), x = activations(600, 160, 4);
  auto error = [&](const EncodedRows &rows) {
    return outputError(weights, decoded(scaling, rows), x);
  };
  EXPECT_LT(error(compensated(scaling, weights, x)), 0.6 * error(plain(scaling, weights)));
}

// Also of activations that the codes were not chosen for.
TEST_P(Compensate, ServesOtherActivationsOfTheKind) {
  Rows weights = normal(24, 128, 5), mix = normal(128, 32, 6);
  auto some = [&](unsigned seed) {
    return reference::add(reference::linear(normal(1000, 32, seed), mix),
                          normal(1000, 128, seed + 1));
  };
  Rows seen = some(7), unseen = some(9);
  auto error = [&](const EncodedRows &rows) {
    return outputError(weights, decoded(scaling, rows), unseen);
  };
  EXPECT_LT(error(compensated(scaling, weights, seen)), 0.7 * error(plain(scaling, weights)));
}

// Where no column can make up for another, codes are those of the search alone.
TEST_P(Compensate, LeavesIndependentActivationsAlone) {
  Rows weights = normal(20, 96, 10), x(96, 96);
  for (int64_t i = 0; i < 96; ++i)
    x.row(i)[i] = float(i % 5); // some columns see nothing at all
  expectSame(compensated(scaling, weights, x), plain(scaling, weights));
}

// A column less the first one's error, as much of it as the factor says.
TEST_P(Compensate, SpreadsTheErrorOverWhatComes) {
  Rows weights = normal(1, 2, 11), factor(2, 2);
  factor.values = {0.5f, 0.25f, 0, 1};
  EncodedRows rows = roomFor(scaling, weights);
  compensate(scaling, factor, weights, rows);
  GroupScale group{rows.scales[0], scaling.zeros ? rows.zeros[0] : impliedZero(scaling.code)};
  float first = weights.row(0)[0], second = weights.row(0)[1];
  GroupScale expected = findScale(scaling, {first, second});
  EXPECT_EQ(group.scale, expected.scale);
  EXPECT_EQ(rows.codes[0], codeOf(scaling, group, first));
  float error = first - valueOf(scaling, group, rows.codes[0]);
  EXPECT_EQ(rows.codes[1], codeOf(scaling, group, second - error / 2));
}

TEST_P(Compensate, IsTheSameEachTime) {
  Rows weights = normal(50, 200, 12), x = activations(300, 200, 13);
  expectSame(compensated(scaling, weights, x), compensated(scaling, weights, x));
}

INSTANTIATE_TEST_SUITE_P(All, Compensate,
                         testing::Values("int8", "int8/row", "int4", "int4/128", "int4/32z", "fp8",
                                         "fp8/128", "mxfp4"));

} // namespace
