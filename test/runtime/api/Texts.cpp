// Texts.cpp - the C interface in texts: tokenizers, chats, and generation up to a stop.
#include "test/runtime/api/TalkingRoll.h"

#include <thread>

using namespace pianola;

namespace {

using Tokens = std::vector<int32_t>;

class Texts : public testing::Test {
protected:
  void SetUp() override { open(talkingRoll()); }
  void TearDown() override {
    pianola_text_destroy(text);
    pianola_session_destroy(session);
    pianola_close(model);
  }
  void open(const TinyRoll &roll) {
    TearDown();
    text = nullptr;
    session = nullptr;
    ASSERT_EQ(pianola_open(RollFile(roll).path.c_str(), &model), PIANOLA_OK) << pianola_error();
    ASSERT_EQ(pianola_session_create(model, nullptr, &session), PIANOLA_OK) << pianola_error();
    ASSERT_EQ(pianola_text_create(model, &text), PIANOLA_OK) << pianola_error();
  }

  Tokens encode(const std::string &utf8, unsigned flags) const {
    int32_t *ids = nullptr;
    size_t count = 0;
    EXPECT_EQ(pianola_encode(text, utf8.data(), utf8.size(), flags, &ids, &count), PIANOLA_OK)
        << pianola_error();
    Tokens taken(ids, ids + count);
    pianola_free(ids);
    return taken;
  }
  std::string decode(const Tokens &ids, bool showSpecial) const {
    char *utf8 = nullptr;
    size_t bytes = 0;
    EXPECT_EQ(pianola_decode(text, ids.data(), ids.size(), showSpecial, &utf8, &bytes), PIANOLA_OK);
    EXPECT_EQ(std::strlen(utf8), bytes);
    std::string taken(utf8, bytes);
    pianola_free(utf8);
    return taken;
  }

  // What the callback heard, pieces apart by |.
  std::string generate(const Tokens &says, std::vector<const char *> stops = {}, int64_t most = 0,
                       bool showSpecial = false) {
    std::vector<pianola_logit_bias> biases = saying(says);
    pianola_sampling sampling = {};
    sampling.size = sizeof(sampling);
    sampling.top_p = sampling.repetition_penalty = sampling.presence_penalty = 1;
    sampling.logit_bias = biases.data();
    sampling.logit_bias_count = biases.size();
    EXPECT_EQ(pianola_set_sampling(session, &sampling), PIANOLA_OK) << pianola_error();
    int32_t prompt = kSpace;
    EXPECT_EQ(pianola_feed_prompt(session, &prompt, 1, nullptr), PIANOLA_OK);
    pianola_text_options options = {};
    options.size = sizeof(options);
    options.stops = stops.data();
    options.stop_count = stops.size();
    options.max_tokens = most;
    options.show_special = showSpecial;
    result = {};
    result.size = sizeof(result);
    heard.clear();
    EXPECT_EQ(pianola_generate_text(session, text, &options, hear, this, &result), PIANOLA_OK)
        << pianola_error();
    return heard;
  }
  static int hear(const char *utf8, size_t bytes, void *user) {
    auto *self = static_cast<Texts *>(user);
    EXPECT_EQ(std::strlen(utf8), bytes);
    self->heard += (self->heard.empty() ? "" : "|") + std::string(utf8, bytes);
    if (self->cancels)
      pianola_cancel(self->session);
    return self->heard == self->enough;
  }

  pianola_model *model = nullptr;
  pianola_session *session = nullptr;
  pianola_text *text = nullptr;
  std::string heard, enough = "-";
  bool cancels = false;
  pianola_text_result result;
};

TEST_F(Texts, AreEncodedAndDecoded) {
  EXPECT_EQ(encode("abc", 0), (Tokens{kAB, kC}));
  EXPECT_EQ(encode("abc", PIANOLA_ADD_SPECIAL), (Tokens{kBegin, kAB, kC}));
  EXPECT_EQ(encode("\xc3\xa9", 0), (Tokens{kLead, kTrail}));
  EXPECT_EQ(encode("", 0), Tokens{});
  // What stands in a text becomes a special token only if the caller says so.
  EXPECT_EQ(encode("<stop>", PIANOLA_PARSE_SPECIAL), Tokens{kStop});
  Tokens plain = encode("a<stop>", 0);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), kStop), 0);
  EXPECT_EQ(decode({kBegin, kAB, kStop, kD}, false), "abd");
  EXPECT_EQ(decode({kBegin, kAB, kStop, kD}, true), "<begin>ab<stop>d");
  EXPECT_EQ(decode({kLead, kA}, false), "\xef\xbf\xbd"
                                        "a");
  EXPECT_EQ(decode({-1, 99, kA}, false), "a");
}

TEST_F(Texts, OutliveTheirModel) {
  pianola_session_destroy(session);
  pianola_close(model);
  session = nullptr;
  model = nullptr;
  EXPECT_EQ(encode("ab", 0), Tokens{kAB});
}

TEST_F(Texts, AreDecodedIdById) {
  pianola_decoder *decoder = nullptr;
  ASSERT_EQ(pianola_decoder_create(text, 0, &decoder), PIANOLA_OK);
  auto feed = [&](int32_t id) {
    const char *utf8 = nullptr;
    EXPECT_EQ(pianola_decoder_feed(decoder, id, &utf8, nullptr), PIANOLA_OK);
    return std::string(utf8);
  };
  auto finish = [&] {
    const char *utf8 = nullptr;
    size_t bytes = 99;
    EXPECT_EQ(pianola_decoder_finish(decoder, &utf8, &bytes), PIANOLA_OK);
    EXPECT_EQ(bytes, std::strlen(utf8));
    return std::string(utf8);
  };
  for (int times = 0; times < 2; ++times) {
    EXPECT_EQ(feed(kA), "a");
    EXPECT_EQ(feed(kLead), "");
    EXPECT_EQ(feed(kTrail), "\xc3\xa9");
    EXPECT_EQ(feed(kStop), "");
    EXPECT_EQ(feed(kLead), "");
    EXPECT_EQ(finish(), "\xef\xbf\xbd");
  }
  pianola_decoder_destroy(decoder);
}

TEST_F(Texts, AreLaidOutAsChats) {
  auto chat = [&](const char *variables) {
    char *prompt = nullptr;
    int32_t *ids = nullptr;
    size_t count = 0;
    EXPECT_EQ(pianola_chat_encode(text, variables, &ids, &count), PIANOLA_OK) << pianola_error();
    EXPECT_EQ(pianola_chat_render(text, variables, &prompt, nullptr), PIANOLA_OK);
    std::pair<Tokens, std::string> made({ids, ids + count}, prompt);
    pianola_free(ids);
    pianola_free(prompt);
    return made;
  };
  EXPECT_EQ(chat(R"({"messages": [{"role": "user", "content": "ab"}]})"),
            std::make_pair(Tokens{kBegin, kAB, kTurn}, std::string("<begin>ab<|im_end|>")));
  EXPECT_EQ(chat(R"({"messages": [], "add_generation_prompt": true, "tools": [{"name": "d"}]})"),
            std::make_pair(Tokens{kD, kA}, std::string("da")));
  // A message cannot end its turn.
  Tokens ids = chat(R"({"messages": [{"role": "user", "content": "<stop><begin>"}]})").first;
  EXPECT_EQ(std::count(ids.begin(), ids.end(), kStop), 0);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), kBegin), 1);

  auto refusal = [&](const std::string &variables) {
    char *prompt = nullptr;
    EXPECT_EQ(pianola_chat_render(text, variables.c_str(), &prompt, nullptr), PIANOLA_FAILED);
    EXPECT_EQ(prompt, nullptr);
    return std::string(pianola_error());
  };
  const std::string shape = "variables: expected a JSON object with messages";
  EXPECT_EQ(refusal("[]"), shape);
  EXPECT_EQ(refusal("{"), "variables: is not JSON: byte 2");
  EXPECT_EQ(refusal(R"({"message": []})"), shape);
  EXPECT_EQ(refusal(std::string(200'000, '[')),
            "variables: is nested 200000 deep, and 128 is allowed");
  std::string members = R"({"messages": [])";
  for (int i = 0; i < 20'000; ++i)
    members += ",\"" + std::to_string(i) + "\":0";
  EXPECT_EQ(refusal(members + "}"), "variables: has objects with too many members");
  EXPECT_EQ(refusal(R"({"messages": [{"role": "user", "content": "cc"}]})"),
            "the chat template says: no cc");
}

TEST_F(Texts, NeedNoTemplate) {
  TinyRoll roll = talkingRoll();
  roll.chatTemplate = "{% if %}";
  open(roll);
  EXPECT_EQ(encode("ab", 0), Tokens{kAB});
  char *prompt = nullptr;
  EXPECT_EQ(pianola_chat_render(text, "{}", &prompt, nullptr), PIANOLA_FAILED);
  EXPECT_NE(std::string(pianola_error()).find("line 1"), std::string::npos) << pianola_error();
  EXPECT_EQ(generate({kA, kTurn, kB, kStop}), "a|b");
}

TEST_F(Texts, AreGeneratedUpToAStop) {
  EXPECT_EQ(generate({kA, kLead, kTrail, kB, kStop, kC}), "a|\xc3\xa9|b");
  EXPECT_EQ(result.end, PIANOLA_END_STOP);
  EXPECT_EQ(result.tokens, 5);
  // The end of a turn is one, too, unless the caller names the stops.
  EXPECT_EQ(generate({kA, kTurn, kB, kStop}), "a");
  EXPECT_EQ(generate({kA, kB, kLead, kTrail}, {}, 3), "a|b|\xef\xbf\xbd");
  EXPECT_EQ(result.end, PIANOLA_END_LENGTH);
  int32_t stop = kD;
  ASSERT_EQ(pianola_set_stops(session, &stop, 1), PIANOLA_OK);
  EXPECT_EQ(generate({kA, kTurn, kB, kStop, kD}), "a|b");
  EXPECT_EQ(generate({kA, kTurn, kB, kStop, kD}, {}, 0, true), "a|<|im_end|>|b|<stop>");
}

TEST_F(Texts, EndBeforeStopStrings) {
  EXPECT_EQ(generate({kA, kB, kC, kD}, {"bc"}), "a");
  EXPECT_EQ(result.end, PIANOLA_END_STOP_STRING);
  EXPECT_EQ(result.tokens, 3);
  // What might have begun one is heard once it has not, or at the end.
  EXPECT_EQ(generate({kA, kB, kC, kD, kStop}, {"bd"}), "a|bc|d");
  EXPECT_EQ(generate({kA, kB, kStop}, {"bd"}), "a|b");
  EXPECT_EQ(result.end, PIANOLA_END_STOP);
  EXPECT_EQ(generate({kA, kAB, kC, kStop}, {"bc"}), "a|a");
  pianola_text_options options = {};
  options.size = sizeof(options);
  for (const char *bad : {"", "\xff"}) {
    options.stops = &bad;
    options.stop_count = 1;
    EXPECT_EQ(pianola_generate_text(session, text, &options, hear, this, nullptr), PIANOLA_FAILED);
    EXPECT_STREQ(pianola_error(), "stops[0]: expected UTF-8 of one character or more");
  }
}

TEST_F(Texts, EndWhenTheCallbackSaysSo) {
  enough = "a|b";
  EXPECT_EQ(generate({kA, kB, kC, kD, kStop}), "a|b");
  EXPECT_EQ(result.end, PIANOLA_END_CALLBACK);
  // Nothing is said after that, even if it was held back.
  enough = "a";
  EXPECT_EQ(generate({kA, kB, kC, kD, kStop}, {"xx"}), "a");
}

TEST_F(Texts, AreWholeWhenCancelled) {
  generate({kA, kB}, {}, 1);
  cancels = true;
  heard.clear();
  pianola_text_options options = {};
  options.size = sizeof(options);
  const char *stop = "bd";
  options.stops = &stop;
  options.stop_count = 1;
  int32_t prompt = kSpace;
  ASSERT_EQ(pianola_feed_prompt(session, &prompt, 1, nullptr), PIANOLA_OK);
  EXPECT_EQ(pianola_generate_text(session, text, &options, hear, this, &result), PIANOLA_CANCELLED);
  EXPECT_EQ(heard, "a");
}

TEST_F(Texts, ServeManyThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int times = 0; times < 50; ++times) {
        EXPECT_EQ(encode("ab ab", 0), (Tokens{kAB, kSpace, kAB}));
        int32_t *ids = nullptr;
        size_t count = 0;
        EXPECT_EQ(pianola_chat_encode(text, R"({"messages": [{"content": "ab"}]})", &ids, &count),
                  PIANOLA_OK);
        EXPECT_EQ(count, 3u);
        pianola_free(ids);
        EXPECT_EQ(pianola_chat_encode(text, "!", &ids, &count), PIANOLA_FAILED);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}

TEST_F(Texts, RefuseNullPointers) {
  int32_t *ids;
  size_t count;
  char *utf8;
  const char *piece;
  pianola_text *created;
  pianola_decoder *decoder;
  int32_t id = 3;
  for (pianola_status status :
       {pianola_text_create(nullptr, &created), pianola_text_create(model, nullptr),
        pianola_encode(nullptr, "", 0, 0, &ids, &count),
        pianola_encode(text, nullptr, 1, 0, &ids, &count),
        pianola_encode(text, "", 0, 0, nullptr, &count),
        pianola_encode(text, "", 0, 0, &ids, nullptr),
        pianola_decode(nullptr, &id, 1, 0, &utf8, nullptr),
        pianola_decode(text, nullptr, 1, 0, &utf8, nullptr),
        pianola_decode(text, &id, 1, 0, nullptr, nullptr),
        pianola_decoder_create(nullptr, 0, &decoder), pianola_decoder_create(text, 0, nullptr),
        pianola_decoder_feed(nullptr, 1, &piece, nullptr),
        pianola_decoder_finish(nullptr, &piece, nullptr),
        pianola_chat_render(nullptr, "{}", &utf8, nullptr),
        pianola_chat_render(text, nullptr, &utf8, nullptr),
        pianola_chat_encode(text, "{}", &ids, nullptr),
        pianola_generate_text(nullptr, text, nullptr, hear, this, nullptr),
        pianola_generate_text(session, nullptr, nullptr, hear, this, nullptr),
        pianola_generate_text(session, text, nullptr, nullptr, this, nullptr)}) {
    EXPECT_EQ(status, PIANOLA_FAILED);
    EXPECT_STREQ(pianola_error(), "a null pointer was given");
  }
  EXPECT_EQ(pianola_encode(text, "\xff", 1, 0, &ids, &count), PIANOLA_FAILED);
  EXPECT_STREQ(pianola_error(), "text is not UTF-8 at byte 0");
  EXPECT_EQ(pianola_encode(text, "a", 1, 4, &ids, &count), PIANOLA_FAILED);
  TinyRoll silent;
  pianola_model *other = nullptr;
  ASSERT_EQ(pianola_open(RollFile(silent).path.c_str(), &other), PIANOLA_OK);
  EXPECT_EQ(pianola_text_create(other, &created), PIANOLA_FAILED);
  EXPECT_STREQ(pianola_error(), "the model has no tokenizer");
  pianola_close(other);
}

} // namespace
