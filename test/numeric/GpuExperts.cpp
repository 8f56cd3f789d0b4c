// GpuExperts.cpp - mixtures of experts on the emulator, against the interpreter: odd shapes, each
// encoding, one slot and more than an instruction takes.
#include "test/numeric/Emulated.h"
#include "test/numeric/Mixtures.h"
#include "test/numeric/Tolerance.h"

using namespace pianola;

namespace {

struct Case {
  Mixture mixture;
  const char *weights, *device;
  std::vector<int64_t> slots;
};

void PrintTo(const Case &each, std::ostream *out) {
  *out << each.mixture.name << ", " << each.weights << " on " << each.device;
}

// A long run plays each shape in each encoding on both devices.
std::vector<Case> cases() {
  const char *encodings[] = {"int4", "keep", "int8", "mxfp4"};
  const std::vector<int64_t> slots[] = {{1, 4}, {1, 16}, {1, 2}, {1, 8}};
  std::vector<Case> all;
  for (size_t m = 0; m < std::size(kMixtures); ++m)
    for (size_t other = 0; other < (isLongRun() ? 8 : 1); ++other)
      all.push_back({kMixtures[m], encodings[(m + other) % 4],
                     other >= 4 || (m == 2 && !isLongRun()) ? "a100" : "h200",
                     slots[(m + other / 2) % 4]});
  all.push_back({kWideMixture, "keep", "l40s", {1, 8}});
  all.push_back({kWideMixture, "int8", "l40s", {1, 8}});
  return all;
}

class GpuExperts : public testing::TestWithParam<Case> {};

TEST_P(GpuExperts, AgreeWithTheInterpreter) {
  const Case &each = GetParam();
  SeededMixture model(each.mixture, each.device, each.slots);
  model.options.weights = each.weights;
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  std::vector<int32_t> ids = textOf(0, 40);
  std::vector<float> wanted = model.reference(ids);
  std::vector<float> first;
  for (unsigned seed = 0; seed < interleavings(1); ++seed)
    for (LaunchKind launch : {LaunchKind::Persistent, LaunchKind::Graph}) {
      Emulation emulation{each.device, launch, seed * 1000};
      std::vector<float> logits = EmulatedSession(*roll, emulation).logits(ids, 32, 4);
      ASSERT_EQ(logits.size(), wanted.size());
      EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kGpuTolerance)
          << testing::PrintToString(emulation);
      if (first.empty())
        first = logits;
      EXPECT_TRUE(logits == first) << testing::PrintToString(emulation);
    }
}

INSTANTIATE_TEST_SUITE_P(All, GpuExperts, testing::ValuesIn(cases()));

} // namespace
