// GpuEncodings.cpp - rolls for GPUs whose weights were encoded on the way, played by the emulator,
// against the interpreter with the same encoded weights.
#include "test/numeric/Emulated.h"
#include "test/numeric/Encodings.h"
#include "test/numeric/Reference.h"
#include "test/numeric/Tolerance.h"

using namespace pianola;

namespace {

class GpuEncodings : public testing::TestWithParam<std::tuple<const char *, const char *, int>> {};

// Each case on another device and launched in another way than its neighbours: a token at a time,
// and in one of three programs for several. A long run plays each on both.
TEST_P(GpuEncodings, AgreeWithTheInterpreter) {
  auto [model, spec, number] = GetParam();
  TemporaryDirectory temporary;
  setenv("PIANOLA_CACHE", temporary.path.c_str(), 1);
  constexpr const char *kDevices[] = {"h200", "a100"};
  constexpr int64_t kSlots[] = {8, 4, 64};
  CompileOptions options;
  options.directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + model;
  options.weights = spec;
  options.workers = 3;
  options.slots = {1, kSlots[number % 3]};
  std::vector<int32_t> ids = goldenIds(9);
  std::vector<float> wanted = interpreted(options, ids);
  for (int other = 0; other < (isLongRun() ? 2 : 1); ++other) {
    options.target = kDevices[(number + other) % 2];
    std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
    ASSERT_TRUE(roll);
    LaunchKind launch = number / 2 % 2 ? LaunchKind::Graph : LaunchKind::Persistent;
    Emulation emulation{options.target, launch, unsigned(number)};
    std::vector<float> logits = EmulatedSession(*roll, emulation).logits(ids, 7, 1);
    ASSERT_EQ(logits.size(), wanted.size());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance)
        << testing::PrintToString(emulation);
  }
}

std::vector<std::tuple<const char *, const char *, int>> cases() {
  std::vector<std::tuple<const char *, const char *, int>> all;
  for (const char *model : {"llama", "qwen3", "mistral"})
    for (const char *spec : kEncodingSpecs)
      all.push_back({model, spec, static_cast<int>(all.size())});
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, GpuEncodings, testing::ValuesIn(cases()));

} // namespace
