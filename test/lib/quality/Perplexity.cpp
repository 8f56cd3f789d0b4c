// Perplexity.cpp - statistics of logits, against values computed by hand.
#include "lib/quality/Perplexity.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace pianola;

namespace {

const float kLog2 = std::log(2.0f), kLog3 = std::log(3.0f);

// Probabilities 1/6, 2/6, 3/6.
const std::vector<float> kRising = {0, kLog2, kLog3};
// 1/2, 1/4, 1/4, and the same with all logits moved far away.
const std::vector<float> kHalf = {kLog2, 0, 0};
const std::vector<float> kFarHalf = {1000 + kLog2, 1000, 1000};

TEST(Surprise, IsMinusTheLogOfTheProbability) {
  EXPECT_NEAR(surprise(kRising, 0), std::log(6.0), 1e-7);
  EXPECT_NEAR(surprise(kRising, 2), std::log(2.0), 1e-7);
  EXPECT_NEAR(surprise(kHalf, 1), std::log(4.0), 1e-7);
}

TEST(Surprise, DoesNotOverflow) {
  EXPECT_NEAR(surprise(kFarHalf, 1), std::log(4.0), 1e-4); // 1000 + log 2 as a float
  EXPECT_NEAR(surprise(std::vector<float>{3e38f, -3e38f}, 0), 0, 1e-12);
  EXPECT_EQ(surprise(std::vector<float>{0, -INFINITY}, 0), 0);
  EXPECT_TRUE(std::isnan(surprise(std::vector<float>{0, NAN}, 0)));
}

TEST(Divergence, IsOfTheFirstFromTheSecond) {
  // 1/2 log(1/2 : 1/6) + 1/4 log(1/4 : 2/6) + 1/4 log(1/4 : 3/6)
  double there = std::log(3.0) / 2 + std::log(0.75) / 4 + std::log(0.5) / 4;
  // 1/6 log(1/6 : 1/2) + 2/6 log(2/6 : 1/4) + 3/6 log(3/6 : 1/4)
  double back = std::log(1.0 / 3) / 6 + std::log(4.0 / 3) / 3 + std::log(2.0) / 2;
  EXPECT_NEAR(divergence(kHalf, kRising), there, 1e-7);
  EXPECT_NEAR(divergence(kRising, kHalf), back, 1e-7);
}

TEST(Divergence, OfTheSameIsNothing) {
  EXPECT_EQ(divergence(kRising, kRising), 0);
  EXPECT_NEAR(divergence(kHalf, kFarHalf), 0, 1e-8);
  EXPECT_EQ(divergence(std::vector<float>{0, -INFINITY}, std::vector<float>{0, -INFINITY}), 0);
  EXPECT_TRUE(std::isnan(divergence(kHalf, std::vector<float>{0, NAN, 0})));
}

TEST(TopToken, IsTheFirstOfTheGreatest) {
  EXPECT_EQ(topToken(kRising), 2);
  EXPECT_EQ(topToken(std::vector<float>{1, 3, 3}), 1);
}

TEST(MeanOf, HasTheStandardErrorOfTheMean) {
  Mean mean = meanOf({1.0, 2.0, 3.0, 6.0}); // squares of 4 + 1 + 0 + 9; 14 / 3 / 4
  EXPECT_DOUBLE_EQ(mean.value, 3);
  EXPECT_DOUBLE_EQ(mean.error, std::sqrt(14.0 / 12));
  EXPECT_EQ(meanOf({5.0}).error, 0);
  Mean exponential = expOf({std::log(8.0), 0.25});
  EXPECT_DOUBLE_EQ(exponential.value, 8);
  EXPECT_DOUBLE_EQ(exponential.error, 2);
}

TEST(QuantileOf, IsOneOfTheNumbers) {
  std::vector<double> values = {50, 10, 30, 20, 40};
  EXPECT_EQ(quantileOf(values, 0), 10);
  EXPECT_EQ(quantileOf(values, 0.5), 30);
  EXPECT_EQ(quantileOf(values, 0.6), 30);
  EXPECT_EQ(quantileOf(values, 0.61), 40);
  EXPECT_EQ(quantileOf(values, 1), 50);
}

TEST(WindowsOf, HalfAContextApart) {
  std::vector<Window> windows = windowsOf(25, 10);
  ASSERT_EQ(windows.size(), 4u);
  const size_t expected[4][3] = {{0, 1, 10}, {5, 10, 15}, {10, 15, 20}, {15, 20, 25}};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(windows[i].first, expected[i][0]);
    EXPECT_EQ(windows[i].scored, expected[i][1]);
    EXPECT_EQ(windows[i].end, expected[i][2]);
  }
}

TEST(WindowsOf, ScoreEveryTokenButTheFirstOnce) {
  for (size_t tokens = 2; tokens < 40; ++tokens)
    for (size_t context = 2; context < 20; ++context) {
      size_t next = 1;
      for (const Window &window : windowsOf(tokens, context)) {
        EXPECT_EQ(window.scored, next);
        EXPECT_LT(window.scored, window.end);
        EXPECT_LE(window.end - window.first, context);
        EXPECT_GE(window.scored - window.first, window.first ? context / 2 : 1);
        next = window.end;
      }
      EXPECT_EQ(next, tokens);
    }
}

} // namespace
