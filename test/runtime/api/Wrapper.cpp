// Wrapper.cpp - the C++ interface: objects, exceptions, and what keeps what.
#include "pianola/pianola.hpp"

#include "test/runtime/api/TalkingRoll.h"

#include <atomic>
#include <thread>

using namespace pianola;

namespace {

Model open() {
  TinyRoll roll = talkingRoll();
  roll.manifest["generation"] = {{"stop", {kStop}},
                                 {"do_sample", {{"value", true}, {"from", "x"}}},
                                 {"temperature", {{"value", 0.5}, {"from", "x"}}}};
  return Model(RollFile(roll).path);
}

void say(Session &session, const Tokens &ids) {
  Sampling sampling;
  sampling.presencePenalty = 1;
  for (const pianola_logit_bias &bias : saying(ids))
    sampling.logitBias.emplace_back(bias.token, bias.bias);
  session.setSampling(sampling);
}

template <typename Body> std::string errorOf(Body body) {
  try {
    body();
  } catch (const Error &error) {
    return error.what();
  }
  return "no error";
}

TEST(Wrapper, KeepsWhatIsInUse) {
  auto session = std::make_unique<Session>(open());
  std::unique_ptr<Decoder> decoder;
  {
    Text text(open());
    decoder = std::make_unique<Decoder>(text);
  }
  EXPECT_EQ(decoder->feed(kLead), "");
  EXPECT_EQ(decoder->feed(kTrail), "\xc3\xa9");
  EXPECT_EQ(decoder->finish(), "");
  session->feed({kA});
  Session moved = std::move(*session);
  session.reset();
  EXPECT_EQ(moved.position(), 1);
  EXPECT_EQ(moved.logits(), std::vector<float>(16, 0));
  EXPECT_EQ(moved.feedAll({kA, kB}).size(), 32u);
}

TEST(Wrapper, TellsWhatTheCInterfaceTells) {
  Model model = open();
  ModelInfo info = model.info();
  EXPECT_EQ(info.name, "Tiny");
  EXPECT_EQ(info.target, "host");
  EXPECT_EQ(info.maxLen, 64);
  EXPECT_EQ(info.workers, 2);
  EXPECT_TRUE(info.hasTokenizer);
  EXPECT_EQ(info.stops, Tokens{kStop});
  EXPECT_EQ(model.sampling().temperature, 0.5f);
  Text text(model);
  EXPECT_EQ(text.encode("ab"), (Tokens{kBegin, kAB}));
  EXPECT_EQ(text.encode("ab", 0), Tokens{kAB});
  EXPECT_EQ(text.decode({kBegin, kAB}), "ab");
  EXPECT_EQ(text.decode({kBegin, kAB}, true), "<begin>ab");
  const char *variables = R"({"messages": [{"content": "ab"}]})";
  EXPECT_EQ(text.renderChat(variables), "<begin>ab<|im_end|>");
  EXPECT_EQ(text.encodeChat(variables), (Tokens{kBegin, kAB, kTurn}));
  EXPECT_EQ(version(), pianola_version());
}

TEST(Wrapper, Generates) {
  Model model = open();
  Session session(model);
  Text text(model);
  say(session, {kA, kB, kC, kD, kStop});
  EXPECT_EQ(session.feedPrompt({kSpace}), 0u);
  Tokens ids;
  EXPECT_EQ(session.generate(20, [&](int32_t id) { ids.push_back(id); }), End::Stop);
  EXPECT_EQ(ids, (Tokens{kA, kB, kC, kD, kStop}));
  EXPECT_EQ(session.feedPrompt({kSpace, kA, kB}), 2u);
  EXPECT_EQ(session.sample(), kC);
  EXPECT_EQ(session.step(), kC);
  EXPECT_EQ(session.generate(20, [](int32_t id) { return id != kD; }), End::Callback);
  session.truncate(1);
  session.feedPrompt({kSpace});
  session.setStops({kD});
  std::string heard;
  TextOptions options;
  options.stops = {"cd", "x"};
  TextResult result =
      session.generateText(text, [&](std::string_view piece) { heard += piece; }, options);
  EXPECT_EQ(heard, "abc"); // the stop id is there before the stop string
  EXPECT_EQ(result.end, End::Stop);
  EXPECT_EQ(result.tokens, 4);
}

TEST(Wrapper, Throws) {
  EXPECT_NE(errorOf([] { Model("/there/is/none"); }).find("/there/is/none"), std::string::npos);
  Model model = open();
  Session session(model);
  EXPECT_EQ(errorOf([&] { session.logits(); }), "there are no logits yet: feed a token first");
  EXPECT_EQ(errorOf([&] { session.feed({16}); }),
            "token 0 is 16, which is not in the vocabulary of 16");
  SessionOptions options;
  options.device = "moon";
  EXPECT_EQ(errorOf([&] { Session(model, options); }),
            "device: expected auto, host, cuda or emulator, found moon");
  session.cancel();
  EXPECT_THROW(session.feed({kA}), Cancelled);
  // And so may callbacks.
  session.feed({kA});
  say(session, {kA, kB});
  EXPECT_THROW(session.generate(5, [](int32_t) { throw 42; }), int);
  EXPECT_EQ(session.position(), 1);
}

TEST(Wrapper, IsCancelledFromAnotherThread) {
  Model model = open();
  Session session(model);
  session.setStops({});
  session.feed({kA});
  std::atomic<bool> begun{false};
  std::thread other([&] {
    while (!begun)
      std::this_thread::yield();
    session.cancel();
  });
  bool wasCancelled = false;
  try {
    session.generate(60, [&](int32_t) {
      begun = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    });
  } catch (const Cancelled &) {
    wasCancelled = true;
  }
  other.join();
  EXPECT_TRUE(wasCancelled);
}

} // namespace
