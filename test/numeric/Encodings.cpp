// Encodings.cpp - rolls whose weights were encoded on the way, against the interpreter with the
// same encoded weights.
#include "test/numeric/Encodings.h"
#include "test/numeric/Reference.h"
#include "test/numeric/Tolerance.h"

using namespace pianola;

namespace {

class Encodings : public testing::TestWithParam<std::tuple<const char *, const char *>> {};

TEST_P(Encodings, AgreeWithTheInterpreter) {
  auto [model, spec] = GetParam();
  CompileOptions options;
  options.directory = std::string(PIANOLA_SOURCE_DIR "/test/golden/") + model;
  options.weights = spec;
  options.workers = 2;
  std::vector<int32_t> ids = goldenIds(42);
  std::vector<float> wanted = interpreted(options, ids);
  for (const char *target : {"host", "x86-64-v3"}) {
    options.target = target;
    // The whole at once and one by one; then four by four, and the last two of 42.
    for (std::vector<int64_t> slots : {std::vector<int64_t>(), {1, 4}}) {
      options.slots = slots;
      TemporaryDirectory temporary;
      std::unique_ptr<Roll> roll = compileAndOpen(options, temporary);
      ASSERT_TRUE(roll);
      for (bool oneByOne : {false, true}) {
        if (oneByOne && !slots.empty())
          continue;
        std::vector<float> logits = logitsOf(*roll, ids, oneByOne);
        ASSERT_EQ(logits.size(), wanted.size());
        EXPECT_LT(distance(logits.data(), wanted.data(), wanted.size()), kHostTolerance)
            << target << (slots.empty() ? "" : ", four slots")
            << (oneByOne ? ", decode" : ", prefill");
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Encodings,
                         testing::Combine(testing::Values("llama", "qwen3", "mistral"),
                                          testing::ValuesIn(kEncodingSpecs)));

} // namespace
