// Tiles.cpp - rolls for AMX against the reference interpreter, and against rolls for AVX512-BF16
// and VNNI.
//
// Where there is no AMX its instructions are emulated (test/runtime/amx); the rest of such a roll
// needs AVX512-BF16 or VNNI itself.
#include "runtime/roll/CpuFeatures.h"
#include "test/GoldenModels.h"
#include "test/numeric/Seeded.h"
#include "test/numeric/Tolerance.h"
#include "test/runtime/amx/Emulation.h"

using namespace pianola;

namespace {

constexpr const char *kTiles = "x86-64-v4+avx512bf16+amx-bf16";
constexpr const char *kPairs = "x86-64-v4+avx512bf16";

// The same numbers, added up in another order: f32 rounds differently, and then so do the halves of
// activations, to 16 bits.
constexpr double kOrderTolerance = 5e-5;

bool has(const std::string &feature) {
  RollTarget target;
  target.architecture = "x86_64";
  target.features = {feature};
  return checkCpu(target).ok();
}

class Tiles : public testing::Test {
protected:
  void SetUp() override {
    if (!has("avx512bf16"))
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
  for (int i = 0; i < (GetParam() == "gpt2" ? 48 : 100); ++i) // it has no more positions
    ids.push_back(i * 7 % 300);
  compare(options, ids);
}

std::vector<std::string> goldens() {
  std::vector<std::string> names(std::begin(kGoldenModels), std::end(kGoldenModels));
  names.insert(names.end(), std::begin(kQuantisedGoldens), std::end(kQuantisedGoldens));
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

constexpr Shape kWide = {"wide", "Qwen3ForCausalLM", 256, 416, 4, 2, 64, 160, 0, 2, true};

// Codes through tiles are the same bits as without them, for one block of slots, several, and a
// last one that is not full; alone and where the next matrix has tiles of another shape or of bf16.
class TilesOfCodes : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    if (!has("avx512vnni") || !has("avx512bf16"))
      GTEST_SKIP() << "this CPU has no VNNI or no AVX512-BF16";
    test::provideAmx();
    with.options.weights = without.options.weights = GetParam();
  }

  Seeded with{kWide, "x86-64-v4+amx-bf16+amx-int8", {1, 64}, 3};
  Seeded without{kWide, "x86-64-v4+amx-bf16+avx512vnni", {1, 64}, 3};
};

bool asksFor(const Roll &roll, const char *feature) {
  const std::vector<std::string> &features = roll.manifest().target.features;
  return std::count(features.begin(), features.end(), feature) != 0;
}

TEST_P(TilesOfCodes, SameBitsAsWithout) {
  std::unique_ptr<Roll> tiles = with.roll(), plain = without.roll();
  ASSERT_TRUE(tiles && plain);
  EXPECT_TRUE(asksFor(*tiles, "amx-int8")) << "nothing went through tiles";
  EXPECT_FALSE(asksFor(*plain, "amx-int8"));
  for (int count : {16, 17, 33, 64, 70}) {
    std::vector<int32_t> ids = someIds(kWide, count);
    std::vector<float> logits = logitsOf(*tiles, ids, false);
    EXPECT_EQ(logits, logitsOf(*plain, ids, false)) << count;
    std::vector<float> wanted = with.reference(ids);
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance) << count;
  }
}

// Of narrow activations there is only one part.
TEST_P(TilesOfCodes, SameBitsAsWithoutIfNarrow) {
  with.options.activations = without.options.activations = "bf16";
  std::unique_ptr<Roll> tiles = with.roll(), plain = without.roll();
  ASSERT_TRUE(tiles && plain);
  EXPECT_TRUE(asksFor(*tiles, "amx-int8")) << "nothing went through tiles";
  std::vector<int32_t> ids = someIds(kWide, 33);
  EXPECT_EQ(logitsOf(*tiles, ids, false), logitsOf(*plain, ids, false));
}

INSTANTIATE_TEST_SUITE_P(
    All, TilesOfCodes,
    testing::Values("int8/row", "int8/32", "int8/64", "int8/128", "int4/32", "int4/128", "int4z",
                    "int4/128z", "mxfp4", "*gate*=int8/64,*up*=int4/32,int8/row",
                    "*gate*=int4/32z,*up*=bf16,int4/64z"),
    [](const auto &info) {
      std::string name = info.param;
      std::replace_if(name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
      return name;
    });

TEST(TilesOfNothing, AreNotAskedFor) {
  if (!has("avx512vnni") || !has("avx512bf16"))
    GTEST_SKIP() << "this CPU has no VNNI or no AVX512-BF16";
  test::provideAmx();
  for (const char *weights : {"bf16", "fp8", "int8"})
    for (std::vector<int64_t> slots : {std::vector<int64_t>{1}, {1, 4}, {1, 8}}) {
      Seeded model(kWide, "x86-64-v4+amx-bf16+amx-int8", slots, 3);
      model.options.weights = weights;
      std::unique_ptr<Roll> roll = model.roll();
      ASSERT_TRUE(roll);
      bool bf16 = weights == std::string("bf16") && slots.size() > 1;
      bool bytes = weights == std::string("int8") && slots.back() == 8;
      EXPECT_EQ(asksFor(*roll, "amx-bf16"), bf16) << weights << slots.back();
      EXPECT_EQ(asksFor(*roll, "amx-int8"), bytes) << weights << slots.back();
      EXPECT_EQ(asksFor(*roll, "amx-tile"), bf16 || bytes) << weights << slots.back();
    }
}

} // namespace
