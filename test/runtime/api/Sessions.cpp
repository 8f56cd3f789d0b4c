// Sessions.cpp - the C interface in token ids: what it says of models, chooses, ends at and keeps.
#include "test/runtime/api/TalkingRoll.h"

#include <cstddef>

using namespace pianola;

namespace {

using Tokens = std::vector<int32_t>;

class Sessions : public testing::Test {
protected:
  void SetUp() override {
    TinyRoll roll = talkingRoll();
    roll.manifest["generation"] = {{"stop", {1}},
                                   {"do_sample", {{"value", true}, {"from", "x"}}},
                                   {"top_k", {{"value", 7}, {"from", "x"}}}};
    ASSERT_EQ(pianola_open(RollFile(roll).path.c_str(), &model), PIANOLA_OK) << pianola_error();
    ASSERT_EQ(pianola_session_create(model, nullptr, &session), PIANOLA_OK) << pianola_error();
  }
  void TearDown() override {
    pianola_session_destroy(session);
    pianola_close(model);
  }
  pianola_status feed(const Tokens &ids) { return pianola_feed(session, ids.data(), ids.size()); }
  Tokens generate(int64_t n, pianola_end &end) {
    Tokens heard;
    auto hear = [](int32_t token, void *user) {
      static_cast<Tokens *>(user)->push_back(token);
      return 0;
    };
    EXPECT_EQ(pianola_generate(session, n, hear, &heard, &end), PIANOLA_OK) << pianola_error();
    return heard;
  }
  static pianola_sampling sampling() {
    pianola_sampling given = {};
    given.size = sizeof(given);
    given.top_p = given.repetition_penalty = 1;
    return given;
  }
  void say(const Tokens &ids) {
    std::vector<pianola_logit_bias> biases = saying(ids);
    pianola_sampling given = sampling();
    given.presence_penalty = 1;
    given.logit_bias = biases.data();
    given.logit_bias_count = biases.size();
    ASSERT_EQ(pianola_set_sampling(session, &given), PIANOLA_OK) << pianola_error();
  }

  pianola_model *model = nullptr;
  pianola_session *session = nullptr;
};

TEST_F(Sessions, TellsWhatAModelIs) {
  pianola_model_info info = {};
  info.size = sizeof(info);
  ASSERT_EQ(pianola_get_info(model, &info), PIANOLA_OK);
  EXPECT_EQ(info.vocabulary, 16);
  EXPECT_EQ(info.max_len, 64);
  EXPECT_EQ(info.workers, 2);
  EXPECT_STREQ(info.name, "Tiny");
  EXPECT_STREQ(info.family, "tiny");
  EXPECT_STREQ(info.target, "host");
  EXPECT_STREQ(info.compiler, "0.1.0");
  EXPECT_EQ(info.parameters, 1);
  EXPECT_GT(info.file_bytes, 1000u);
  EXPECT_EQ(info.has_tokenizer, 1);
  EXPECT_EQ(info.stop_count, 1u);

  pianola_sampling own = sampling();
  ASSERT_EQ(pianola_get_sampling(model, &own), PIANOLA_OK);
  EXPECT_EQ(own.temperature, 1);
  EXPECT_EQ(own.top_k, 7);
  EXPECT_EQ(own.top_p, 1);
}

TEST_F(Sessions, WritesNothingThatAnOlderCallerDoesNotKnow) {
  struct {
    pianola_model_info info;
    char behind[64];
  } memory;
  std::memset(&memory, 0x5a, sizeof(memory));
  memory.info.size = offsetof(pianola_model_info, name);
  ASSERT_EQ(pianola_get_info(model, &memory.info), PIANOLA_OK);
  EXPECT_EQ(memory.info.vocabulary, 16);
  const char *bytes = reinterpret_cast<const char *>(&memory);
  for (size_t i = offsetof(pianola_model_info, name); i < sizeof(memory); ++i)
    ASSERT_EQ(bytes[i], 0x5a) << i;

  // Nor what a newer one knows and this library does not.
  memory.info.size = sizeof(memory);
  ASSERT_EQ(pianola_get_info(model, &memory.info), PIANOLA_OK);
  EXPECT_STREQ(memory.info.name, "Tiny");
  for (size_t i = sizeof(memory.info); i < sizeof(memory); ++i)
    ASSERT_EQ(bytes[i], 0x5a) << i;
  memory.info.size = 0;
  EXPECT_EQ(pianola_get_info(model, &memory.info), PIANOLA_FAILED);
  EXPECT_STREQ(pianola_error(), "model info.size is not set");
}

TEST_F(Sessions, ReadsNothingThatAnOlderCallerDoesNotKnow) {
  ASSERT_EQ(feed({kA}), PIANOLA_OK);
  pianola_sampling given = sampling();
  given.size = offsetof(pianola_sampling, logit_bias);
  given.logit_bias = reinterpret_cast<const pianola_logit_bias *>(1);
  given.logit_bias_count = 1000;
  ASSERT_EQ(pianola_set_sampling(session, &given), PIANOLA_OK) << pianola_error();
  int32_t token = -1;
  ASSERT_EQ(pianola_sample(session, &token), PIANOLA_OK);
  EXPECT_EQ(token, 0);
  // Members have their defaults, not all of them 0.
  given.size = offsetof(pianola_sampling, top_p);
  given.top_p = given.repetition_penalty = -1;
  EXPECT_EQ(pianola_set_sampling(session, &given), PIANOLA_OK) << pianola_error();

  struct {
    pianola_sampling known;
    uint64_t newer = 0;
  } later;
  later.known = sampling();
  later.known.size = sizeof(later);
  EXPECT_EQ(pianola_set_sampling(session, &later.known), PIANOLA_OK) << pianola_error();
  later.newer = 1;
  EXPECT_EQ(pianola_set_sampling(session, &later.known), PIANOLA_FAILED);
  EXPECT_NE(std::string(pianola_error()).find("sampling has a member set that libpianola"),
            std::string::npos)
      << pianola_error();
}

TEST_F(Sessions, AddsBiases) {
  ASSERT_EQ(feed({kA}), PIANOLA_OK);
  pianola_logit_bias biases[] = {{5, 1}, {6, 0.75f}, {6, 0.75f}};
  pianola_sampling given = sampling();
  given.logit_bias = biases;
  given.logit_bias_count = 3;
  ASSERT_EQ(pianola_set_sampling(session, &given), PIANOLA_OK);
  int32_t token = -1;
  ASSERT_EQ(pianola_sample(session, &token), PIANOLA_OK);
  EXPECT_EQ(token, 6);
  biases[0].token = 16;
  EXPECT_EQ(pianola_set_sampling(session, &given), PIANOLA_FAILED);
  EXPECT_STREQ(pianola_error(), "logit_bias: token 16 with 1.000000 is out of range");
  given.logit_bias = nullptr;
  EXPECT_EQ(pianola_set_sampling(session, &given), PIANOLA_FAILED);
  ASSERT_EQ(pianola_sample(session, &token), PIANOLA_OK);
  EXPECT_EQ(token, 6);
}

TEST_F(Sessions, EndsWhereItIsToldTo) {
  pianola_end end = PIANOLA_END_CALLBACK;
  ASSERT_EQ(feed({kSpace}), PIANOLA_OK);
  say({kA, kB, kStop, kC, kD});
  EXPECT_EQ(generate(2, end), (Tokens{kA, kB}));
  EXPECT_EQ(end, PIANOLA_END_LENGTH);
  auto again = [&] {
    ASSERT_EQ(pianola_truncate(session, 0), PIANOLA_OK);
    ASSERT_EQ(feed({kSpace}), PIANOLA_OK);
  };
  again();
  EXPECT_EQ(generate(20, end), (Tokens{kA, kB, kStop}));
  EXPECT_EQ(end, PIANOLA_END_STOP);
  // In place of the model's.
  int32_t stops[] = {kC, kB};
  ASSERT_EQ(pianola_set_stops(session, stops, 1), PIANOLA_OK);
  again();
  EXPECT_EQ(generate(20, end), (Tokens{kA, kB, kStop, kC}));
  ASSERT_EQ(pianola_set_stops(session, stops, 2), PIANOLA_OK);
  again();
  EXPECT_EQ(generate(20, end), (Tokens{kA, kB}));
  stops[1] = 16;
  EXPECT_EQ(pianola_set_stops(session, stops, 2), PIANOLA_FAILED);
  EXPECT_STREQ(pianola_error(), "stop 1 is 16, which is not in the vocabulary of 16");
  ASSERT_EQ(pianola_set_stops(session, nullptr, 0), PIANOLA_OK);
  again();
  EXPECT_EQ(generate(200, end).size(), 64u);
  EXPECT_EQ(end, PIANOLA_END_FULL);
}

TEST_F(Sessions, KeepsWhatAPromptBeginsWith) {
  auto prompt = [&](const Tokens &ids) {
    size_t kept = 99;
    EXPECT_EQ(pianola_feed_prompt(session, ids.data(), ids.size(), &kept), PIANOLA_OK)
        << pianola_error();
    EXPECT_EQ(pianola_position(session), int64_t(ids.size()));
    EXPECT_NE(pianola_logits(session), nullptr);
    return kept;
  };
  EXPECT_EQ(prompt({3, 4, 5}), 0u);
  EXPECT_EQ(prompt({3, 4, 5, 6}), 3u);
  EXPECT_EQ(prompt({3, 4, 5, 6}), 3u); // the last one is fed for its logits
  EXPECT_EQ(prompt({3, 4}), 1u);
  EXPECT_EQ(prompt({3, 6, 5}), 1u);
  EXPECT_EQ(prompt({4}), 0u);
  Tokens bad(65, 3);
  EXPECT_EQ(pianola_feed_prompt(session, bad.data(), 65, nullptr), PIANOLA_FAILED);
  EXPECT_EQ(pianola_feed_prompt(session, bad.data(), 0, nullptr), PIANOLA_FAILED);
  EXPECT_STREQ(pianola_error(), "nothing to feed");
  bad = {4, 16};
  EXPECT_EQ(pianola_feed_prompt(session, bad.data(), 2, nullptr), PIANOLA_FAILED);
  EXPECT_EQ(pianola_position(session), 1);
  EXPECT_NE(pianola_logits(session), nullptr);
}

TEST_F(Sessions, RefusesNullPointers) {
  pianola_sampling given = sampling();
  pianola_end end;
  int32_t id = 3;
  size_t kept;
  pianola_model *opened;
  pianola_session *created;
  for (pianola_status status : {pianola_open(nullptr, &opened),
                                pianola_open("x", nullptr),
                                pianola_get_info(nullptr, nullptr),
                                pianola_get_info(model, nullptr),
                                pianola_get_sampling(nullptr, &given),
                                pianola_get_sampling(model, nullptr),
                                pianola_session_create(nullptr, nullptr, &created),
                                pianola_session_create(model, nullptr, nullptr),
                                pianola_feed(nullptr, &id, 1),
                                pianola_feed(session, nullptr, 1),
                                pianola_feed_prompt(nullptr, &id, 1, &kept),
                                pianola_feed_prompt(session, nullptr, 1, &kept),
                                pianola_feed_all(session, &id, 1, nullptr),
                                pianola_set_sampling(nullptr, &given),
                                pianola_set_sampling(session, nullptr),
                                pianola_set_stops(nullptr, &id, 1),
                                pianola_set_stops(session, nullptr, 1),
                                pianola_sample(session, nullptr),
                                pianola_step(nullptr, &id),
                                pianola_generate(nullptr, 1, nullptr, nullptr, &end),
                                pianola_truncate(nullptr, 0)}) {
    EXPECT_EQ(status, PIANOLA_FAILED);
    EXPECT_EQ(std::string(pianola_error()).find("a null pointer"), 0u) << pianola_error();
  }
  EXPECT_EQ(pianola_logits(nullptr), nullptr);
  EXPECT_EQ(pianola_position(nullptr), 0);
  pianola_cancel(nullptr);
}

} // namespace
