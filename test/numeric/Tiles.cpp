// Tiles.cpp - rolls for AMX against the reference interpreter, and against rolls for AVX512-BF16.
//
// Where there is no AMX its instructions are emulated (test/runtime/amx); the rest of such a roll
// needs AVX512-BF16 itself.
#include "lib/driver/LoadModel.h"
#include "lib/reference/Interpreter.h"
#include "runtime/roll/CpuFeatures.h"
#include "test/numeric/Compiled.h"
#include "test/numeric/Shape.h"
#include "test/numeric/Tolerance.h"
#include "test/runtime/amx/Emulation.h"

#include "mlir/IR/MLIRContext.h"

#include <algorithm>
#include <filesystem>

using namespace pianola;

namespace {

constexpr const char *kTiles = "x86-64-v4+avx512bf16+amx-bf16";
constexpr const char *kPairs = "x86-64-v4+avx512bf16";

// The same numbers, added up in another order: f32 rounds differently, and then so do the halves of
// activations, to 16 bits.
constexpr double kOrderTolerance = 5e-5;

class Tiles : public testing::Test {
protected:
  void SetUp() override {
    RollTarget pairs;
    pairs.architecture = "x86_64";
    pairs.features = {"avx512bf16"};
    if (!checkCpu(pairs).ok())
      GTEST_SKIP() << "this CPU has no AVX512-BF16";
    test::provideAmx();
  }

  void compare(CompileOptions options, const std::vector<int32_t> &ids) {
    std::vector<std::vector<float>> logits;
    for (const char *target : {kTiles, kPairs}) {
      TemporaryDirectory output;
      options.target = target;
      std::unique_ptr<Roll> roll = compileAndOpen(options, output);
      ASSERT_TRUE(roll);
      for (bool oneByOne : {false, true})
        logits.push_back(logitsOf(*roll, ids, oneByOne));
    }
    mlir::MLIRContext context;
    auto loaded = loadModel(context, options.directory, options.seed);
    ASSERT_TRUE(static_cast<bool>(loaded));
    auto reference = interpret(*loaded->module, *loaded->weights, ids);
    ASSERT_TRUE(static_cast<bool>(reference));
    const std::vector<float> &wanted = reference->logits.values;
    for (size_t i = 0; i < 2; ++i) {
      ASSERT_EQ(logits[i].size(), wanted.size());
      EXPECT_LT(distance(logits[i].data(), wanted.data(), wanted.size()), kHostTolerance)
          << (i ? "decode" : "prefill");
      EXPECT_LT(distance(logits[i].data(), logits[i + 2].data(), wanted.size()), kOrderTolerance)
          << (i ? "decode" : "prefill");
    }
    EXPECT_NE(logits[0], logits[2]) << "nothing went through tiles";
  }
};

class TilesOfShapes : public Tiles, public testing::WithParamInterface<Shape> {};

TEST_P(TilesOfShapes, AgreeWithTheInterpreter) {
  TemporaryDirectory model;
  writeConfig(GetParam(), model.path);
  CompileOptions options;
  options.directory = model.path;
  options.workers = GetParam().workers;
  options.seed = 11;
  compare(options, someIds(GetParam(), 150));
}

INSTANTIATE_TEST_SUITE_P(All, TilesOfShapes, testing::ValuesIn(kShapes));

class TilesOfGoldens : public Tiles, public testing::WithParamInterface<std::string> {};

TEST_P(TilesOfGoldens, AgreeWithTheInterpreter) {
  CompileOptions options;
  options.directory = PIANOLA_SOURCE_DIR "/test/golden/" + GetParam();
  options.workers = 2;
  std::vector<int32_t> ids;
  for (int i = 0; i < 100; ++i)
    ids.push_back(i * 7 % 300);
  compare(options, ids);
}

std::vector<std::string> goldens() {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(PIANOLA_SOURCE_DIR "/test/golden"))
    if (entry.is_directory())
      names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, TilesOfGoldens, testing::ValuesIn(goldens()),
                         [](const auto &info) { return info.param; });

TEST_F(Tiles, SameBitsWithAnyNumberOfThreads) {
  CompileOptions options;
  options.directory = PIANOLA_SOURCE_DIR "/test/golden/llama_bias";
  options.workers = 4;
  options.target = kTiles;
  TemporaryDirectory output;
  std::unique_ptr<Roll> roll = compileAndOpen(options, output);
  ASSERT_TRUE(roll);
  std::vector<int32_t> ids;
  for (int i = 0; i < 100; ++i)
    ids.push_back(i * 7 % 300);
  std::vector<float> first = logitsOf(*roll, ids, false, 1);
  for (unsigned threads : {1u, 2u, 4u})
    EXPECT_EQ(logitsOf(*roll, ids, false, threads), first);
}

} // namespace
