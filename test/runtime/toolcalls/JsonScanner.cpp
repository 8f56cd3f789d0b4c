// JsonScanner.cpp - what is JSON, against the library that reads it whole.
#include "runtime/toolcalls/JsonScanner.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>

using namespace pianola;

namespace {

// Strings are of ASCII here: the library refuses broken UTF-8 and lone surrogates, we do not look.
TEST(JsonScanner, AgreesWithTheLibrary) {
  const char *kPieces[] = {"{",       "}",       "[",     "]",    ",",   ":",  "\"", "\"a\"",
                           "\\n",     "\\u0041", "\\x",   "0",    "1",   "-",  ".",  "e",
                           "E+",      "true",    "false", "null", "nul", " ",  "\n", "\t",
                           "12.5e-3", "\"k\": ", "a",     "\\",   "01",  "[]", "{}"};
  std::mt19937 random(3);
  int valid = 0;
  for (int round = 0; round < 100000; ++round) {
    std::string text;
    for (size_t i = 0, count = 1 + random() % 7; i < count; ++i)
      text += kPieces[random() % std::size(kPieces)];
    bool wanted = nlohmann::json::accept(text);
    valid += wanted;
    ASSERT_EQ(isJson(text), wanted) << text;
  }
  EXPECT_GT(valid, 3000);
}

TEST(JsonScanner, KeepsToItsDepth) {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(isJson(nested(JsonScanner::kDeepest)));
  EXPECT_FALSE(isJson(nested(JsonScanner::kDeepest + 1)));
}

TEST(JsonScanner, SaysWhereValuesEnd) {
  auto stepsOf = [](std::string_view text) {
    JsonScanner scanner;
    std::string steps;
    for (char c : text)
      steps += "MLPB"[scanner.feed(c)];
    return steps;
  };
  EXPECT_EQ(stepsOf(" {\"a\": [1]}x"), "MMMMMMMMMMLP");
  EXPECT_EQ(stepsOf("12,"), "MMP");
  EXPECT_EQ(stepsOf("\"\\\"\""), "MMML");
  EXPECT_EQ(stepsOf("nulx"), "MMMB");
  EXPECT_EQ(stepsOf("[1}"), "MMB");
}

} // namespace
