// Shapes.cpp - rolls against the reference interpreter, on shapes that divide by nothing.
//
// Weights come from a seed. Prompts are longer than a chunk of 64 tokens, and cross the borders of
// attention's groups of 16 and 64 positions.
#include "test/ReadFile.h"
#include "test/numeric/Seeded.h"
#include "test/numeric/Tolerance.h"

using namespace pianola;

namespace {

class Shapes : public testing::TestWithParam<std::tuple<Shape, const char *>> {};

TEST_P(Shapes, AgreeWithTheInterpreter) {
  auto [shape, target] = GetParam();
  Seeded model(shape, target, {}, 11);
  std::unique_ptr<Roll> roll = model.roll();
  ASSERT_TRUE(roll);
  std::vector<int32_t> ids = someIds(shape, 150);
  std::vector<float> wanted = model.reference(ids);
  for (bool oneByOne : {false, true}) {
    std::vector<float> logits = logitsOf(*roll, ids, oneByOne);
    ASSERT_EQ(logits.size(), wanted.size());
    EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance)
        << (oneByOne ? "decode" : "prefill");
  }
}

INSTANTIATE_TEST_SUITE_P(All, Shapes,
                         testing::Combine(testing::ValuesIn(kShapes),
                                          testing::Values("host", "x86-64-v3")));

std::unique_ptr<Roll> smallRoll(const TemporaryDirectory &temporary, const char *output) {
  CompileOptions options;
  options.directory = PIANOLA_SOURCE_DIR "/test/golden/llama_bias";
  options.workers = 4;
  options.output = temporary.path + "/" + output;
  EXPECT_EQ(compileError(options), "");
  auto roll = Roll::open(options.output);
  EXPECT_TRUE(roll) << roll.message();
  return std::move(*roll);
}

TEST(Determinism, SameBitsWithAnyNumberOfThreads) {
  TemporaryDirectory temporary;
  std::unique_ptr<Roll> roll = smallRoll(temporary, "a.roll");
  std::vector<int32_t> ids;
  for (int i = 0; i < 100; ++i)
    ids.push_back(i * 7 % 300);
  std::vector<float> first = logitsOf(*roll, ids, false, 1), second = logitsOf(*roll, ids, true, 1);
  for (int repetition = 0; repetition < 20; ++repetition)
    for (unsigned threads : {1u, 2u, 4u}) {
      if (threads == 4 && repetition > 2)
        continue; // more threads than cores are slow
      EXPECT_EQ(logitsOf(*roll, ids, false, threads), first);
      EXPECT_EQ(logitsOf(*roll, ids, true, threads), second);
    }
}

TEST(Determinism, SameBytesWhenCompiledTwice) {
  TemporaryDirectory temporary;
  smallRoll(temporary, "a.roll");
  smallRoll(temporary, "b.roll");
  auto text = [&](const char *name) { return readFile(temporary.path + "/" + name); };
  EXPECT_GT(text("a.roll").size(), 4096u);
  EXPECT_TRUE(text("a.roll") == text("b.roll"));
}

TEST(Session, GoesOnAfterTruncation) {
  TemporaryDirectory temporary;
  std::unique_ptr<Roll> roll = smallRoll(temporary, "a.roll");
  auto session = std::move(*Session::create(*roll, {}));
  std::vector<int32_t> ids;
  for (int i = 0; i < 70; ++i)
    ids.push_back(i * 11 % 300);
  ASSERT_TRUE(session->feed(ids.data(), 70).ok());
  std::vector<float> wanted(*session->logits(), *session->logits() + 322);
  // Other tokens in the meantime leave no trace.
  ASSERT_TRUE(session->truncate(33).ok());
  ASSERT_TRUE(session->feed(ids.data(), 50).ok());
  ASSERT_TRUE(session->truncate(33).ok());
  EXPECT_FALSE(session->logits());
  ASSERT_TRUE(session->feed(ids.data() + 33, 37).ok());
  EXPECT_LT(distance(*session->logits(), wanted.data(), 322), 1e-5);
}

TEST(Session, RefusesWhatDoesNotFit) {
  TemporaryDirectory temporary;
  std::unique_ptr<Roll> roll = smallRoll(temporary, "a.roll");
  SessionOptions options;
  options.maxLen = 10;
  auto session = std::move(*Session::create(*roll, options));
  std::vector<int32_t> ids(11, 5);
  EXPECT_EQ(session->feed(ids.data(), 11).message(),
            "11 tokens at position 0 do not fit in the 10 positions of this session "
            "(--max-model-len)");
  EXPECT_EQ(session->position(), 0u);
  ids[3] = 322;
  EXPECT_EQ(session->feed(ids.data(), 4).message(),
            "token 3 is 322, which is not in the vocabulary of 322");
  ids[3] = -1;
  EXPECT_EQ(session->feed(ids.data(), 4).message(),
            "token 3 is -1, which is not in the vocabulary of 322");
  EXPECT_EQ(session->feed(ids.data(), 0).message(), "nothing to feed");
  EXPECT_TRUE(session->feed(ids.data(), 3).ok());
  options.maxLen = 1000000;
  EXPECT_EQ(Session::create(*roll, options).message(),
            "max_len 1000000 is more than the 256 positions that the roll was compiled for "
            "(--max-model-len)");
}

} // namespace
