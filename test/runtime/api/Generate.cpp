// Generate.cpp - the C interface chooses token after token, on the host as on a GPU.
#include "pianola/runtime.h"

#include "test/runtime/cuda/GpuRoll.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using Tokens = std::vector<int32_t>;

class Generate : public testing::Test {
protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "generate.XXXXXX";
    folder = mkdtemp(name.data());
    setenv("PIANOLA_CACHE", folder.c_str(), 1);
    pianola::GpuRoll().write(folder + "/x.roll");
    ASSERT_EQ(pianola_open((folder + "/x.roll").c_str(), &model), PIANOLA_OK) << pianola_error();
  }
  void TearDown() override {
    pianola_session_destroy(session);
    pianola_close(model);
    (void)!std::system(("rm -rf " + folder).c_str());
  }
  pianola_status create(const char *device, const char *launch) {
    pianola_session_options options = {};
    options.size = sizeof(options);
    options.device = device;
    options.launch = launch;
    pianola_session_destroy(session);
    session = nullptr;
    return pianola_session_create(model, &options, &session);
  }

  std::string folder;
  pianola_model *model = nullptr;
  pianola_session *session = nullptr;
};

TEST_F(Generate, HearsEveryToken) {
  const Tokens prompt{3, 1, 4, 1, 5};
  for (const char *launch : {"persistent", "graph"}) {
    ASSERT_EQ(create("emulator", launch), PIANOLA_OK) << pianola_error();
    ASSERT_EQ(pianola_feed(session, prompt.data(), prompt.size()), PIANOLA_OK);
    EXPECT_NE(pianola_logits(session), nullptr);
    Tokens heard;
    auto hear = [](int32_t token, void *user) {
      static_cast<Tokens *>(user)->push_back(token);
      return 0;
    };
    ASSERT_EQ(pianola_generate(session, 8, hear, &heard, nullptr), PIANOLA_OK) << pianola_error();
    EXPECT_EQ(heard, pianola::modelTokens(prompt, {}, 8));
    EXPECT_EQ(pianola_position(session), 12);
    EXPECT_EQ(pianola_logits(session), nullptr);
    EXPECT_EQ(pianola_generate(session, 8, hear, &heard, nullptr), PIANOLA_FAILED);
    EXPECT_STREQ(pianola_error(), "there are no logits yet: feed a token first");
    // Steps say the same.
    ASSERT_EQ(pianola_truncate(session, 0), PIANOLA_OK);
    ASSERT_EQ(pianola_feed(session, prompt.data(), prompt.size()), PIANOLA_OK);
    for (int32_t token : heard) {
      int32_t stepped;
      ASSERT_EQ(pianola_step(session, &stepped), PIANOLA_OK) << pianola_error();
      EXPECT_EQ(stepped, token);
    }
  }
}

TEST_F(Generate, EndsWhenTheCallbackSaysSo) {
  ASSERT_EQ(create("emulator", nullptr), PIANOLA_OK) << pianola_error();
  int32_t id = 3;
  ASSERT_EQ(pianola_feed(session, &id, 1), PIANOLA_OK);
  int left = 3;
  pianola_end end = PIANOLA_END_LENGTH;
  ASSERT_EQ(pianola_generate(
                session, 40,
                [](int32_t, void *user) { return int(--*static_cast<int *>(user) == 0); }, &left,
                &end),
            PIANOLA_OK);
  EXPECT_EQ(left, 0);
  EXPECT_EQ(end, PIANOLA_END_CALLBACK);
  EXPECT_EQ(pianola_position(session), 3);
}

TEST_F(Generate, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(create("moon", nullptr), PIANOLA_FAILED);
  EXPECT_STREQ(pianola_error(), "device: expected auto, host, cuda or emulator, found moon");
  EXPECT_EQ(create("emulator", "rocket"), PIANOLA_FAILED);
  EXPECT_STREQ(pianola_error(), "launch: expected persistent or graph, found rocket");
  EXPECT_EQ(create("host", nullptr), PIANOLA_FAILED);
  EXPECT_STREQ(pianola_error(), "the roll is compiled for a GPU, not for the host");
  ASSERT_EQ(create("emulator", nullptr), PIANOLA_OK);
  EXPECT_EQ(pianola_generate(session, 0, nullptr, nullptr, nullptr), PIANOLA_FAILED);
  EXPECT_STREQ(pianola_error(), "a null pointer or no number of tokens was given");
}

} // namespace
