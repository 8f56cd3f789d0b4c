// RopeFrequencies.cpp - the scaling rules at points where the answer is known.
#include "lib/import/RopeFrequencies.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace pianola;

namespace {

double plain(double theta, int64_t lanes, int64_t pair) {
  return std::pow(theta, -2.0 * double(pair) / double(lanes));
}

TEST(RopeFrequencies, Default) {
  RopeTable table = ropeFrequencies(10000, 64, {}, 4096);
  ASSERT_EQ(table.inverseFrequencies.size(), 32u);
  EXPECT_EQ(table.scale, 1);
  for (int64_t i = 0; i < 32; ++i)
    EXPECT_NEAR(table.inverseFrequencies[size_t(i)] / plain(10000, 64, i), 1, 1e-6);
}

TEST(RopeFrequencies, LinearDividesAll) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::Linear;
  scaling.factor = 8;
  RopeTable table = ropeFrequencies(10000, 64, scaling, 4096);
  for (int64_t i = 0; i < 32; ++i)
    EXPECT_NEAR(table.inverseFrequencies[size_t(i)] * 8 / plain(10000, 64, i), 1, 1e-6);
}

/// Llama 3.2: of 32 pairs, 15 are kept, 3 blended and 14 divided by the factor; of 64, 29, 6, 29.
TEST(RopeFrequencies, Llama3KeepsBlendsAndDivides) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::Llama3;
  scaling.factor = 32;
  scaling.originalMaxPositions = 8192;
  for (auto [lanes, keep, blend] : {std::tuple{64, 15, 3}, std::tuple{128, 29, 6}}) {
    RopeTable table = ropeFrequencies(500000, lanes, scaling, 4096);
    int kept = 0, divided = 0;
    for (int64_t i = 0; i < lanes / 2; ++i) {
      double ratio = table.inverseFrequencies[size_t(i)] / plain(500000, lanes, i);
      kept += std::abs(ratio - 1) < 1e-6;
      divided += std::abs(ratio - 1.0 / 32) < 1e-6;
      EXPECT_TRUE(ratio > 1.0 / 32 - 1e-6 && ratio < 1 + 1e-6);
    }
    EXPECT_EQ(kept, keep);
    EXPECT_EQ(divided, lanes / 2 - keep - blend);
  }
}

TEST(RopeFrequencies, Llama3WithNothingToBlend) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::Llama3;
  scaling.factor = 8;
  scaling.lowFrequencyFactor = scaling.highFrequencyFactor = 1;
  scaling.originalMaxPositions = 8192;
  for (float frequency : ropeFrequencies(500000, 128, scaling, 4096).inverseFrequencies)
    EXPECT_TRUE(std::isfinite(frequency));
}

TEST(RopeFrequencies, YarnScale) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::Yarn;
  scaling.factor = 4;
  scaling.originalMaxPositions = 32768;
  EXPECT_NEAR(ropeFrequencies(1e6, 128, scaling, 4096).scale, 1.13863, 1e-5);
  scaling.factor = 32;
  EXPECT_NEAR(ropeFrequencies(1e6, 128, scaling, 4096).scale, 1.34657, 1e-5);
  scaling.mscale = scaling.mscaleAllDim = 0.707;
  EXPECT_EQ(ropeFrequencies(1e6, 128, scaling, 4096).scale, 1);
  scaling.attentionFactor = 1.25;
  EXPECT_EQ(ropeFrequencies(1e6, 128, scaling, 4096).scale, 1.25f);
}

/// gpt-oss: without truncation the ramp runs from pair 8.093 to pair 17.398.
TEST(RopeFrequencies, YarnRamp) {
  RopeScaling scaling;
  scaling.kind = RopeScaling::Kind::Yarn;
  scaling.factor = 32;
  scaling.originalMaxPositions = 4096;
  auto kept = [&](int64_t pair) {
    double ratio = ropeFrequencies(150000, 64, scaling, 4096).inverseFrequencies[size_t(pair)] /
                   plain(150000, 64, pair);
    return (ratio - 1.0 / 32) / (1 - 1.0 / 32);
  };
  scaling.truncate = false;
  for (int64_t pair : {0, 8, 9, 12, 17, 18, 31})
    EXPECT_NEAR(1 - kept(pair), std::clamp((double(pair) - 8.093) / (17.398 - 8.093), 0.0, 1.0),
                1e-3);
  scaling.truncate = true;
  for (int64_t pair : {0, 8, 9, 12, 17, 18, 31})
    EXPECT_NEAR(1 - kept(pair), std::clamp((double(pair) - 8) / (18 - 8), 0.0, 1.0), 1e-5);
}

} // namespace
