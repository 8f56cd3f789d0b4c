// Quantise.cpp - what rounding costs, and that no scale beside the chosen one costs less.
#include "lib/encode/Quantise.h"
#include "lib/encode/WeightSpec.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>

using namespace pianola;

namespace {

EncodedRows encode(const Scaling &scaling, llvm::ArrayRef<float> values) {
  EncodedRows rows;
  rows.rows = 1;
  rows.columns = values.size();
  rows.groups = scaling.groups(rows.columns);
  rows.codes.resize(rows.columns);
  rows.scales.resize(rows.groups);
  rows.zeros.resize(rows.groups);
  quantiseRow(scaling, values, 0, rows);
  return rows;
}

std::vector<float> decode(const Scaling &scaling, const EncodedRows &rows) {
  std::vector<float> values(rows.columns);
  decodeRow(scaling, rows, 0, values);
  return values;
}

double errorOf(llvm::ArrayRef<float> wanted, llvm::ArrayRef<float> found) {
  double error = 0, size = 0;
  for (auto [a, b] : llvm::zip_equal(wanted, found)) {
    error += (double(a) - b) * (double(a) - b);
    size += double(a) * a;
  }
  return std::sqrt(error / size);
}

std::vector<float> normal(size_t count, float mean, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> distribution(mean, 0.02f);
  std::vector<float> values(count);
  for (float &value : values)
    value = distribution(engine);
  return values;
}

struct Case {
  const char *encoding;
  double most; // relative error of normal numbers
};

void PrintTo(const Case &each, std::ostream *out) { *out << each.encoding; }

constexpr Case kCases[] = {{"int8", 0.007},    {"int8/row", 0.009},  {"int8/32", 0.005},
                           {"int4", 0.085},    {"int4/64", 0.095},   {"int4/128", 0.105},
                           {"int4/32z", 0.08}, {"int4/128z", 0.095}, {"fp8", 0.028},
                           {"fp8/128", 0.028}, {"mxfp4", 0.125}};

class Quantise : public testing::TestWithParam<Case> {
protected:
  Scaling scaling = *llvm::cantFail(WeightSpec::parse(GetParam().encoding)).find("w")->scaling;
};

TEST_P(Quantise, CostsLittle) {
  std::vector<float> values = normal(1000, 0, 1); // the last group is a part of one
  EXPECT_LT(errorOf(values, decode(scaling, encode(scaling, values))), GetParam().most);
}

// Where numbers are not spread about zero, zero points are worth their bytes.
TEST(Quantised, ZeroPointsServeLopsidedNumbers) {
  std::vector<float> values = normal(512, 0.05f, 2);
  auto error = [&](const char *encoding) {
    Scaling scaling = *llvm::cantFail(WeightSpec::parse(encoding)).find("w")->scaling;
    return errorOf(values, decode(scaling, encode(scaling, values)));
  };
  EXPECT_LT(error("int4/32z"), 0.75 * error("int4/32"));
}

// A scale a little greater or smaller, with the codes that it gives, is no better.
TEST_P(Quantise, ScalesAreBest) {
  if (scaling.zeros || scaling.scale == ScaleType::E8M0)
    return;
  std::vector<float> values = normal(128, 0, 3);
  EncodedRows rows = encode(scaling, values);
  double chosen = errorOf(values, decode(scaling, rows));
  for (float factor : {0.99f, 1.01f}) {
    EncodedRows other = rows;
    for (float &scale : other.scales)
      scale *= factor;
    EXPECT_GE(errorOf(values, decode(scaling, other)), chosen * (1 - 1e-6)) << factor;
  }
}

// What has been rounded once loses nothing more.
TEST_P(Quantise, WhatIsRoundedStays) {
  std::vector<float> once = decode(scaling, encode(scaling, normal(256, 0, 4)));
  EXPECT_LT(errorOf(once, decode(scaling, encode(scaling, once))), GetParam().most * 0.25);
}

TEST_P(Quantise, ZerosAndGreatNumbers) {
  EXPECT_EQ(decode(scaling, encode(scaling, std::vector<float>(64))), std::vector<float>(64));
  std::vector<float> one(64);
  one[5] = -3.25f; // exact with any of the scales
  std::vector<float> found = decode(scaling, encode(scaling, one));
  EXPECT_NEAR(found[5], -3.25f, 3.25 * GetParam().most * 2);
  EXPECT_EQ(found[6], 0);
  for (float value : decode(scaling, encode(scaling, std::vector<float>(64, 1e30f))))
    EXPECT_TRUE(std::isfinite(value));
}

INSTANTIATE_TEST_SUITE_P(All, Quantise, testing::ValuesIn(kCases));

} // namespace
