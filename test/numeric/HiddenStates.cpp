// HiddenStates.cpp - what a roll compiled with --hidden-states leaves behind, against what Hugging
// Face transformers computes; and the logits beside it, which are those of a roll without.
#include "lib/checkpoint/Checkpoint.h"
#include "runtime/session/Ensemble.h"
#include "test/numeric/Emulated.h"
#include "test/numeric/Tolerance.h"

using namespace pianola;

namespace {

struct Case {
  const char *model, *target;
  std::vector<int64_t> slots;
};

void PrintTo(const Case &each, std::ostream *out) { *out << each.model << " on " << each.target; }

class HiddenStates : public testing::TestWithParam<Case> {
protected:
  void SetUp() override {
    setenv("PIANOLA_CACHE", temporary.path.c_str(), 1);
    std::string directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + GetParam().model;
    auto file = llvm::cantFail(Checkpoint::openFile(directory + "/golden.safetensors"));
    ids = read<int32_t>(*file, "input_ids");
    wanted = read<float>(*file, "hidden.norm");
    options.directory = directory;
    options.target = GetParam().target;
    options.workers = 4;
    options.slots = GetParam().slots;
    options.hiddenStates = true;
    roll = compileAndOpen(options, temporary);
    ASSERT_TRUE(roll);
    hidden = roll->manifest().model.hidden;
    ASSERT_EQ(wanted.size(), ids.size() * hidden);
  }
  template <typename T> static std::vector<T> read(const Checkpoint &file, const char *name) {
    const TensorInfo *tensor = file.find(name);
    EXPECT_NE(tensor, nullptr) << name;
    std::vector<T> values(tensor->elements());
    llvm::cantFail(
        file.read(*tensor, 0, {reinterpret_cast<uint8_t *>(values.data()), tensor->bytes}));
    return values;
  }
  void expectNear(const Result<const float *> &state, size_t position) {
    ASSERT_TRUE(state) << state.message();
    EXPECT_LT(distance(*state, &wanted[position * hidden], hidden), kHostTolerance)
        << "position " << position;
  }
  // Prompts of several lengths, which end in several slots of several programs, and single tokens.
  void check(Session &session) {
    for (size_t position = 0, turn = 0; position < ids.size(); ++turn) {
      size_t count = std::min<size_t>(turn % 3 == 0 ? 11 : turn % 3, ids.size() - position);
      Status status = session.feed(&ids[position], count);
      ASSERT_TRUE(status.ok()) << status.message();
      position += count;
      expectNear(session.hiddenState(), position - 1);
    }
  }

  TemporaryDirectory temporary;
  CompileOptions options;
  std::unique_ptr<Roll> roll;
  std::vector<int32_t> ids;
  std::vector<float> wanted; // [ids][hidden]
  size_t hidden = 0;
};

class OnHost : public HiddenStates {};

TEST_P(OnHost, AreThoseOfTheGoldens) {
  auto session = Session::create(*roll, {});
  ASSERT_TRUE(session) << session.message();
  check(**session);
}

TEST_P(OnHost, StandBesideTheSameLogits) {
  std::vector<float> beside = logitsOf(*roll, ids, /*oneByOne=*/false);
  options.hiddenStates = false;
  TemporaryDirectory other;
  std::unique_ptr<Roll> without = compileAndOpen(options, other);
  ASSERT_TRUE(without);
  EXPECT_EQ(logitsOf(*without, ids, /*oneByOne=*/false), beside);
  auto session = Session::create(*without, {});
  ASSERT_TRUE(session) << session.message();
  EXPECT_TRUE((*session)->feed(ids.data(), 3).ok());
  EXPECT_EQ((*session)->hiddenState().message(),
            "the roll keeps no hidden states: compile the model with --hidden-states");
}

// In a step that several sequences share, each has its own.
TEST_P(OnHost, AreOfEachSequence) {
  EnsembleOptions wants;
  wants.sequences = 3;
  auto ensemble = Ensemble::create(*roll, wants);
  ASSERT_TRUE(ensemble) << ensemble.message();
  const size_t lengths[] = {4, 17, 9};
  for (size_t i = 0; i < 3; ++i)
    ASSERT_TRUE((*ensemble)->feed(i, ids.data(), lengths[i]).ok());
  expectNear((*ensemble)->hiddenState(2), lengths[2] - 1);
  EXPECT_FALSE((*ensemble)->hiddenState(0));
  ASSERT_TRUE(
      (*ensemble)->step({{2, ids[lengths[2]]}, {0, ids[lengths[0]]}, {1, ids[lengths[1]]}}).ok());
  for (size_t i = 0; i < 3; ++i)
    expectNear((*ensemble)->hiddenState(i), lengths[i]);
}

INSTANTIATE_TEST_SUITE_P(All, OnHost,
                         testing::Values(Case{"llama", "host", {1, 8, 64}},
                                         Case{"qwen2_win", "x86-64-v3", {1, 8, 16}},
                                         Case{"qwen3", "host-avx512bf16", {1, 8}}));

class OnGpu : public HiddenStates {};

TEST_P(OnGpu, AreThoseOfTheGoldens) {
  for (LaunchKind launch : {LaunchKind::Persistent, LaunchKind::Graph}) {
    EmulatedSession session(*roll, {GetParam().target, launch});
    ASSERT_TRUE(session.begun().ok()) << session.begun().message();
    check(*session);
  }
}

// The next play begins while the hidden state of the last is still made.
TEST_P(OnGpu, DoNotDisturbALoop) {
  SamplingOptions greedy;
  greedy.temperature = 0;
  std::vector<int32_t> prompt(ids.begin(), ids.begin() + 12);
  auto tokens = [&](bool inALoop) {
    EmulatedSession session(*roll, {GetParam().target});
    return inALoop ? session.generate(prompt, 6, greedy) : session.sampleOnHost(prompt, 6, greedy);
  };
  EXPECT_EQ(tokens(true), tokens(false));
}

INSTANTIATE_TEST_SUITE_P(All, OnGpu,
                         testing::Values(Case{"llama", "h200", {1, 8}},
                                         Case{"qwen3", "a100", {1, 4}}));

} // namespace
