// GpuShapes.cpp - rolls for GPUs, played by the emulator, against the reference interpreter, on
// shapes that divide by nothing.
//
// Prompts are longer than a chunk of 64 tokens, end with a part of one, and cross the borders of
// attention's groups of 64 positions and of windows.
#include "test/numeric/ConvertWeights.h"
#include "test/numeric/Emulated.h"
#include "test/numeric/Seeded.h"
#include "test/numeric/Tolerance.h"

using namespace pianola;

namespace {

struct Case {
  Shape shape;
  const char *device;
  std::vector<int64_t> slots;
};

void PrintTo(const Case &each, std::ostream *out) {
  *out << each.shape.name << " on " << each.device;
}

// Both devices in turn; in a long run each shape on both.
std::vector<Case> cases() {
  const char *devices[] = {"h200", "a100"};
  const std::vector<int64_t> slots[] = {{1, 64}, {1, 8}, {1, 4}, {1, 32}};
  std::vector<Case> all;
  for (size_t i = 0; i < std::size(kShapes); ++i)
    for (size_t other = 0; other < (isLongRun() ? 2 : 1); ++other)
      all.push_back({kShapes[i], devices[(i + i / 4 + other) % 2], slots[(i + other) % 4]});
  return all;
}

class GpuShapes : public testing::TestWithParam<Case> {};

TEST_P(GpuShapes, AgreeWithTheInterpreter) {
  const Case &each = GetParam();
  Seeded model(each.shape, each.device, each.slots, 11);
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  std::vector<int32_t> ids = someIds(each.shape, 150);
  std::vector<float> wanted = model.reference(ids);
  for (unsigned seed = 0; seed < interleavings(1); ++seed) {
    // Both kinds of play come to positions behind 64 and 128.
    bool graph = (seed + each.shape.hidden) % 2;
    Emulation emulation{each.device, graph ? LaunchKind::Graph : LaunchKind::Persistent,
                        seed * 1000};
    std::vector<float> logits = EmulatedSession(*roll, emulation).logits(ids, 70, 8 + seed);
    ASSERT_EQ(logits.size(), wanted.size());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance)
        << testing::PrintToString(emulation);
  }
}

INSTANTIATE_TEST_SUITE_P(All, GpuShapes, testing::ValuesIn(cases()));

// Attention takes positions by eight, heads by as many as registers allow, and deals columns to
// lanes: sizes of heads that do and do not fill a warp, groups of a power of two and others.
constexpr Shape kHeads[] = {
    {"size_64_of_4", "LlamaForCausalLM", 48, 32, 4, 1, 64, 61, 0, 3, true},
    {"size_80_of_1", "LlamaForCausalLM", 48, 32, 2, 2, 80, 61, 0, 2, true},
    {"size_96_of_2", "Qwen3ForCausalLM", 48, 32, 4, 2, 96, 61, 0, 5, true},
    {"size_128_of_7", "Qwen2ForCausalLM", 48, 32, 7, 1, 128, 61, 0, 2, true},
    {"size_128_of_4", "Qwen3ForCausalLM", 48, 32, 4, 1, 128, 61, 0, 1, true},
    {"size_256_of_2", "LlamaForCausalLM", 48, 32, 2, 1, 256, 61, 0, 3, true},
    {"size_32_of_8", "LlamaForCausalLM", 48, 32, 8, 1, 32, 61, 0, 2, true},
    {"window_of_20", "MistralForCausalLM", 48, 32, 4, 2, 128, 61, 20, 2, true},
    {"window_of_70", "MistralForCausalLM", 48, 32, 4, 2, 64, 61, 70, 3, true},
};

class GpuHeads : public testing::TestWithParam<Shape> {};

TEST_P(GpuHeads, AgreeWithTheInterpreter) {
  const Shape &shape = GetParam();
  Seeded model(shape, "h200", {1, 8}, 3);
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  std::vector<int32_t> ids = someIds(shape, 90);
  std::vector<float> wanted = model.reference(ids);
  // Every distance from a multiple of eight, in both kinds of play; and twice the same bits.
  std::vector<float> logits[2];
  for (unsigned seed = 0; seed < 2; ++seed) {
    Emulation emulation{"h200", LaunchKind::Persistent, seed * 1000};
    logits[seed] = EmulatedSession(*roll, emulation).logits(ids, 13, 10);
    ASSERT_EQ(logits[seed].size(), wanted.size());
    EXPECT_LT(distance(logits[seed].data(), wanted.data(), wanted.size()), kGpuTolerance);
  }
  EXPECT_EQ(logits[0], logits[1]);
}

INSTANTIATE_TEST_SUITE_P(All, GpuHeads, testing::ValuesIn(kHeads));

// No part of a split context has fewer than 64 positions, but the last.
TEST(GpuContexts, OfSeveralParts) {
  constexpr Shape kLong{"long", "LlamaForCausalLM", 32, 40, 2, 1, 16, 64, 0, 6, true};
  Seeded model(kLong, "h200", {1, 64}, 2);
  EXPECT_NE(model.tiles().find("splits = 5"), std::string::npos);
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  std::vector<int32_t> ids = someIds(kLong, 700);
  std::vector<float> wanted = model.reference(ids);
  // One by one across each multiple of 128, where another part begins to be used.
  std::vector<float> logits = EmulatedSession(*roll, {"h200"}).logits(ids, 120, 8);
  ASSERT_EQ(logits.size(), wanted.size());
  EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance);
}

// The last chunk of a prompt is played by the smallest program that takes it.
TEST(GpuChunks, OfAnyLengthSayTheSame) {
  const Shape &shape = kShapes[0];
  Seeded model(shape, "h200", {1, 4}, 5);
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  std::vector<int32_t> ids = someIds(shape, 40);
  Emulation emulation{"h200"};
  std::vector<float> wanted = EmulatedSession(*roll, emulation).logits(ids, true);
  EmulatedSession session(*roll, emulation);
  size_t at = 0;
  for (size_t count : {1, 2, 3, 4, 5, 7, 8, 10}) { // the last: 4, 4 and 2
    std::vector<int32_t> chunk(ids.begin() + at, ids.begin() + at + count);
    std::vector<float> logits = session.logits(chunk, false);
    EXPECT_LT(distance(logits.data(), &wanted[at * shape.vocabulary], logits.size()), 1e-4)
        << "a chunk of " << count;
    at += count;
  }
  EXPECT_EQ(at, ids.size());
}

// Inner products take their operands in three ways, which depend on a tile's rows and on how many
// slots a program has, and the first tiles' weights before anything is awaited. Chunks of every
// number of tokens, of models whose tiles are wider than what is taken so, or more than that; with
// so many workers that tiles have 16 rows, or 8, or some have no tile.
struct Products {
  Shape shape;
  const char *device;
  int tileRows; // of the matrix that counts
  const char *weights = "";
};

void PrintTo(const Products &each, std::ostream *out) {
  *out << each.shape.name << " on " << each.device << ", " << each.shape.workers << " workers, "
       << each.weights;
}

constexpr Shape deep(int workers) {
  return {"deep", "LlamaForCausalLM", 40, 2500, 2, 1, 16, 97, 0, workers, true};
}
constexpr Shape many(int workers) {
  return {"many_tiles", "LlamaForCausalLM", 72, 700, 2, 1, 16, 97, 0, workers, true};
}
// Two panels of 300 columns are a warp's: a few whole tiles, with warps that have less than others.
constexpr Shape uneven(int workers) {
  return {"uneven", "LlamaForCausalLM", 300, 80, 2, 1, 16, 97, 0, workers, true};
}

class GpuProducts : public testing::TestWithParam<Products> {};

TEST_P(GpuProducts, OfAnyNumberOfSlots) {
  const auto &[shape, device, tileRows, weights] = GetParam();
  Seeded model(shape, device, {1, 2, 4, 8}, 3);
  model.options.weights = weights;
  EXPECT_NE(model.tiles().find("matrix<rows = " + std::to_string(tileRows)), std::string::npos);
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  std::vector<int32_t> ids = someIds(shape, 40);
  std::vector<float> wanted = model.reference(ids);
  for (LaunchKind launch : {LaunchKind::Persistent, LaunchKind::Graph}) {
    EmulatedSession session(*roll, {device, launch, 7});
    size_t at = 0;
    for (size_t count : {1, 2, 3, 4, 5, 6, 8, 1, 1, 2, 7}) {
      std::vector<int32_t> chunk(ids.begin() + at, ids.begin() + at + count);
      std::vector<float> logits = session.logits(chunk, false);
      EXPECT_LT(distance(logits.data(), &wanted[at * shape.vocabulary], logits.size()),
                kGpuTolerance)
          << "a chunk of " << count;
      at += count;
    }
    EXPECT_EQ(at, ids.size());
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, GpuProducts,
    testing::Values(Products{deep(1), "h200", 16}, Products{deep(3), "rtx5090", 8},
                    Products{deep(2), "a100", 16}, Products{many(1), "a100", 16},
                    Products{many(7), "h200", 8}, Products{uneven(1), "h200", 16},
                    Products{uneven(9), "a100", 8},
                    // Of codes more than two panels for each warp, and some that are left.
                    Products{deep(2), "a100", 16, "int4"}, Products{deep(3), "h200", 8, "int4"},
                    Products{deep(3), "h200", 8, "int4/64z"}, Products{deep(3), "a100", 8, "int8"},
                    Products{deep(3), "a100", 8, "fp8"}, Products{deep(3), "h200", 8, "int8/row"},
                    Products{deep(3), "rtx5090", 8, "mxfp4"}));

template <typename Element>
void playGoldenOf(const char *dtype, const char *device, const char *part = "") {
  std::string source = PIANOLA_SOURCE_DIR "/test/golden/llama";
  auto golden = llvm::cantFail(Checkpoint::openFile(source + "/golden.safetensors"));
  TemporaryDirectory model, output;
  setenv("PIANOLA_CACHE", output.path.c_str(), 1);
  convertTo<Element>(dtype, source, model.path, part);
  CompileOptions options;
  options.directory = model.path;
  options.target = device;
  options.workers = 3;
  options.slots = {1, 8};
  std::unique_ptr<Roll> roll = compileAndOpen(options, output);
  ASSERT_TRUE(roll);
  std::vector<float> wanted(golden->find("logits")->elements());
  llvm::cantFail(golden->readFloats(*golden->find("logits"), 0, wanted));
  std::vector<int32_t> ids(golden->find("input_ids")->elements());
  llvm::cantFail(golden->read(*golden->find("input_ids"), 0,
                              {reinterpret_cast<uint8_t *>(ids.data()), ids.size() * 4}));
  for (bool oneByOne : {false, true}) {
    std::vector<float> logits =
        EmulatedSession(*roll, {device, LaunchKind::Persistent, 3}).logits(ids, oneByOne);
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance)
        << (oneByOne ? "decode" : "prefill");
  }
}

TEST(GpuStorage, WeightsOfF32) { playGoldenOf<float>("F32", "h200"); }
TEST(GpuStorage, WeightsOfF16) { playGoldenOf<_Float16>("F16", "a100"); }
// Matrices of one stage need not agree.
TEST(GpuStorage, KeysOfF32) { playGoldenOf<float>("F32", "h200", "k_proj"); }
TEST(GpuStorage, ValuesOfF16) { playGoldenOf<_Float16>("F16", "a100", "v_proj"); }
TEST(GpuStorage, UpOfF32) { playGoldenOf<float>("F32", "a100", "up_proj"); }

} // namespace
