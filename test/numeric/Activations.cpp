// Activations.cpp - prompts as --activations says: near the interpreter, which rounds nothing; and
// tokens one by one, which it does not touch.
#include "targets/host/HostCpu.h"
#include "test/numeric/Reference.h"
#include "test/numeric/Tolerance.h"
#include "test/runtime/amx/Emulation.h"

using namespace pianola;

namespace {

struct Narrow {
  const char *weights;
  const char *target;
  bool bytes = false; // activations become integers of 8 bits
};

void PrintTo(const Narrow &narrow, std::ostream *out) {
  *out << narrow.weights << " for " << narrow.target;
}

// Products of bf16 pairs, of bytes, and where neither is: bf16 as f32, and as integers of 16 bits.
constexpr Narrow kNarrow[] = {
    {"keep", "host"},
    {"keep", "x86-64-v3"},
    {"keep", "x86-64-v4+avx512bf16+amx-bf16"},
    {"int8/32", "x86-64-v4+avx512vnni", true},
    {"int4z", "x86-64-v4+avx512vnni", true},
    {"int8", "x86-64-v3"},
    {"int4", "x86-64-v4"},
    {"int8/row", "x86-64-v4+avx512vnni", true},
    {"fp8", "host"},
};

// Of logits, relative L2: every input of a product is within 1/256 of itself (seen: 1.2e-2 at
// most), or of bytes within 1/254 of the greatest of its block (4.6e-2).
constexpr double kHalfTolerance = 0.02, kByteTolerance = 0.07;

class Activations : public testing::TestWithParam<std::tuple<const char *, Narrow>> {};

TEST_P(Activations, AreNear) {
  auto [model, narrow] = GetParam();
  if (!test::canRun(llvm::cantFail(parseHostCpu(narrow.target)).features))
    GTEST_SKIP() << "this CPU lacks what " << narrow.target << " has";
  CompileOptions options;
  options.directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + model;
  options.weights = narrow.weights;
  options.target = narrow.target;
  options.activations = "bf16";
  options.workers = 2;
  options.slots = {1, 4, 16, 48};
  std::vector<int32_t> ids = goldenIds(150);
  std::vector<float> wanted = interpreted(options, ids);
  TemporaryDirectory temporary;
  std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
  ASSERT_TRUE(roll);
  auto error = [&](bool oneByOne, size_t count) {
    std::vector<int32_t> some(ids.begin(), ids.begin() + count);
    std::vector<float> logits = logitsOf(*roll, some, oneByOne);
    return distance(logits.data(), wanted.data(), logits.size());
  };
  double tolerance = narrow.bytes ? kByteTolerance : kHalfTolerance;
  // In three of 48, and one of 16.
  double prompt = error(false, 150);
  RecordProperty("error", std::to_string(prompt));
  EXPECT_LT(prompt, tolerance);
  EXPECT_GT(prompt, tolerance / 5) << "nothing was rounded";
  EXPECT_LT(error(false, 16), tolerance);
  EXPECT_LT(error(false, 4), kHostTolerance);
  EXPECT_LT(error(true, 20), kHostTolerance);
}

INSTANTIATE_TEST_SUITE_P(All, Activations,
                         testing::Combine(testing::Values("llama", "qwen3"),
                                          testing::ValuesIn(kNarrow)));

} // namespace
