// Seeded.cpp - made-up weights: any slice, any order, the same numbers.
#include "ScratchDirectory.h"
#include "lib/checkpoint/SeededWeights.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace pianola;

namespace {

std::vector<float> floats(const SeededWeights &weights, llvm::StringRef name) {
  const TensorInfo &tensor = *weights.find(name);
  std::vector<float> values(tensor.elements());
  llvm::cantFail(weights.readFloats(tensor, 0, values));
  return values;
}

struct Moments {
  double mean = 0, deviation = 0;
  explicit Moments(const std::vector<float> &values) {
    for (float value : values)
      mean += value / double(values.size());
    for (float value : values)
      deviation += (value - mean) * (value - mean) / double(values.size());
    deviation = std::sqrt(deviation);
  }
};

TEST(SeededWeights, SlicesAgreeWithTheWhole) {
  SeededWeights weights(7);
  const TensorInfo &tensor = **weights.require("w", {5, 13}, TensorRole::Matrix);
  ASSERT_EQ(tensor.bytes, 130u);
  std::vector<uint8_t> whole(130);
  llvm::cantFail(weights.read(tensor, 0, whole));
  for (size_t begin = 0; begin <= 130; ++begin)
    for (size_t size : {0, 1, 7, 8, 9, 31}) {
      if (begin + size > 130)
        continue;
      std::vector<uint8_t> slice(size);
      llvm::cantFail(weights.read(tensor, begin, slice));
      EXPECT_TRUE(std::equal(slice.begin(), slice.end(), whole.begin() + long(begin)));
    }
  EXPECT_EQ(messageOf(weights.read(tensor, 100, whole)),
            R"(seed 7: tensor "w": has 130 bytes, asked for 130 from 100)");
}

TEST(SeededWeights, DependOnSeedAndNameAlone) {
  SeededWeights first(7), second(7), other(8);
  auto require = [](SeededWeights &weights, llvm::StringRef name) {
    llvm::cantFail(weights.require(name, {64, 64}, TensorRole::Matrix));
  };
  for (SeededWeights *weights : {&first, &other}) {
    require(*weights, "a");
    require(*weights, "b");
  }
  require(second, "b");
  require(second, "a");
  EXPECT_EQ(floats(first, "a"), floats(second, "a"));
  EXPECT_NE(floats(first, "a"), floats(first, "b"));
  EXPECT_NE(floats(first, "a"), floats(other, "a"));
}

TEST(SeededWeights, HaveTheMomentsOfAnInitialiser) {
  SeededWeights weights(1);
  llvm::cantFail(weights.require("matrix", {512, 512}, TensorRole::Matrix));
  llvm::cantFail(weights.require("norm", {65536}, TensorRole::Norm));
  Moments matrix(floats(weights, "matrix")), norm(floats(weights, "norm"));
  EXPECT_NEAR(matrix.mean, 0, 2e-4);
  EXPECT_NEAR(matrix.deviation, 0.02, 2e-4);
  EXPECT_NEAR(norm.mean, 1, 2e-3);
  EXPECT_NEAR(norm.deviation, 0.1, 2e-3);
}

/// The numbers are part of the interface: a roll that makes its own weights must make these.
TEST(SeededWeights, AreTheseNumbers) {
  SeededWeights weights(42);
  const TensorInfo &tensor = **weights.require("model.norm.weight", {4}, TensorRole::Norm);
  std::vector<uint8_t> bytes(8);
  llvm::cantFail(weights.read(tensor, 0, bytes));
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0x5A, 0x3F, 0x65, 0x3F, 0x8F, 0x3F, 0x6D, 0x3F}));
}

TEST(SeededWeights, KnowOnlyWhatWasRequired) {
  SeededWeights weights(1);
  EXPECT_EQ(weights.find("lm_head.weight"), nullptr);
  llvm::cantFail(weights.require("a", {3}, TensorRole::Bias));
  EXPECT_EQ(weights.names(), std::vector<std::string>{"a"});
  EXPECT_EQ(messageOf(weights.require("a", {4}, TensorRole::Bias)),
            R"(seed 1: tensor "a": shape: expected [4], found [3])");
  EXPECT_EQ(messageOf(weights.require("b", {1L << 40, 1L << 40}, TensorRole::Matrix)),
            R"(seed 1: tensor "b": shape: [1099511627776, 1099511627776] is over 2^63 - 1 bytes)");
}

} // namespace
