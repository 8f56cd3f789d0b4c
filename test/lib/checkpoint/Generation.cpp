// Generation.cpp - sampling defaults, and where each is from.
#include "ScratchDirectory.h"
#include "lib/checkpoint/GenerationConfig.h"

#include <gtest/gtest.h>

using namespace pianola;

namespace {

const std::string ours = "config.json", theirs = "generation_config.json";

GenerationConfig read(const std::string &config, const std::string &generation) {
  ScratchDirectory scratch;
  scratch.write(ours, config);
  if (!generation.empty())
    scratch.write(theirs, generation);
  return llvm::cantFail(GenerationConfig::fromDirectory(scratch.path));
}

std::string refusal(const std::string &generation) {
  ScratchDirectory scratch;
  scratch.write(ours, "{}");
  scratch.write(theirs, generation);
  return messageOf(GenerationConfig::fromDirectory(scratch.path));
}

TEST(GenerationConfig, StopsAtTheUnion) {
  GenerationConfig config =
      read(R"({"eos_token_id": 9})", R"({"eos_token_id": [7, 12, 7], "bos_token_id": 1})");
  ASSERT_EQ(config.stopIds.size(), 3u);
  EXPECT_EQ(config.stopIds[0].value, 7);
  EXPECT_EQ(config.stopIds[0].from, theirs);
  EXPECT_EQ(config.stopIds[1].value, 9);
  EXPECT_EQ(config.stopIds[1].from, ours);
  EXPECT_EQ(config.stopIds[2].value, 12);
}

TEST(GenerationConfig, SaysWhereFrom) {
  GenerationConfig config = read(
      R"({"eos_token_id": null, "pad_token_id": -1, "bos_token_id": 3, "temperature": 0.5, "top_k": 5})",
      R"({"temperature": 0.6, "top_p": 0.95, "do_sample": true, "min_p": null, "repetition_penalty": 1.05})");
  EXPECT_TRUE(config.stopIds.empty());
  EXPECT_FALSE(config.padId.has_value());
  EXPECT_FALSE(config.minP.has_value());
  EXPECT_EQ(config.bosId->value, 3);
  EXPECT_EQ(config.bosId->from, ours);
  EXPECT_EQ(config.temperature->value, 0.6);
  EXPECT_EQ(config.temperature->from, theirs);
  EXPECT_EQ(config.topK->value, 5);
  EXPECT_EQ(config.topK->from, ours);
  EXPECT_EQ(config.topP->value, 0.95);
  EXPECT_TRUE(config.doSample->value);
  EXPECT_EQ(config.repetitionPenalty->value, 1.05);
}

TEST(GenerationConfig, NeedsNoFileOfItsOwn) {
  EXPECT_EQ(read(R"({"eos_token_id": [2, 3]})", "").stopIds.size(), 2u);
}

TEST(GenerationConfig, Refuses) {
  EXPECT_EQ(refusal(R"({"eos_token_id": [1, "2"]})"),
            "generation_config.json: eos_token_id: expected an id from 0 to 2147483647 or an array "
            "of such, found [1,\"2\"]");
  EXPECT_EQ(refusal(R"({"temperature": -1})"),
            "generation_config.json: temperature: expected a number from 0 to 1e+06, found -1");
  EXPECT_EQ(refusal(R"({"top_p": 1.5})"),
            "generation_config.json: top_p: expected a number from 0 to 1, found 1.5");
  EXPECT_EQ(refusal(R"({"top_k": 2.5})"),
            "generation_config.json: top_k: expected an integer from -1 to 2147483647, found 2.5");
  EXPECT_EQ(refusal("[]"), "generation_config.json: expected a JSON object, found []");
}

} // namespace
