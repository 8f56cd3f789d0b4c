// Experts.cpp - mixtures of experts of odd shapes against the interpreter, in each encoding, and in
// steps that sequences share.
#include "runtime/session/Ensemble.h"
#include "targets/host/HostCpu.h"
#include "test/numeric/Mixtures.h"
#include "test/numeric/Tolerance.h"
#include "test/runtime/amx/Emulation.h"

using namespace pianola;

namespace {

class Experts : public testing::TestWithParam<std::tuple<Mixture, const char *>> {};

TEST_P(Experts, AgreeWithTheInterpreter) {
  auto [mixture, weights] = GetParam();
  std::vector<int32_t> ids = textOf(0, 70);
  std::vector<const char *> targets = {"host", "x86-64-v3"};
  if (mixture.hidden == 57) { // slow in emulation, and the same for all shapes
    const char *tiles = "x86-64-v4+amx-bf16+amx-int8";
    if (test::canRun(llvm::cantFail(parseHostCpu(tiles)).features))
      targets.push_back(tiles);
  }
  for (const char *target : targets) {
    SeededMixture model(mixture, target, {1, 4, 64});
    model.options.weights = weights;
    std::unique_ptr<Roll> roll = model.roll();
    ASSERT_TRUE(roll);
    std::vector<float> wanted = model.reference(ids);
    for (bool oneByOne : {false, true}) {
      std::vector<float> logits = logitsOf(*roll, ids, oneByOne);
      EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance)
          << target << (oneByOne ? ", decode" : ", prefill");
    }
    // In chunks of four.
    auto session = std::move(*Session::create(*roll, {}));
    std::vector<float> logits(ids.size() * 97);
    for (size_t at = 0; at < ids.size(); at += 4) {
      FeedOptions feed;
      feed.allLogits = &logits[at * 97];
      ASSERT_TRUE(session->feed(&ids[at], std::min<size_t>(4, ids.size() - at), feed).ok());
    }
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance)
        << target << ", by four";
  }
}

TEST_P(Experts, HaveTheBitsOfEachSequenceAlone) {
  auto [mixture, weights] = GetParam();
  SeededMixture model(mixture, "host", {1, 8, 16});
  model.options.weights = weights;
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  auto play = [&](std::vector<size_t> numbers) {
    EnsembleOptions options;
    options.sequences = 8;
    auto ensemble = std::move(*Ensemble::create(*roll, options));
    std::vector<std::vector<float>> last(8);
    for (size_t number : numbers)
      EXPECT_TRUE(ensemble->feed(number, textOf(number, 20).data(), 10 + number).ok());
    for (int step = 0; step < 4; ++step) {
      std::vector<Turn> turns;
      for (size_t number : numbers)
        turns.push_back({number, textOf(number, 40)[20 + step]});
      EXPECT_TRUE(ensemble->step(turns).ok());
    }
    for (size_t number : numbers)
      last[number].assign(*ensemble->logits(number), *ensemble->logits(number) + 97);
    return last;
  };
  std::vector<std::vector<float>> together = play({3, 0, 7, 5, 1, 6, 2, 4});
  for (size_t number : {0, 3, 6})
    EXPECT_EQ(play({number})[number], together[number]) << number;
}

std::string nameOf(const testing::TestParamInfo<std::tuple<Mixture, const char *>> &info) {
  return std::string(std::get<0>(info.param).name) + "_" + std::get<1>(info.param);
}

INSTANTIATE_TEST_SUITE_P(All, Experts,
                         testing::Combine(testing::ValuesIn(kMixtures),
                                          testing::Values("keep", "int8", "int4", "mxfp4")),
                         nameOf);

} // namespace
