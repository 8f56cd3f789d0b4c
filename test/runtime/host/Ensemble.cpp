// Ensemble.cpp - what sequences of an ensemble may be fed, and what is said of the rest.
#include "runtime/session/Ensemble.h"

#include "test/runtime/roll/TinyRoll.h"

#include <unistd.h>

using namespace pianola;

namespace {

// Programs of one slot and of four, which count their plays.
class EnsembleTest : public testing::Test {
protected:
  void SetUp() override {
    nlohmann::json four = tiny.manifest["programs"][0];
    four["name"] = "step";
    four["slots"] = 4;
    four["arena"] = 512;
    four["steps"][0]["bindings"][0]["at"] = 320;
    four["steps"][1]["bindings"][0]["at"] = 384;
    tiny.manifest["programs"].push_back(four);
    std::string name = testing::TempDir() + "ensemble.XXXXXX";
    close(mkstemp(name.data()));
    tiny.write(name);
    Result<std::unique_ptr<Roll>> opened = Roll::open(name);
    unlink(name.c_str());
    ASSERT_TRUE(opened) << opened.message();
    roll = std::move(*opened);
    options.sequences = 6;
    options.stepSlots = 2;
    Result<std::unique_ptr<Ensemble>> made = Ensemble::create(*roll, options);
    ASSERT_TRUE(made) << made.message();
    ensemble = std::move(*made);
  }

  std::string refusal(const EnsembleOptions &wanted) {
    Result<std::unique_ptr<Ensemble>> made = Ensemble::create(*roll, wanted);
    return made ? "" : made.message();
  }

  TinyRoll tiny;
  std::unique_ptr<Roll> roll;
  EnsembleOptions options;
  std::unique_ptr<Ensemble> ensemble;
  std::vector<int32_t> ids = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
};

TEST_F(EnsembleTest, SequencesGrowByThemselves) {
  EXPECT_EQ(ensemble->size(), 6u);
  EXPECT_EQ(ensemble->chunkSlots(), 4u);
  EXPECT_EQ(ensemble->stepProgram().name, "step");
  ASSERT_TRUE(ensemble->feed(3, ids.data(), 10).ok());
  ASSERT_TRUE(ensemble->feed(1, ids.data(), 2).ok());
  EXPECT_FALSE(ensemble->logits(3));
  EXPECT_TRUE(ensemble->logits(1));
  ASSERT_TRUE(ensemble->step({{3, 11}, {0, 12}, {1, 13}}).ok());
  EXPECT_EQ(ensemble->position(0), 1u);
  EXPECT_EQ(ensemble->position(3), 11u);
  EXPECT_EQ(ensemble->history(1), (std::vector<int32_t>{1, 2, 13}));
  // One row of logits after the other, in the order of the turns.
  EXPECT_EQ(*ensemble->logits(1) - *ensemble->logits(3), 32);
  ASSERT_TRUE(ensemble->copy(3, 1, 5).ok());
  EXPECT_EQ(ensemble->history(1), (std::vector<int32_t>{1, 2, 3, 4, 5}));
  ASSERT_TRUE(ensemble->copy(3, 3, 7).ok());
  ASSERT_TRUE(ensemble->truncate(3, 6).ok());
  EXPECT_EQ(ensemble->position(3), 6u);
}

TEST_F(EnsembleTest, ChunksEndWhereTheirPositionsSay) {
  // Three slots; then one, up to the multiple of four, and the three that are left.
  ASSERT_TRUE(ensemble->feed(0, ids.data(), 3).ok());
  ASSERT_TRUE(ensemble->feed(0, ids.data(), 4).ok());
  EXPECT_EQ(ensemble->position(0), 7u);
  // Each of two workers has counted the plays of each program, beside the logits.
  const float *logits = *ensemble->logits(0) - 2 * 16;
  auto counted = [&](size_t byte) {
    return *reinterpret_cast<const uint64_t *>(logits + byte / 4);
  };
  EXPECT_EQ(counted(64), 2 * 1u) << "plays of one slot";
  EXPECT_EQ(counted(320), 2 * 2u) << "plays of up to four";
}

TEST_F(EnsembleTest, RefusesWhatDoesNotFit) {
  auto said = [&](std::vector<Turn> turns) { return ensemble->step(turns).message(); };
  EXPECT_EQ(said({}), "nothing to feed");
  EXPECT_EQ(said({{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}}),
            "5 tokens are more than the 4 slots of a step");
  EXPECT_EQ(said({{0, 1}, {6, 1}}), "there is no sequence 6: there are 6");
  EXPECT_EQ(said({{2, 1}, {2, 1}}), "sequence 2 is twice in a step");
  EXPECT_EQ(said({{0, 1}, {2, 16}}),
            "sequence 2: token 0 is 16, which is not in the vocabulary of 16");
  std::vector<int32_t> all(64, 3);
  ASSERT_TRUE(ensemble->feed(5, all.data(), 64).ok());
  EXPECT_EQ(said({{0, 1}, {5, 1}}), "sequence 5: 1 tokens at position 64 do not fit in the 64 "
                                    "positions of this session (--max-model-len)");
  EXPECT_EQ(ensemble->feed(6, ids.data(), 1).message(), "there is no sequence 6: there are 6");
  EXPECT_EQ(ensemble->feed(0, ids.data(), 0).message(), "nothing to feed");
  EXPECT_EQ(ensemble->copy(5, 6, 1).message(), "there is no sequence 6: there are 6");
  EXPECT_EQ(ensemble->copy(5, 0, 65).message(), "cannot copy 65 positions of 64");
  EXPECT_EQ(ensemble->truncate(5, 65).message(), "cannot keep 65 positions of 64");
  EXPECT_EQ(ensemble->logits(0).message(), "there are no logits of sequence 0: the last play did "
                                           "not end with a token of it");
  // Nothing of it has left a trace.
  EXPECT_EQ(ensemble->position(0), 0u);
  EXPECT_TRUE(ensemble->logits(5));
}

TEST_F(EnsembleTest, RefusesOptions) {
  EnsembleOptions wanted;
  EXPECT_EQ(refusal(wanted), "the roll's programs have 4 slots at most, and steps were to have 8: "
                             "compile the model with --slots");
  wanted.stepSlots = 4;
  wanted.sequences = 0;
  EXPECT_EQ(refusal(wanted), "an ensemble has 1 to 4096 sequences, not 0");
  wanted.sequences = 4097;
  EXPECT_EQ(refusal(wanted), "an ensemble has 1 to 4096 sequences, not 4097");
  wanted.sequences = 2;
  wanted.session.maxLen = 65;
  EXPECT_EQ(refusal(wanted), "max_len 65 is more than the 64 positions that the roll was compiled "
                             "for (--max-model-len)");
}

TEST_F(EnsembleTest, GoesOnAfterACancelledStep) {
  ASSERT_TRUE(ensemble->feed(0, ids.data(), 2).ok());
  ensemble->cancel();
  EXPECT_EQ(ensemble->step({{0, 1}, {1, 1}}).message(), "cancelled");
  EXPECT_EQ(ensemble->position(0), 2u);
  EXPECT_EQ(ensemble->position(1), 0u);
  EXPECT_FALSE(ensemble->logits(0));
  EXPECT_TRUE(ensemble->step({{0, 1}, {1, 1}}).ok());
  EXPECT_EQ(ensemble->position(1), 1u);
}

} // namespace
