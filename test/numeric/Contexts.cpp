// Contexts.cpp - keys and values as --kv says, against the interpreter that rounds them so too.
#include "test/numeric/Kept.h"
#include "test/numeric/Seeded.h"

using namespace pianola;

namespace {

constexpr const char *kTargets[] = {"host", "host-avx512bf16", "x86-64-v3"};

/// Chunks of 64, token after token, and four tokens at a time.
void agree(CompileOptions options, const std::vector<int32_t> &ids,
           const std::vector<float> &wanted, double tolerance) {
  for (bool byFour : {false, true}) {
    options.slots = byFour ? std::vector<int64_t>{1, 4} : std::vector<int64_t>{};
    TemporaryDirectory temporary;
    std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
    ASSERT_TRUE(roll);
    for (bool oneByOne : {false, true}) {
      if (byFour && oneByOne)
        continue;
      std::vector<float> logits = logitsOf(*roll, ids, oneByOne);
      ASSERT_EQ(logits.size(), wanted.size());
      EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), tolerance)
          << options.target
          << (byFour     ? ", four slots"
              : oneByOne ? ", decode"
                         : ", prefill");
    }
  }
}

class Contexts : public testing::TestWithParam<std::tuple<const char *, Kept>> {};

TEST_P(Contexts, AgreeWithTheInterpreter) {
  auto [model, kept] = GetParam();
  CompileOptions options;
  options.directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + model;
  options.workers = 2;
  options.kv = kept.name;
  // More than two chunks of a prompt, and of attention.
  std::vector<int32_t> ids = goldenIds(150);
  std::vector<float> wanted = interpretedAs(options, kept.name, ids);
  for (const char *target : kTargets) {
    options.target = target;
    agree(options, ids, wanted, kept.tolerance);
  }
  std::vector<float> unrounded = interpretedAs(options, "f32", ids);
  double error = distance(wanted.data(), unrounded.data(), wanted.size());
  RecordProperty("error", std::to_string(error));
  EXPECT_LT(error, kept.error);
  EXPECT_GT(error, kept.error / 100) << "nothing was rounded";
}

INSTANTIATE_TEST_SUITE_P(All, Contexts,
                         testing::Combine(testing::Values("llama", "mistral", "qwen3"),
                                          testing::ValuesIn(kKept)));

// Heads that divide by nothing, and windows.
class ContextShapes : public testing::TestWithParam<std::tuple<Shape, Kept>> {};

TEST_P(ContextShapes, AgreeWithTheInterpreter) {
  auto [shape, kept] = GetParam();
  Seeded model(shape, "host", {}, 11);
  model.options.kv = kept.name;
  std::vector<int32_t> ids = someIds(shape, 150);
  std::vector<float> wanted = interpretedAs(model.options, kept.name, ids);
  for (const char *target : {"host", "x86-64-v3"}) {
    model.options.target = target;
    agree(model.options, ids, wanted, kept.tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ContextShapes,
                         testing::Combine(testing::Values(kShapes[0], kShapes[1], kShapes[3],
                                                          kShapes[5]),
                                          testing::ValuesIn(kKept)));

// What another token has left behind at a position, its scale too, is not seen again.
TEST(Contexts, GoOnAfterTruncation) {
  for (const Kept &kept : kKept) {
    CompileOptions options;
    options.directory = PIANOLA_SOURCE_DIR "/test/golden/llama";
    options.kv = kept.name;
    TemporaryDirectory temporary;
    std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
    ASSERT_TRUE(roll);
    auto session = std::move(*Session::create(*roll, {}));
    size_t vocabulary = roll->manifest().model.vocabulary;
    std::vector<int32_t> ids;
    for (int i = 0; i < 70; ++i)
      ids.push_back(i * 11 % 300);
    ASSERT_TRUE(session->feed(ids.data(), 70).ok());
    std::vector<float> wanted(*session->logits(), *session->logits() + vocabulary);
    ASSERT_TRUE(session->truncate(33).ok());
    ASSERT_TRUE(session->feed(ids.data(), 50).ok());
    ASSERT_TRUE(session->truncate(33).ok());
    ASSERT_TRUE(session->feed(ids.data() + 33, 37).ok());
    EXPECT_LT(distance(*session->logits(), wanted.data(), vocabulary), kept.tolerance) << kept.name;
  }
}

} // namespace
