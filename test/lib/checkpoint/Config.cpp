// Config.cpp - config.json: both spellings, and what is refused in which words.
#include "ScratchDirectory.h"
#include "lib/checkpoint/ModelConfig.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

using namespace pianola;
using nlohmann::json;

namespace {

json plain() {
  return json::parse(R"({"architectures": ["LlamaForCausalLM"], "vocab_size": 320,
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-5})");
}

/// The message for the plain config with `key` set to what `value` parses as.
std::string with(const std::string &key, const std::string &value) {
  json config = plain();
  config[key] = json::parse(value);
  return messageOf(ModelConfig::fromText(config.dump()));
}

TEST(ModelConfig, FillsInWhatIsObvious) {
  ModelConfig config = llvm::cantFail(ModelConfig::fromText(plain().dump()));
  EXPECT_EQ(config.headSize, 16);
  EXPECT_EQ(config.kvHeads, 4);
  EXPECT_FALSE(config.tied.has_value());
  EXPECT_FALSE(config.ropeTheta.has_value());
  EXPECT_EQ(config.rope.kind, RopeScaling::Kind::Default);
}

TEST(ModelConfig, ReadsBothSpellingsOfRope) {
  json four = plain(), five = plain();
  four["rope_theta"] = 5e5;
  four["rope_scaling"] = {
      {"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}};
  five["rope_parameters"] = {{"rope_type", "yarn"},
                             {"factor", 4.0},
                             {"rope_theta", 500000},
                             {"original_max_position_embeddings", 64}};
  for (const json &object : {four, five}) {
    ModelConfig config = llvm::cantFail(ModelConfig::fromText(object.dump()));
    EXPECT_EQ(config.ropeTheta, 5e5);
    EXPECT_EQ(config.rope.kind, RopeScaling::Kind::Yarn);
    EXPECT_EQ(config.rope.factor, 4);
    EXPECT_EQ(config.rope.originalMaxPositions, 64);
    EXPECT_EQ(config.rope.betaFast, 32);
  }
}

TEST(ModelConfig, YarnExtendsThePositions) {
  json object = plain();
  object["rope_scaling"] = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 200}};
  EXPECT_EQ(llvm::cantFail(ModelConfig::fromText(object.dump())).maxPositions, 800);
  object["rope_scaling"] = {
      {"rope_type", "yarn"}, {"factor", nullptr}, {"original_max_position_embeddings", 64}};
  EXPECT_EQ(llvm::cantFail(ModelConfig::fromText(object.dump())).rope.factor, 4);
}

TEST(ModelConfig, RefusesSizes) {
  EXPECT_EQ(with("num_hidden_layers", "1000000000"),
            "config.json: num_hidden_layers: expected an integer from 1 to 4096, found 1000000000");
  EXPECT_EQ(with("num_hidden_layers", "0"),
            "config.json: num_hidden_layers: expected an integer from 1 to 4096, found 0");
  EXPECT_EQ(with("num_attention_heads", "0"),
            "config.json: num_attention_heads: expected an integer from 1 to 4096, found 0");
  EXPECT_EQ(with("num_attention_heads", "5"),
            "config.json: num_attention_heads: expected a divisor of hidden_size, 64, where "
            "head_dim is absent, found 5");
  EXPECT_EQ(
      with("num_key_value_heads", "3"),
      "config.json: num_key_value_heads: expected a divisor of num_attention_heads, 4, found 3");
  EXPECT_EQ(with("num_key_value_heads", "8"),
            "config.json: num_key_value_heads: expected an integer from 1 to 4, found 8");
  EXPECT_EQ(with("head_dim", "15"), "config.json: head_dim: expected an even number, found 15");
  EXPECT_EQ(with("hidden_size", "\"64\""),
            "config.json: hidden_size: expected an integer from 1 to 1048576, found \"64\"");
  EXPECT_EQ(with("hidden_size", "64.5"),
            "config.json: hidden_size: expected an integer from 1 to 1048576, found 64.5");
  EXPECT_EQ(with("vocab_size", "18446744073709551615"),
            "config.json: vocab_size: expected an integer from 1 to 16777216, found "
            "18446744073709551615");
  EXPECT_EQ(with("vocab_size", "null"),
            "config.json: vocab_size: expected an integer from 1 to 16777216, found nothing");
  EXPECT_EQ(with("hidden_size", "-64"),
            "config.json: hidden_size: expected an integer from 1 to 1048576, found -64");
  const json whole = plain();
  for (const auto &[key, value] : whole.items()) {
    json config = whole;
    config.erase(key);
    EXPECT_EQ(llvm::StringRef(messageOf(ModelConfig::fromText(config.dump()))).rsplit(", ").second,
              "found nothing")
        << key;
  }
}

TEST(ModelConfig, RefusesNumbersAndTypes) {
  EXPECT_EQ(with("rms_norm_eps", "-1e-5"),
            "config.json: rms_norm_eps: expected a number from 0 to 1, found -1e-05");
  EXPECT_EQ(with("rope_theta", "-10000.0"),
            "config.json: rope_theta: expected a number from 1.1 to 1e+15, found -10000.0");
  EXPECT_EQ(with("rope_theta", "\"1e6\""),
            "config.json: rope_theta: expected a number from 1.1 to 1e+15, found \"1e6\"");
  EXPECT_EQ(with("tie_word_embeddings", "1"),
            "config.json: tie_word_embeddings: expected true or false, found 1");
  EXPECT_EQ(with("architectures", "\"LlamaForCausalLM\""),
            "config.json: architectures: expected an array of one string, found "
            "\"LlamaForCausalLM\"");
  EXPECT_EQ(with("quantization_config", R"({"quant_method":"eetq"})"),
            "config.json: quantization_config: quant_method: expected one of gptq, awq, fp8, "
            "mxfp4, compressed-tensors, found \"eetq\"");
  EXPECT_EQ(with("partial_rotary_factor", "0"),
            "config.json: partial_rotary_factor: expected a number from 0.001 to 1, found 0");
}

TEST(ModelConfig, RefusesRopeScaling) {
  EXPECT_EQ(with("rope_scaling", "3"),
            "config.json: rope_scaling: expected an object or null, found 3");
  EXPECT_EQ(
      with("rope_scaling", R"({"rope_type":"proportional"})"),
      "config.json: rope_scaling: rope_type: expected one of default, dynamic, linear, llama3, "
      "longrope, yarn, found \"proportional\"");
  EXPECT_EQ(with("rope_scaling", R"({"type":"su","short_factor":[1]})"),
            "config.json: rope_scaling: long_factor: expected an array of 1 to 2048 numbers, found "
            "nothing");
  EXPECT_EQ(with("rope_scaling", R"({"type":"longrope","short_factor":[1, 0]})"),
            "config.json: rope_scaling: short_factor: expected numbers from 0.001 to 1e+06, found "
            "0");
  EXPECT_EQ(with("rope_scaling", R"({"type":"linear"})"),
            "config.json: rope_scaling: factor: expected a number from 1 to 1e+06, found nothing");
  EXPECT_EQ(with("rope_parameters", R"({"rope_type":"llama3","factor":8,"high_freq_factor":4})"),
            "config.json: rope_parameters: low_freq_factor: expected a number from 1e-06 to 1e+06, "
            "found nothing");
  EXPECT_EQ(
      with("rope_parameters", R"({"rope_theta":0})"),
      "config.json: rope_parameters: rope_theta: expected a number from 1.1 to 1e+15, found 0");
  EXPECT_EQ(with("rope_scaling", R"({"type":"dynamic","factor":2})"), "accepted");
  EXPECT_EQ(
      with("rope_scaling",
           R"({"type":"dynamic","factor":2,"original_max_position_embeddings":128})"),
      "config.json: rope_scaling: type: \"dynamic\" is supported up to the trained length only, "
      "and max_position_embeddings, 256, is beyond 128");
}

TEST(ModelConfig, KnowsWhatNobodyRead) {
  json object = plain();
  object["mystery"] = 3;
  object["switched_off"] = false;
  object["nothing"] = nullptr;
  object["empty"] = json::array();
  object["rope_scaling"] = {{"type", "linear"}, {"factor", 2}, {"riddle", "x"}};
  object["family"] = 1;
  ModelConfig config = llvm::cantFail(ModelConfig::fromText(object.dump()));
  std::optional<int64_t> family;
  config.fields->integer("family", 0, 1, family);
  EXPECT_EQ(family, 1);
  EXPECT_EQ(config.fields->unread(), (std::vector<std::string>{"mystery", "rope_scaling.riddle"}));
}

TEST(ModelConfig, RefusesText) {
  auto message = [](const std::string &text) { return messageOf(ModelConfig::fromText(text)); };
  EXPECT_EQ(message(""), "config.json: not valid JSON at byte 1");
  EXPECT_EQ(message("[1]"), "config.json: expected a JSON object, found [1]");
  EXPECT_EQ(message(R"({"rope_theta": NaN})"), "config.json: not valid JSON at byte 16");
  EXPECT_EQ(message(R"({"rope_theta": 1e999})"),
            "config.json: holds a number that no double can hold");
  EXPECT_EQ(message(R"({"a":)" + std::string(200000, '[')),
            "config.json: expected at most 64 levels of nesting, found 200001");
  ScratchDirectory scratch;
  EXPECT_EQ(messageOf(ModelConfig::fromDirectory(scratch.path)),
            "config.json: No such file or directory");
  scratch.write("config.json", std::string((4 << 20) + 1, ' '));
  EXPECT_EQ(messageOf(ModelConfig::fromDirectory(scratch.path)),
            "config.json: expected at most 4194304 bytes, found 4194305");
}

} // namespace
