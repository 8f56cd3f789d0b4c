// Derived.cpp - tensors that are rows of others, as numbers and as codes.
#include "ScratchDirectory.h"
#include "lib/checkpoint/Checkpoint.h"
#include "lib/checkpoint/DerivedWeights.h"
#include "lib/checkpoint/ModelConfig.h"
#include "lib/checkpoint/QuantisedCheckpoint.h"
#include "lib/checkpoint/SeededWeights.h"

#include <gtest/gtest.h>

using namespace pianola;

namespace {

std::vector<float> floats(const WeightSource &weights, const TensorInfo &tensor) {
  std::vector<float> values(tensor.elements());
  llvm::cantFail(weights.readFloats(tensor, 0, values));
  return values;
}

const std::vector<int64_t> kRows = {7, 0, 1, 2, 6, 4, 5, 3};

std::vector<WeightPart> rowsOf(llvm::SmallVector<int64_t, 3> shape) {
  return {{"whole", std::move(shape), kRows, std::nullopt}};
}

TEST(DerivedWeights, ReadsRowsInTheirOrder) {
  DerivedWeights weights(std::make_unique<SeededWeights>(3));
  const TensorInfo &part =
      *llvm::cantFail(weights.derive("part", rowsOf({9, 5}), TensorRole::Matrix));
  EXPECT_EQ(part.shape, (llvm::SmallVector<int64_t, 2>{8, 5}));
  std::vector<float> all = floats(weights, *weights.find("whole")), wanted;
  for (int64_t row : kRows)
    wanted.insert(wanted.end(), all.begin() + row * 5, all.begin() + (row + 1) * 5);
  EXPECT_EQ(floats(weights, part), wanted);
  // Any bytes of it, over the borders of rows and of runs.
  std::vector<uint8_t> whole(part.bytes);
  llvm::cantFail(weights.read(part, 0, whole));
  for (size_t begin = 0; begin < whole.size(); ++begin)
    for (size_t size : {0, 1, 3, 10, 11, 33}) {
      if (begin + size > whole.size())
        continue;
      std::vector<uint8_t> some(size);
      llvm::cantFail(weights.read(part, begin, some));
      EXPECT_TRUE(std::equal(some.begin(), some.end(), whole.begin() + long(begin)))
          << size << " from " << begin;
    }
  EXPECT_EQ(messageOf(weights.read(part, 1, whole)), "seed 3: tensor \"part\": has no byte 81");
}

TEST(DerivedWeights, OfVectorsToo) {
  DerivedWeights weights(std::make_unique<SeededWeights>(3));
  const TensorInfo &part = *llvm::cantFail(
      weights.derive("b[1:3]", {{"b", {4}, {2, 1}, std::nullopt}}, TensorRole::Bias));
  std::vector<float> all = floats(weights, *weights.find("b"));
  EXPECT_EQ(floats(weights, part), (std::vector<float>{all[2], all[1]}));
}

TEST(DerivedWeights, AreOfTheSourceForWhoeverAsks) {
  DerivedWeights weights(std::make_unique<SeededWeights>(3));
  const TensorInfo *part =
      llvm::cantFail(weights.derive("part", rowsOf({9, 5}), TensorRole::Matrix));
  EXPECT_EQ(weights.find("part"), part);
  EXPECT_EQ(llvm::cantFail(weights.derive("part", rowsOf({9, 5}), TensorRole::Matrix)), part);
  EXPECT_EQ(weights.names(), std::vector<std::string>{"whole"});
  EXPECT_EQ(weights.origin("part"), "seed 3");
  EXPECT_EQ(messageOf(weights.derive("other", rowsOf({9, 6}), TensorRole::Matrix)),
            "seed 3: tensor \"whole\": shape: expected [9, 6], found [9, 5]");
}

TEST(DerivedWeights, ReadsColumns) {
  DerivedWeights weights(std::make_unique<SeededWeights>(3));
  std::vector<std::string> names = {"a", "b", "c", "d", "e", "f"}; // more than are kept
  for (int round = 0; round < 2; ++round)
    for (const std::string &name : names) {
      const TensorInfo &part = *llvm::cantFail(
          weights.derive(name, {{"whole " + name, {5, 9}, kRows, 0}}, TensorRole::Matrix));
      EXPECT_EQ(part.shape, (llvm::SmallVector<int64_t, 2>{8, 5}));
      std::vector<float> all = floats(weights, *weights.find("whole " + name)), wanted;
      for (int64_t column : kRows)
        for (int64_t k = 0; k < 5; ++k)
          wanted.push_back(all[size_t(k * 9 + column)]);
      EXPECT_EQ(floats(weights, part), wanted);
      std::vector<float> some(7);
      llvm::cantFail(weights.readFloats(part, 11, some));
      EXPECT_TRUE(std::equal(some.begin(), some.end(), wanted.begin() + 11));
    }
}

// Of each column some of its numbers, as latent attention takes a matrix apart.
TEST(DerivedWeights, ReadsPartsOfColumns) {
  DerivedWeights weights(std::make_unique<SeededWeights>(3));
  std::vector<WeightPart> parts;
  for (int64_t first : {1, 6}) {
    WeightPart &part = parts.emplace_back(WeightPart{"whole", {9, 4}, {}, 0});
    part.first = first;
    part.count = 3;
  }
  const TensorInfo &part = *llvm::cantFail(weights.derive("part", parts, TensorRole::Matrix));
  EXPECT_EQ(part.shape, (llvm::SmallVector<int64_t, 2>{8, 3}));
  std::vector<float> all = floats(weights, *weights.find("whole")), wanted;
  for (size_t first : {1, 6})
    for (size_t column = 0; column < 4; ++column)
      for (size_t k = 0; k < 3; ++k)
        wanted.push_back(all[(first + k) * 4 + column]);
  EXPECT_EQ(floats(weights, part), wanted);
}

// Codes with a scale for each block of rows and columns become floats.
TEST(DerivedWeights, ReadsColumnsOfCodes) {
  std::string directory = PIANOLA_SOURCE_DIR "/test/golden/qwen3_fp8";
  ModelConfig config = llvm::cantFail(ModelConfig::fromDirectory(directory));
  DerivedWeights weights(std::make_unique<QuantisedCheckpoint>(
      llvm::cantFail(Checkpoint::open(directory)), *config.quantisation));
  std::string name = "model.layers.0.mlp.gate_proj.weight";
  int64_t rows = config.intermediate, columns = config.hidden;
  WeightPart wanted{name, {rows, columns}, {}, 0};
  wanted.first = 120; // over the border of a block
  wanted.count = 20;
  const TensorInfo &part = *llvm::cantFail(weights.derive("part", wanted, TensorRole::Matrix));
  EXPECT_EQ(part.dtype, DType::F32);
  EXPECT_FALSE(part.scaling);
  EXPECT_EQ(part.shape, (llvm::SmallVector<int64_t, 2>{columns, 20}));
  std::vector<float> all = floats(weights, *weights.find(name)), turned = floats(weights, part);
  for (int64_t column = 0; column < columns; ++column)
    for (int64_t k = 0; k < 20; ++k)
      ASSERT_EQ(turned[size_t(column * 20 + k)], all[size_t((120 + k) * columns + column)]);
}

TEST(DerivedWeights, AddsOne) {
  DerivedWeights weights(std::make_unique<SeededWeights>(3));
  const TensorInfo &sum = *llvm::cantFail(weights.derivePlusOne("1 + n", "n", {6}));
  EXPECT_EQ(sum.dtype, DType::F32);
  std::vector<float> wanted = floats(weights, *weights.find("n"));
  for (float &value : wanted)
    value += 1;
  EXPECT_EQ(floats(weights, sum), wanted);
  std::vector<uint8_t> whole(sum.bytes);
  llvm::cantFail(weights.read(sum, 0, whole));
  for (size_t begin = 0; begin < whole.size(); ++begin) {
    std::vector<uint8_t> some(std::min<size_t>(whole.size() - begin, 5));
    llvm::cantFail(weights.read(sum, begin, some));
    EXPECT_TRUE(std::equal(some.begin(), some.end(), whole.begin() + long(begin))) << begin;
  }
}

// The experts of a mixture: some in tensors of their own, some slices of one.
TEST(DerivedWeights, PutsPartsBelowEachOther) {
  DerivedWeights weights(std::make_unique<SeededWeights>(3));
  const TensorInfo &all = *llvm::cantFail(weights.derive("all",
                                                         {{"a", {3, 5}, {}, std::nullopt},
                                                          {"b", {2, 5}, {}, std::nullopt},
                                                          {"c", {2, 2, 5}, {2, 3}, std::nullopt},
                                                          {"d", {2, 5, 3}, {2, 0}, 1}},
                                                         TensorRole::Matrix));
  EXPECT_EQ(all.shape, (llvm::SmallVector<int64_t, 2>{9, 5}));
  auto whole = [&](const char *name) { return floats(weights, *weights.find(name)); };
  std::vector<float> a = whole("a"), b = whole("b"), c = whole("c"), d = whole("d"), wanted = a;
  wanted.insert(wanted.end(), b.begin(), b.end());
  wanted.insert(wanted.end(), c.begin() + 10, c.end());
  for (size_t column : {2, 0})
    for (size_t k = 0; k < 5; ++k)
      wanted.push_back(d[15 + k * 3 + column]);
  EXPECT_EQ(floats(weights, all), wanted);
  for (uint64_t first = 0; first < 40; ++first) {
    std::vector<float> some(5);
    llvm::cantFail(weights.readFloats(all, first, some));
    EXPECT_TRUE(std::equal(some.begin(), some.end(), wanted.begin() + long(first))) << first;
  }
}

// A row of codes keeps its scales and zero points.
TEST(DerivedWeights, ReadsRowsOfCodes) {
  for (const char *model : {"qwen3_gptq", "qwen3_awq", "qwen3_ct_w8a16", "qwen3_fp8"}) {
    std::string directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + model;
    ModelConfig config = llvm::cantFail(ModelConfig::fromDirectory(directory));
    DerivedWeights weights(std::make_unique<QuantisedCheckpoint>(
        llvm::cantFail(Checkpoint::open(directory)), *config.quantisation));
    std::string name = "model.layers.0.mlp.gate_proj.weight";
    int64_t columns = config.hidden;
    const TensorInfo &part = *llvm::cantFail(weights.derive(
        "part", {{name, {config.intermediate, columns}, kRows, std::nullopt}}, TensorRole::Matrix));
    ASSERT_TRUE(part.scaling) << model;
    std::vector<float> all = floats(weights, *weights.find(name)), wanted;
    for (int64_t row : kRows)
      wanted.insert(wanted.end(), all.begin() + row * columns, all.begin() + (row + 1) * columns);
    EXPECT_EQ(floats(weights, part), wanted) << model;
  }
}

} // namespace
