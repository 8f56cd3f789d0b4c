// WeightSpec.cpp - what --weights means, and what it does not.
#include "lib/encode/WeightSpec.h"

#include <gtest/gtest.h>

using namespace pianola;

namespace {

std::string encodingOf(const char *spec, const char *tensor, bool isEnd = false) {
  llvm::Expected<WeightSpec> parsed = WeightSpec::parse(spec);
  if (!parsed)
    return llvm::toString(parsed.takeError());
  const WeightEncoding *found = parsed->find(tensor, isEnd);
  return found ? found->name : "kept";
}

constexpr const char *kHead = "lm_head.weight", *kEmbedding = "model.embed_tokens.weight",
                     *kUp = "model.layers.0.mlp.up_proj.weight",
                     *kDown = "model.layers.1.mlp.down_proj.weight";

TEST(WeightSpec, SparesEmbeddingAndHead) {
  EXPECT_EQ(encodingOf("int4", kUp), "int4");
  EXPECT_EQ(encodingOf("int4", kHead, true), "int8");
  EXPECT_EQ(encodingOf("mxfp4", kEmbedding, true), "int8");
  EXPECT_EQ(encodingOf("int8", kEmbedding, true), "int8");
  EXPECT_EQ(encodingOf("fp8/128", kHead, true), "fp8/128");
  EXPECT_EQ(encodingOf("*lm_head*=keep,int4", kHead, true), "kept");
  // Whatever they are called.
  EXPECT_EQ(encodingOf("int4", "wte.weight", true), "int8");
  EXPECT_EQ(encodingOf("int4", "model.embed_tokens.layers.0.weight"), "int4");
  EXPECT_EQ(encodingOf("2:4", kUp), "2:4");
  EXPECT_EQ(encodingOf("2:4", kHead, true), "kept");
  EXPECT_EQ(encodingOf("*lm_head*=2:4,int8", kHead, true), "2:4");
}

TEST(WeightSpec, TakesTheFirstThatMatches) {
  constexpr const char *spec = "*.layers.0.*=bf16,*down*=int8/row,int4/64z";
  EXPECT_EQ(encodingOf(spec, kUp), "bf16");
  EXPECT_EQ(encodingOf(spec, kDown), "int8/row");
  EXPECT_EQ(encodingOf(spec, "model.layers.1.mlp.up_proj.weight"), "int4/64z");
  EXPECT_EQ(encodingOf("*down*=int8", kUp), "kept");
}

TEST(WeightSpec, KnowsWhatEncodingsAre) {
  auto scaling = [](const char *spec) {
    return *llvm::cantFail(WeightSpec::parse(spec)).find("w")->scaling;
  };
  EXPECT_EQ(scaling("int8").group, 128);
  EXPECT_EQ(scaling("int8/row").group, 0);
  EXPECT_EQ(scaling("int4").group, 32);
  EXPECT_TRUE(scaling("int4z").zeros);
  EXPECT_TRUE(scaling("int4/128z").zeros);
  EXPECT_EQ(scaling("int4/128z").group, 128);
  EXPECT_EQ(scaling("fp8").scale, ScaleType::F32);
  EXPECT_EQ(scaling("mxfp4").scale, ScaleType::E8M0);
}

TEST(WeightSpec, RefusesOthers) {
  for (const char *bad : {"int5", "int8/16", "int8z", "int4/row", "fp8/32", "bf16/32", "mxfp4/32",
                          "2:4/32", "", "int4,", "a=b=c"}) {
    std::string message = encodingOf(bad, kUp);
    EXPECT_EQ(message.rfind("--weights: expected keep, f32, ", 0), 0u) << bad << ": " << message;
  }
  EXPECT_EQ(encodingOf("[=int8", kUp).rfind("--weights: pattern \"[\": ", 0), 0u);
}

} // namespace
