// Limits.cpp - grammars and schemas that want too much: an error soon, or a mask soon.
#include "runtime/grammar/Matcher.h"
#include "runtime/grammar/Schema.h"

#include <chrono>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

using namespace pianola;
using grammar::Grammar;
using grammar::Matcher;
using grammar::TokenTrie;
using nlohmann::ordered_json;

namespace {

class Limits : public testing::Test {
protected:
  // Far more than anything here takes, sanitizers and a busy machine counted in.
  void TearDown() override {
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(60));
  }
  static void expectError(const Result<std::shared_ptr<const Grammar>> &made, const char *message) {
    ASSERT_FALSE(made);
    EXPECT_NE(made.message().find(message), std::string::npos) << made.message();
  }
  // Masks along some text: each fine, or an error.
  static Status play(const std::shared_ptr<const Grammar> &made, const std::string &text) {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; ++byte)
      tokens.push_back(std::string(1, static_cast<char>(byte)));
    for (int i = 1; i < 60; ++i)
      tokens.push_back(std::string(i, 'a'));
    Matcher matcher(made, std::make_shared<TokenTrie>(std::move(tokens), std::vector<int32_t>{}));
    TokenMask mask;
    for (char c : text) {
      if (Status status = matcher.fill(mask); !status.ok())
        return status;
      if (Status status = matcher.accept(std::string_view(&c, 1)); !status.ok())
        return status;
    }
    return Status();
  }
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
};

std::string repeated(const std::string &text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i)
    all += text;
  return all;
}

TEST_F(Limits, Gbnf) {
  expectError(Grammar::fromGbnf("root ::= " + repeated("(", 10000)), "nested more than");
  expectError(Grammar::fromGbnf("root ::= \"a\"" + repeated("?", 10000)), "no more repetitions");
  expectError(Grammar::fromGbnf(std::string(2 << 20, ' ')), "longer than");
  expectError(Grammar::fromGbnf("root ::= " + repeated("[a-z0-9]{20000}", 100)), "too large");
  std::string many = "root ::= r0\n";
  for (int i = 0; i < 30000; ++i)
    many += "r" + std::to_string(i) + " ::= \"a\"\n";
  expectError(Grammar::fromGbnf(many), "more than 20000 rules");
  // Each begins with the next, and the last with the first.
  std::string circle = "root ::= r0\n";
  for (int i = 0; i < 15000; ++i)
    circle +=
        "r" + std::to_string(i) + " ::= \"x\" | r" + std::to_string((i + 1) % 15000) + " \"a\"\n";
  expectError(Grammar::fromGbnf(circle), "begins with itself");
}

// What has very many readings.
TEST_F(Limits, Ambiguity) {
  std::string doubled = "root ::= r0\n", empty = "root ::= r0 \"b\"\n";
  for (int i = 0; i < 60; ++i) {
    std::string me = "r" + std::to_string(i), next = "r" + std::to_string(i + 1);
    doubled += me + " ::= " + next + " \"a\" | " + next + " \"b\"\n";
    empty += me + " ::= " + next + " " + next + "\n";
  }
  for (const std::string &text :
       {doubled + "r60 ::= \"a\"\n", empty + "r60 ::= \"a\"?\n", empty + "r60 ::= \"\"\n",
        std::string("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"a\" root \"d\" | \"\""),
        std::string("root ::= ((\"a\"{1,100}){1,100}){1,100}"),
        std::string("root ::= (\"a\"* \"a\"*)* \"b\""),
        std::string("root ::= (.* .* .* .*)* \"b\""),
        std::string("root ::= (\"a\" | \"aa\" | \"aaa\")* \"b\"")}) {
    auto made = Grammar::fromGbnf(text);
    if (made)
      (void)play(*made, repeated("a", 60));
  }
}

TEST_F(Limits, Schemas) {
  expectError(grammar::fromSchemaText(repeated("[", 100000)), "nested more than");
  expectError(grammar::fromSchemaText(repeated("{\"items\":", 200) + "{}" + repeated("}", 200)),
              "nested more than");
  expectError(grammar::fromSchemaText("\"" + std::string(1 << 20, 'a') + "\""), "longer than");
  ordered_json deep = ordered_json::object();
  for (int i = 0; i < 20000; ++i)
    deep = ordered_json{{"items", std::move(deep)}};
  expectError(grammar::fromSchema(deep), "nested more than");
  expectError(grammar::fromSchemaText(R"({"type": "array", "minItems": 1000000000})"),
              "more than 20000");
  // There is no need to allow what nobody will write.
  EXPECT_TRUE(grammar::fromSchemaText(R"({"type": "array", "maxItems": 1000000000})"));
  ordered_json words = ordered_json::array();
  for (int i = 0; i < 20000; ++i)
    words.push_back("word " + std::to_string(i * 7919));
  auto made = grammar::fromSchema(ordered_json{{"enum", words}});
  ASSERT_TRUE(made) << made.message();
  EXPECT_TRUE(grammar::matches(*made, "\"word 7919\""));
  EXPECT_TRUE(play(*made, "\"word 79190\"").ok());
  expectError(grammar::fromSchema(ordered_json{{"enum", {std::string(2000000, 'a')}}}),
              "too large");
  // As many comparisons as pairs of them.
  ordered_json others = words;
  for (ordered_json &each : others)
    each = each.get<std::string>() + ".";
  expectError(grammar::fromSchema(ordered_json{{"allOf", {{{"enum", words}}, {{"enum", others}}}}}),
              "#");
  ordered_json wide = ordered_json::object();
  for (int i = 0; i < 3000; ++i)
    wide["property " + std::to_string(i)] = {{"type", "integer"}};
  made = grammar::fromSchema(ordered_json{{"properties", wide}});
  ASSERT_TRUE(made) << made.message();
  EXPECT_TRUE(play(*made, R"({"property 7": 1, "property 2999": 2})").ok());
}

TEST_F(Limits, References) {
  const char *kLoops[] = {
      R"j({"$ref": "#"})j",
      R"j({"anyOf": [{"$ref": "#"}, {"type": "null"}]})j",
      R"j({"allOf": [{"$ref": "#"}]})j",
      R"j({"type": "object", "allOf": [{"$ref": "#"}, {"$ref": "#"}]})j",
      R"j({"type": "object", "anyOf": [{"$ref": "#"}, {"$ref": "#"}]})j",
      R"j({"oneOf": [{"$ref": "#"}, {"type": "null"}]})j",
      R"j({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}})j",
      R"j({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]})j",
      R"j({"enum": [{}], "properties": {"a": {"$ref": "#"}}})j",
  };
  for (const char *text : kLoops)
    EXPECT_FALSE(grammar::fromSchemaText(text)) << text;
  // Each merge makes another schema to merge.
  auto grows = grammar::fromSchemaText(
      R"j({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
          "$defs": {"a": {"properties": {"x": {"allOf": [{"$ref": "#"}, {"properties": {"p": {}}}]}}},
                    "b": {"properties": {"x": {"allOf": [{"$ref": "#"}, {"properties": {"q": {}}}]}}}}})j");
  if (!grows)
    EXPECT_NE(grows.message().find("too"), std::string::npos) << grows.message();
  // 2^40 combinations.
  ordered_json all = ordered_json::array();
  for (int i = 0; i < 40; ++i) {
    std::string name = "p" + std::to_string(i);
    all.push_back({{"anyOf", {{{"required", {name}}}, {{"required", {name + "x"}}}}}});
  }
  expectError(grammar::fromSchema(ordered_json{{"type", "object"}, {"allOf", all}}),
              "combinations");
}

TEST_F(Limits, Patterns) {
  auto pattern = [](const std::string &text) {
    return grammar::fromSchema(ordered_json{{"type", "string"}, {"pattern", text}});
  };
  expectError(pattern(repeated("(", 10000)), "nested more than");
  expectError(pattern(std::string(20000, 'a')), "longer than");
  expectError(pattern("^a{100000}$"), "more than 20000 repetitions");
  expectError(pattern("^" + repeated("[^a]{20000}", 100) + "$"), "too large");
  for (const char *text : {"^(a+)+$", "^(a|a)*b$", "(a*)*(a*)*(a*)*b",
                           "^((a{1,100}){1,100}){1,100}$", "^(a?){200}a{200}$", ".*.*.*.*.*x"}) {
    auto made = pattern(text);
    if (made)
      (void)play(*made, "\"" + repeated("a", 60));
  }
}

} // namespace
