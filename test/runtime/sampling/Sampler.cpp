// Sampler.cpp - filters against a plain reading of their definitions, draws against probabilities.
#include "runtime/sampling/Sampler.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <numeric>

using namespace pianola;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> someLogits(int count, uint32_t seed) {
  std::vector<float> logits(count);
  for (float &logit : logits) {
    seed = seed * 1664525u + 1013904223u;
    logit = static_cast<float>(seed >> 8) / (1 << 24) * 8 - 4;
  }
  return logits;
}

// Probabilities as transformers' warpers leave them: temperature, top-k, top-p, min-p.
std::map<int32_t, double> expected(const std::vector<float> &logits, const SamplingOptions &o) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::sort(ids.begin(), ids.end(),
            [&](int a, int b) { return std::pair(-logits[a], a) < std::pair(-logits[b], b); });
  if (o.topK > 0 && static_cast<size_t>(o.topK) < ids.size())
    ids.resize(o.topK);
  auto softmax = [&] {
    double total = 0;
    std::vector<double> p;
    for (int32_t id : ids)
      total += p.emplace_back(std::exp((logits[id] - logits[ids[0]]) / o.temperature));
    for (double &x : p)
      x /= total;
    return p;
  };
  std::vector<double> p = softmax();
  double sum = 0;
  size_t keep = 0;
  while (keep < ids.size() && (keep == 0 || sum < o.topP))
    sum += p[keep++];
  if (o.topP < 1)
    ids.resize(keep);
  p = softmax();
  keep = 0;
  while (keep < ids.size() && p[keep] >= o.minP * p[0])
    ++keep;
  ids.resize(keep);
  p = softmax();
  std::map<int32_t, double> result;
  for (size_t i = 0; i < ids.size(); ++i)
    result[ids[i]] = p[i];
  return result;
}

void compare(const SamplingOptions &options) {
  std::vector<float> logits = someLogits(40, 7);
  std::map<int32_t, double> wanted = expected(logits, options);
  Sampler sampler(options, static_cast<int32_t>(logits.size()));
  constexpr int kDraws = 40000;
  std::map<int32_t, int> counts;
  for (int i = 0; i < kDraws; ++i)
    ++counts[*sampler.sample(logits.data(), {})];
  for (const auto &[id, count] : counts)
    EXPECT_TRUE(wanted.count(id)) << "id " << id << " should have been filtered";
  // Five standard deviations of a binomial.
  for (const auto &[id, p] : wanted)
    EXPECT_NEAR(counts[id], p * kDraws, 5 * std::sqrt(p * (1 - p) * kDraws) + 1) << "id " << id;
}

TEST(Sampler, DrawsWhatTheFiltersKeep) {
  SamplingOptions options;
  options.temperature = 1;
  compare(options);
  options.temperature = 0.6f;
  compare(options);
  options.topK = 5;
  compare(options);
  options.topK = 0;
  options.topP = 0.7f;
  compare(options);
  options.topP = 1;
  options.minP = 0.2f;
  compare(options);
  options.topK = 12;
  options.topP = 0.8f;
  options.minP = 0.1f;
  compare(options);
}

TEST(Sampler, IsGreedyAtZero) {
  SamplingOptions options;
  Sampler sampler(options, 4);
  float logits[] = {1, 3, 3, 2, 99}; // the last is beyond the vocabulary
  EXPECT_EQ(*sampler.sample(logits, {}), 1);
  float nan = std::nanf("");
  float some[] = {nan, -5, nan, -6};
  EXPECT_EQ(*sampler.sample(some, {}), 1);
  float none[] = {nan, nan, nan, nan};
  EXPECT_EQ(sampler.sample(none, {}).message(), "the model's logits are not numbers");
  float low[] = {-kInfinity, -kInfinity, -kInfinity, -3};
  EXPECT_EQ(*sampler.sample(low, {}), 3);
}

TEST(Sampler, PenalisesWhatWasSeen) {
  SamplingOptions options;
  options.repetitionPenalty = 2;
  float logits[] = {3, 2, -1, -1.5f};
  EXPECT_EQ(*Sampler(options, 4).sample(logits, {}), 0);
  EXPECT_EQ(*Sampler(options, 4).sample(logits, {0}), 1);    // 3 / 2 < 2
  EXPECT_EQ(*Sampler(options, 4).sample(logits, {0, 1}), 0); // 1.5 > 1
  float negative[] = {-1, -1.5f, -9, -9};
  EXPECT_EQ(*Sampler(options, 4).sample(negative, {0}), 1); // -1 * 2
  options.repetitionPenalty = 1;
  options.frequencyPenalty = 0.6f;
  EXPECT_EQ(*Sampler(options, 4).sample(logits, {0}), 0);    // 2.4
  EXPECT_EQ(*Sampler(options, 4).sample(logits, {0, 0}), 1); // 1.8
  options.frequencyPenalty = 0;
  options.presencePenalty = 1.1f;
  EXPECT_EQ(*Sampler(options, 4).sample(logits, {0, 0, 0}), 1); // 1.9
  options.presencePenalty = 0;
  options.logitBias = {{3, 10}};
  EXPECT_EQ(*Sampler(options, 4).sample(logits, {}), 3);
}

TEST(Sampler, AddsUpTheBiasesOfAToken) {
  SamplingOptions options;
  options.logitBias = {{2, 3}, {1, 2}, {2, -2.5f}};
  float logits[] = {1.75f, 0, 1};
  EXPECT_EQ(*Sampler(options, 3).sample(logits, {}), 1);
}

// A mask comes before everything else: before what a bias, top-k or a penalty would prefer.
TEST(Sampler, ChoosesWhatTheMaskAllows) {
  std::vector<float> logits = someLogits(200, 5);
  TokenMask mask(200);
  for (int32_t id : {3, 64, 150, 199})
    mask.allow(id);
  logits[64] = 50;
  EXPECT_EQ(*Sampler({}, 200).sample(logits.data(), {}, &mask), 64);
  mask.forbid(64);
  SamplingOptions options;
  options.logitBias = {{64, 100}, {150, 20}};
  EXPECT_EQ(*Sampler(options, 200).sample(logits.data(), {}, &mask), 150);
  options.logitBias = {{64, 100}};
  options.temperature = 1;
  options.topK = 2;
  Sampler sampler(options, 200);
  std::map<int32_t, int> counts;
  for (int i = 0; i < 1000; ++i)
    ++counts[*sampler.sample(logits.data(), {64, 3}, &mask)];
  std::vector<int32_t> best = {3, 150, 199};
  std::sort(best.begin(), best.end(), [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
  EXPECT_EQ(counts.size(), 2u);
  EXPECT_TRUE(counts.count(best[0]) && counts.count(best[1]));
  // A mask that is shorter than the vocabulary allows nothing beyond; one that is empty nothing.
  TokenMask shorter(64);
  shorter.allow(63);
  EXPECT_EQ(*Sampler({}, 200).sample(logits.data(), {}, &shorter), 63);
  TokenMask none(200);
  EXPECT_FALSE(Sampler({}, 200).sample(logits.data(), {}, &none));
}

TEST(Sampler, WeighsByExp) {
  EXPECT_EQ(Sampler::weightOf(0.0f), uint64_t(1) << 40);
  EXPECT_EQ(Sampler::weightOf(-0.0f), uint64_t(1) << 40);
  EXPECT_EQ(Sampler::weightOf(-kInfinity), 0u);
  EXPECT_EQ(Sampler::weightOf(-27.73f), 0u);
  EXPECT_EQ(Sampler::weightOf(-27.72f), 1u);
  uint64_t last = uint64_t(1) << 40;
  for (float x = 0; x > -28; x -= 2.8e-5f) {
    double wanted = std::exp(static_cast<double>(x)) * 0x1p40;
    uint64_t weight = Sampler::weightOf(x);
    ASSERT_NEAR(static_cast<double>(weight), wanted, wanted * 1.5e-7 + 1) << x;
    ASSERT_LE(weight, last) << x;
    last = weight;
  }
}

// What only exact sums can promise: of tokens with one weight, the first by id are kept.
TEST(Sampler, CutsTiesOffById) {
  std::vector<float> logits(300, 1.5f);
  logits[17] = 2;
  auto drawn = [&](SamplingOptions options) {
    options.temperature = 1;
    Sampler sampler(options, 300);
    std::map<int32_t, int> counts;
    for (int i = 0; i < 5000; ++i)
      ++counts[*sampler.sample(logits.data(), {})];
    return counts;
  };
  SamplingOptions options;
  options.topK = 4;
  std::map<int32_t, int> counts = drawn(options);
  EXPECT_EQ(counts.size(), 4u);
  for (int32_t id : {0, 1, 2, 17})
    EXPECT_EQ(counts.count(id), 1u) << id;
  options.topK = 0;
  options.topP = 0.5f; // of 299 + e^0.5, whose half 17 and 149 others come to
  counts = drawn(options);
  EXPECT_EQ(counts.size(), 150u);
  EXPECT_EQ(counts.count(149), 1u);
  EXPECT_EQ(counts.count(150), 0u);
  options.topP = 0; // the first always stays
  EXPECT_EQ(drawn(options).size(), 1u);
  options.topP = 1;
  options.minP = 0.61f; // e^-0.5 is 0.607
  EXPECT_EQ(drawn(options).size(), 1u);
}

// Where a draw comes to is told by the ids alone, in their order.
TEST(Sampler, DrawsInTheOrderOfIds) {
  std::vector<float> logits(1000, 0);
  SamplingOptions options;
  options.temperature = 1;
  for (int32_t topK : {0, 1000, 2000}) {
    options.topK = topK;
    // Of splitmix64 from 0: e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f.
    Sampler sampler(options, 1000);
    for (int32_t wanted : {883, 431, 26})
      EXPECT_EQ(*sampler.sample(logits.data(), {}), wanted) << topK;
  }
}

TEST(Sampler, DrawsNumbersOnly) {
  SamplingOptions options;
  options.temperature = 1e-38f;
  float nan = std::nanf("");
  float some[] = {nan, -kInfinity, 3e38f, kInfinity, -3e38f};
  EXPECT_EQ(*Sampler(options, 5).sample(some, {}), 2);
  float none[] = {nan, -kInfinity, kInfinity};
  EXPECT_EQ(Sampler(options, 3).sample(none, {}).message(), "the model's logits are not numbers");
}

TEST(Sampler, RepeatsWithItsSeed) {
  std::vector<float> logits = someLogits(1000, 3);
  auto draw = [&](uint64_t seed) {
    SamplingOptions options;
    options.temperature = 1;
    options.seed = seed;
    Sampler sampler(options, 1000);
    std::vector<int32_t> ids;
    for (int i = 0; i < 50; ++i)
      ids.push_back(*sampler.sample(logits.data(), ids));
    return ids;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(2));
}

TEST(Sampler, RefusesOptionsByName) {
  SamplingOptions options;
  EXPECT_TRUE(validate(options, 10).ok());
  EXPECT_EQ(validate(options, 1 << 21).message(),
            "vocabulary: expected at most 1048576 tokens, found 2097152");
  options.temperature = std::nanf("");
  EXPECT_EQ(validate(options, 10).message(),
            "temperature: expected a number from 0.000000 to 100.000000, found nan");
  options.temperature = 1;
  options.topP = 1.5f;
  EXPECT_EQ(validate(options, 10).message(),
            "top_p: expected a number from 0.000000 to 1.000000, found 1.500000");
  options.topP = 1;
  options.topK = -1;
  EXPECT_EQ(validate(options, 10).message(), "top_k: expected 0 or more, found -1");
  options.topK = 0;
  options.logitBias = {{10, 1}};
  EXPECT_EQ(validate(options, 10).message(), "logit_bias: token 10 with 1.000000 is out of range");
}

} // namespace
