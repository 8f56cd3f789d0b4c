// Play.cpp - a roll for a GPU says what its model says, one launch or many.
#include "test/runtime/cuda/CudaTest.h"

#include <thread>

using namespace pianola;

namespace {

const std::vector<int32_t> kPrompt{3, 1, 4, 1, 5, 9, 2};

class Play : public CudaTest, public testing::WithParamInterface<LaunchKind> {
protected:
  void SetUp() override {
    CudaTest::SetUp();
    options.launch = GetParam();
  }
};

INSTANTIATE_TEST_SUITE_P(Cuda, Play, testing::Values(LaunchKind::Persistent, LaunchKind::Graph),
                         [](const auto &info) {
                           return info.param == LaunchKind::Graph ? "Graph" : "Persistent";
                         });

TEST_P(Play, LogitsOfEveryToken) {
  auto expected = modelLogits(kPrompt);
  for (bool oneByOne : {false, true}) {
    ASSERT_TRUE(start()) << refusal;
    EXPECT_EQ(session->deviceName(), "NVIDIA H200");
    std::vector<float> all(kPrompt.size() * kVocabulary, -1);
    FeedOptions feed;
    feed.oneByOne = oneByOne;
    feed.allLogits = all.data();
    Status status = session->feed(kPrompt.data(), kPrompt.size(), feed);
    ASSERT_TRUE(status.ok()) << status.message();
    for (size_t i = 0; i < all.size(); ++i)
      EXPECT_EQ(all[i], expected[i / kVocabulary][i % kVocabulary]) << i;
    auto last = session->logits();
    ASSERT_TRUE(last) << last.message();
    for (int id = 0; id < kVocabulary; ++id)
      EXPECT_EQ((*last)[id], expected.back()[id]);
  }
}

TEST_P(Play, Truncation) {
  ASSERT_TRUE(start()) << refusal;
  feed({7, 7, 7, 7, 7, 7});
  ASSERT_TRUE(session->truncate(0).ok());
  EXPECT_FALSE(session->logits());
  feed({3, 1, 4, 8, 8});
  ASSERT_TRUE(session->truncate(3).ok());
  feed({1, 5, 9, 2});
  EXPECT_EQ((*session->logits())[5], modelLogits(kPrompt).back()[5]);
  EXPECT_EQ(session->history(), kPrompt);
}

TEST_P(Play, GeneratesAsTheSamplerDoes) {
  SamplingOptions greedy, penalised, drawn, all;
  penalised.repetitionPenalty = 1.5f;
  penalised.presencePenalty = 0.25f;
  penalised.frequencyPenalty = 0.5f;
  drawn.temperature = 1.5f;
  drawn.seed = 11;
  all = penalised;
  all.temperature = 2;
  all.topK = 9;
  all.topP = 0.9f;
  all.minP = 0.01f;
  all.logitBias = {{3, 2.0f}, {4, -3.0f}};
  for (const SamplingOptions &sampling : {greedy, penalised, drawn, all}) {
    ASSERT_TRUE(start()) << refusal;
    feed(kPrompt);
    EXPECT_EQ(generate(sampling, 12), modelTokens(kPrompt, sampling, 12));
    EXPECT_EQ(ended, GenerationEnd::Length);
    // All but the last were fed.
    EXPECT_EQ(session->position(), kPrompt.size() + 11);
    EXPECT_EQ(session->logits().message(), "there are no logits yet: feed a token first");
  }
}

// Draws and counts go on from one generation to the next, whoever chose.
TEST_P(Play, GoesOn) {
  SamplingOptions sampling;
  sampling.temperature = 1;
  sampling.seed = 3;
  sampling.repetitionPenalty = 1.25f;
  auto expected = modelTokens(kPrompt, sampling, 9);
  ASSERT_TRUE(start()) << refusal;
  feed(kPrompt);
  Sampler sampler(sampling, 15);
  std::vector<int32_t> heard;
  for (int part = 0; part < 3; ++part) {
    if (part > 0)
      feed({heard.back()});
    GenerateOptions wanted;
    wanted.most = 3;
    // The last part is chosen token by token.
    if (part == 2)
      wanted.most = 1;
    wanted.take = [&](int32_t token) { return heard.push_back(token), true; };
    auto end = session->generate(sampler, wanted);
    ASSERT_TRUE(end) << end.message();
  }
  for (int i = 0; i < 2; ++i) {
    feed({heard.back()});
    heard.push_back(*session->sample(sampler));
  }
  EXPECT_EQ(heard, expected);
}

TEST_P(Play, StopsAtAStop) {
  auto expected = modelTokens(kPrompt, {}, 12);
  std::vector<int32_t> stops{14, expected[5]};
  expected = modelTokens(kPrompt, {}, 12, stops);
  ASSERT_TRUE(start()) << refusal;
  feed(kPrompt);
  EXPECT_EQ(generate({}, 12, stops), expected);
  EXPECT_EQ(ended, GenerationEnd::Stop);
  EXPECT_EQ(session->position(), kPrompt.size() + expected.size() - 1);
}

TEST_P(Play, StopsWhereTheContextIsFull) {
  options.maxLen = 10;
  ASSERT_TRUE(start()) << refusal;
  feed(kPrompt);
  EXPECT_EQ(generate({}, 12), modelTokens(kPrompt, {}, 4));
  EXPECT_EQ(ended, GenerationEnd::Full);
  EXPECT_EQ(session->position(), 10u);
  int32_t id = 1;
  EXPECT_EQ(session->feed(&id, 1).message(),
            "1 tokens at position 10 do not fit in the 10 positions of this session "
            "(--max-model-len)");
}

// What the kernel chose after the taker had enough is forgotten.
TEST_P(Play, TheTakerEndsIt) {
  SamplingOptions sampling;
  sampling.temperature = 1;
  auto expected = modelTokens(kPrompt, sampling, 6);
  ASSERT_TRUE(start()) << refusal;
  feed(kPrompt);
  Sampler sampler(sampling, 15);
  std::vector<int32_t> heard;
  GenerateOptions wanted;
  wanted.most = 40;
  wanted.take = [&](int32_t token) { return heard.push_back(token), heard.size() < 4; };
  auto end = session->generate(sampler, wanted);
  ASSERT_TRUE(end) << end.message();
  EXPECT_EQ(*end, GenerationEnd::Taker);
  EXPECT_EQ(session->position(), kPrompt.size() + 3);
  feed({heard.back()});
  wanted.most = 2;
  wanted.take = [&](int32_t token) { return heard.push_back(token), true; };
  ASSERT_TRUE(session->generate(sampler, wanted));
  EXPECT_EQ(heard, expected);
}

TEST_P(Play, CancelledWhileRunning) {
  ASSERT_TRUE(start()) << refusal;
  feed(kPrompt);
  Sampler sampler({}, 15);
  std::vector<int32_t> heard;
  GenerateOptions wanted;
  wanted.most = 50;
  wanted.take = [&](int32_t token) {
    heard.push_back(token);
    if (heard.size() == 4)
      std::thread([&] { session->cancel(); }).join();
    return true;
  };
  auto end = session->generate(sampler, wanted);
  EXPECT_EQ(end.message(), "cancelled");
  EXPECT_GE(heard.size(), 4u);
  EXPECT_LT(heard.size(), 50u);
  EXPECT_EQ(session->position(), kPrompt.size() + heard.size() - 1);
  EXPECT_EQ(heard, modelTokens(kPrompt, {}, heard.size()));
  // And goes on as if nothing had been.
  feed({heard.back()});
  auto all = kPrompt;
  all.insert(all.end(), heard.begin(), heard.end());
  EXPECT_EQ(generate({}, 3), modelTokens(all, {}, 3));
  session->cancel();
  int32_t id = 1;
  uint64_t before = session->position();
  EXPECT_EQ(session->feed(&id, 1).message(), "cancelled");
  EXPECT_EQ(session->position(), before);
  feed({id});
}

TEST_P(Play, SessionsShareAModel) {
  ASSERT_TRUE(start()) << refusal;
  auto other = Session::create(*roll, options);
  ASSERT_TRUE(other) << other.message();
  feed(kPrompt);
  int32_t id = 2;
  ASSERT_TRUE((*other)->feed(&id, 1).ok());
  EXPECT_EQ((*(*other)->logits())[7], modelLogits({2})[0][7]);
  EXPECT_EQ((*session->logits())[7], modelLogits(kPrompt).back()[7]);
}

TEST_P(Play, LogitsThatAreNoNumbers) {
  GpuRoll tiny;
  for (float &value : tiny.constant)
    value = std::numeric_limits<float>::quiet_NaN();
  ASSERT_TRUE(start(tiny)) << refusal;
  feed({1});
  Sampler sampler({}, 15);
  EXPECT_EQ(session->sample(sampler).message(), "the model's logits are not numbers");
}

// A program that does not loop is launched for each token.
TEST_P(Play, ProgramsThatDoNotLoop) {
  GpuRoll tiny;
  tiny.manifest["programs"][1]["loops"] = false;
  tiny.manifest["programs"][1]["kernel"]["entry"] = "prefill";
  ASSERT_TRUE(start(tiny)) << refusal;
  feed(kPrompt);
  EXPECT_EQ(generate({}, 6), modelTokens(kPrompt, {}, 6));
}

// Before capability 9.0 stages begin one after the other.
TEST_P(Play, OlderDevices) {
  set("PIANOLA_EMULATED_DEVICE", "a100");
  GpuRoll tiny(80);
  ASSERT_TRUE(start(tiny)) << refusal;
  EXPECT_EQ(session->deviceName(), "NVIDIA A100-SXM4-80GB");
  feed(kPrompt);
  EXPECT_EQ(generate({}, 6), modelTokens(kPrompt, {}, 6));
}

} // namespace
