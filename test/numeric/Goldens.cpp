// Goldens.cpp - rolls against what Hugging Face transformers computes.
#include "lib/driver/LoadModel.h"
#include "lib/reference/Interpreter.h"
#include "passes/Passes.h"
#include "test/GoldenModels.h"
#include "test/numeric/Compiled.h"
#include "test/numeric/ConvertWeights.h"
#include "test/numeric/Tolerance.h"

#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"

#include <nlohmann/json.hpp>

using namespace pianola;

namespace {

// This CPU with all it has, without products of bf16, and the least of all.
constexpr const char *kTargets[] = {"host", "host-avx512bf16", "x86-64-v3"};

template <typename T> std::vector<T> read(const Checkpoint &file, const std::string &name) {
  const TensorInfo *tensor = file.find(name);
  EXPECT_NE(tensor, nullptr) << name;
  std::vector<T> values(tensor->elements());
  std::string error = llvm::toString(
      file.read(*tensor, 0, {reinterpret_cast<uint8_t *>(values.data()), tensor->bytes}));
  EXPECT_EQ(error, "");
  return values;
}

class Golden : public testing::TestWithParam<std::tuple<const char *, const char *>> {};

TEST_P(Golden, LogitsAndGreedyTokens) {
  auto [model, target] = GetParam();
  CompileOptions options;
  options.directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + model;
  options.target = target;
  options.workers = 2;
  options.maxModelLen = positionsOf(model);
  TemporaryDirectory temporary;
  std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
  ASSERT_TRUE(roll);
  auto golden = llvm::cantFail(Checkpoint::openFile(options.directory + "/golden.safetensors"));
  auto ids = read<int32_t>(*golden, "input_ids");
  auto wanted = read<float>(*golden, "logits");
  double error = 0;
  for (bool oneByOne : {false, true}) {
    std::vector<float> logits = logitsOf(*roll, ids, oneByOne);
    ASSERT_EQ(logits.size(), wanted.size());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance)
        << (oneByOne ? "decode" : "prefill");
    error = std::max(error, greatestError(logits.data(), wanted.data(), wanted.size()));
  }
  auto greedyIds = read<int32_t>(*golden, "greedy_ids");
  auto margins = read<float>(*golden, "greedy_margin");
  std::vector<int32_t> got = greedy(*roll, {ids.begin(), ids.begin() + 12}, greedyIds.size());
  for (size_t i = 0; i < greedyIds.size() && margins[i] > 10 * error; ++i)
    EXPECT_EQ(got[i], greedyIds[i]) << "step " << i;
  EXPECT_GT(margins[0], 10 * error) << "nothing was compared";
}

INSTANTIATE_TEST_SUITE_P(All, Golden,
                         testing::Combine(testing::ValuesIn(kGoldenModels),
                                          testing::ValuesIn(kTargets)));
INSTANTIATE_TEST_SUITE_P(Routed, Golden,
                         testing::Combine(testing::ValuesIn(kRoutedGoldens),
                                          testing::ValuesIn(kTargets)));
INSTANTIATE_TEST_SUITE_P(Delta, Golden,
                         testing::Combine(testing::ValuesIn(kDeltaGoldens),
                                          testing::ValuesIn(kTargets)));
INSTANTIATE_TEST_SUITE_P(Quantised, Golden,
                         testing::Combine(testing::ValuesIn(kQuantisedGoldens),
                                          testing::Values("host", "host-avx512vnni", "x86-64-v3")));

class QuantisedGolden : public testing::TestWithParam<const char *> {};

TEST_P(QuantisedGolden, LogitsFourByFour) {
  CompileOptions options;
  options.directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + GetParam();
  options.workers = 2;
  options.slots = {1, 4};
  auto golden = llvm::cantFail(Checkpoint::openFile(options.directory + "/golden.safetensors"));
  auto ids = read<int32_t>(*golden, "input_ids");
  auto wanted = read<float>(*golden, "logits");
  for (const char *target : {"host", "host-avx512vnni", "x86-64-v3"}) {
    options.target = target;
    TemporaryDirectory temporary;
    std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
    ASSERT_TRUE(roll);
    std::vector<float> logits = logitsOf(*roll, ids, /*oneByOne=*/false);
    ASSERT_EQ(logits.size(), wanted.size());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance) << target;
  }
}

INSTANTIATE_TEST_SUITE_P(All, QuantisedGolden, testing::ValuesIn(kQuantisedGoldens));

// Fusing keeps the meaning: the interpreter computes the same bits from stages.
TEST(FuseStages, KeepsTheMeaning) {
  for (const char *name : llvm::concat<const char *const>(kGoldenModels, kDeltaGoldens)) {
    std::string directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + name;
    mlir::MLIRContext context;
    LoadedModel model = llvm::cantFail(loadModel(context, directory, std::nullopt));
    std::vector<int32_t> ids{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5};
    auto before = llvm::cantFail(interpret(*model.module, *model.weights, ids));
    mlir::PassManager passes(&context);
    passes.addPass(createFuseStages());
    ASSERT_TRUE(succeeded(passes.run(*model.module)));
    auto after = llvm::cantFail(interpret(*model.module, *model.weights, ids));
    EXPECT_EQ(before.logits.values, after.logits.values) << name;
  }
}

TEST(Storage, WeightsOfF16AndF32) {
  std::string source = PIANOLA_SOURCE_DIR "/test/golden/llama";
  auto golden = llvm::cantFail(Checkpoint::openFile(source + "/golden.safetensors"));
  auto ids = read<int32_t>(*golden, "input_ids");
  auto wanted = read<float>(*golden, "logits");
  for (bool half : {false, true})
    for (const char *target : {"host", "x86-64-v3"}) {
      TemporaryDirectory model, output;
      if (half)
        convertTo<_Float16>("F16", source, model.path);
      else
        convertTo<float>("F32", source, model.path);
      CompileOptions options;
      options.directory = model.path;
      options.target = target;
      std::unique_ptr<Roll> roll = compileAndOpen(options, output);
      ASSERT_TRUE(roll);
      for (bool oneByOne : {false, true}) {
        std::vector<float> logits = logitsOf(*roll, ids, oneByOne);
        EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance)
            << (half ? "f16 " : "f32 ") << target;
      }
    }
}

TEST(PocketDictionary, SaysWhatItsSamplesSay) {
  CompileOptions options;
  options.directory = PIANOLA_SOURCE_DIR "/models/pocket-dictionary";
  TemporaryDirectory temporary;
  std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
  ASSERT_TRUE(roll);
  std::ifstream samples(options.directory + "/samples.jsonl");
  int count = 0;
  for (std::string line; std::getline(samples, line);) {
    nlohmann::json sample = nlohmann::json::parse(line);
    // Below this gap of the two best logits rounding may choose the other token.
    if (sample["min_margin"].get<double>() < 0.01)
      continue;
    auto wanted = sample["completion_ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(greedy(*roll, sample["prompt_ids"], wanted.size()), wanted) << line.substr(0, 100);
    ++count;
  }
  EXPECT_GT(count, 10);
}

} // namespace
