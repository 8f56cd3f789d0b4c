// Matcher.cpp - masks of tokens: random walks that must end in what the schema holds for, and what
// masks say against each token by itself.
#include "runtime/grammar/Matcher.h"

#include "runtime/grammar/Schema.h"
#include "runtime/sampling/Sampler.h"
#include "runtime/text/Tokenizer.h"
#include "test/ReadFile.h"
#include "test/runtime/grammar/SpoiltSchemas.h"
#include "test/runtime/grammar/Validator.h"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <random>
#include <thread>

using namespace pianola;
using grammar::Grammar;
using grammar::Matcher;
using grammar::TokenTrie;
using nlohmann::ordered_json;

namespace {

std::vector<int32_t> allowedBy(const TokenMask &mask, int32_t vocabulary) {
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < vocabulary; ++id)
    if (mask.allows(id))
      ids.push_back(id);
  return ids;
}

// What each token by itself says.
void expectExact(const Matcher &matcher, const TokenMask &mask, const TokenTrie &trie) {
  for (int32_t id = 0; id < trie.vocabulary(); ++id) {
    Matcher copy = matcher;
    ASSERT_EQ(mask.allows(id), copy.accept(id).ok()) << id << ": " << trie.bytesOf(id);
  }
}

class Walks : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    auto read = Tokenizer::fromJson(readFile(std::string(PIANOLA_SOURCE_DIR) +
                                             "/test/runtime/text/golden/" + GetParam() +
                                             "/tokenizer.json"));
    ASSERT_TRUE(read) << read.message();
    tokenizer = std::move(*read);
    end = tokenizer->vocabularySize();
    trie = std::make_shared<TokenTrie>(*tokenizer, std::vector<int32_t>{end}, end + 3);
  }

  // Any allowed token; now and then, and when it takes long, one that closes something.
  int32_t choose(const TokenMask &mask, size_t step) {
    if (rng() % 16 == 0 || step > 150) {
      if (mask.allows(end))
        return end;
      auto letter = tokenizer->tokenToId("z");
      bool inString = letter && mask.allows(*letter);
      // A pattern may want something before the string can end.
      for (const char *closing : {inString ? "\"" : "}", inString ? "\"" : "]", "\""})
        if (auto id = tokenizer->tokenToId(closing); id && mask.allows(*id))
          return *id;
    }
    std::vector<int32_t> ids = allowedBy(mask, trie->vocabulary());
    return ids[rng() % ids.size()];
  }

  // The text, or nothing if the vocabulary cannot spell it.
  std::optional<std::string> walk(Matcher matcher) {
    std::vector<int32_t> ids;
    std::string text;
    for (size_t step = 0; !matcher.hasEnded(); ++step) {
      TokenMask mask;
      if (!matcher.fill(mask).ok() || step > 5000)
        return std::nullopt;
      if (rng() % 40 == 0)
        expectExact(matcher, mask, *trie);
      int32_t id = choose(mask, step);
      EXPECT_TRUE(matcher.accept(id).ok());
      if (id == end)
        break;
      ids.push_back(id);
      text += trie->bytesOf(id);
    }
    EXPECT_EQ(tokenizer->decode(ids, true), text);
    return text;
  }

  std::unique_ptr<Tokenizer> tokenizer;
  std::shared_ptr<TokenTrie> trie;
  int32_t end = 0;
  std::mt19937 rng{7};
};

TEST_P(Walks, EndInWhatTheSchemaHoldsFor) {
  std::ifstream file(PIANOLA_SOURCE_DIR "/test/runtime/grammar/schemas.jsonl");
  // For a look at what comes out, or another validator's: a line for each text.
  const char *to = std::getenv("GRAMMAR_WALKS");
  std::ofstream out(to ? std::string(to) + GetParam() : "/dev/null");
  for (std::string line; std::getline(file, line);) {
    ordered_json entry = ordered_json::parse(line);
    SCOPED_TRACE(entry["name"].get<std::string>());
    auto made = grammar::fromSchema(entry["schema"]);
    ASSERT_TRUE(made) << made.message();
    Matcher matcher(*made, trie);
    for (int i = 0; i < 8; ++i) {
      std::optional<std::string> text = walk(matcher);
      ASSERT_TRUE(text);
      ordered_json value = ordered_json::parse(*text, nullptr, false);
      ASSERT_FALSE(value.is_discarded()) << *text;
      EXPECT_EQ(findFault(value, entry["schema"], entry["schema"]), "") << *text;
      out << ordered_json({{"schema", entry["schema"]}, {"text", *text}}).dump() << "\n";
    }
  }
}

TEST_P(Walks, OfAnyObjectAreObjects) {
  Matcher matcher(grammar::anyObject(), trie);
  for (int i = 0; i < 20; ++i) {
    std::optional<std::string> text = walk(matcher);
    ASSERT_TRUE(text);
    EXPECT_TRUE(ordered_json::parse(*text, nullptr, false).is_object()) << *text;
  }
}

// A grammar or an error, whatever comes of it; and what a grammar allows is valid even then.
TEST_P(Walks, OfSpoiltSchemasAreValid) {
  SpoiltSchemas schemas(11);
  const char *given = std::getenv("GRAMMAR_SPOILS"), *to = std::getenv("GRAMMAR_WALKS");
  std::ofstream out(to ? std::string(to) + "spoilt." + GetParam() : "/dev/null");
  int count = given ? std::atoi(given) : 400, ended = 0;
  for (int i = 0; i < count; ++i) {
    ordered_json schema = schemas.next();
    SCOPED_TRACE(schema.dump());
    auto made = grammar::fromSchema(schema);
    if (!made) {
      EXPECT_NE(made.message(), "");
      continue;
    }
    std::optional<std::string> text = walk(Matcher(*made, trie));
    // Trees may grow faster than a walk can close them.
    if (!text)
      continue;
    ++ended;
    ordered_json value = ordered_json::parse(*text, nullptr, false);
    ASSERT_FALSE(value.is_discarded()) << *text;
    EXPECT_EQ(findFault(value, schema, schema), "") << *text;
    out << ordered_json({{"schema", schema}, {"text", *text}}).dump() << "\n";
  }
  EXPECT_GT(ended, count / 10);
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, Walks,
                         testing::Values("gpt2", "llama2", "llama3", "gemma", "qwen2", "mistral"),
                         [](const auto &info) { return std::string(info.param); });

//===----------------------------------------------------------------------===//
// Small vocabularies
//===----------------------------------------------------------------------===//

std::vector<int32_t> filled(Matcher &matcher) {
  TokenMask mask;
  Status status = matcher.fill(mask);
  EXPECT_TRUE(status.ok()) << status.message();
  return allowedBy(mask, 64);
}

std::shared_ptr<const Grammar> gbnf(const char *text) {
  auto made = Grammar::fromGbnf(text);
  EXPECT_TRUE(made) << made.message();
  return *made;
}

TEST(Matcher, FillsAndAccepts) {
  auto trie = std::make_shared<TokenTrie>(
      std::vector<std::string>{"y", "ye", "yes", "s", "no", "", "es!", "<end>"},
      std::vector<int32_t>{7});
  Matcher matcher(gbnf("root ::= \"yes\" | \"no\""), trie);
  EXPECT_EQ(filled(matcher), (std::vector<int32_t>{0, 1, 2, 4}));
  Matcher other = matcher;
  EXPECT_TRUE(matcher.accept(1).ok());
  EXPECT_EQ(filled(matcher), (std::vector<int32_t>{3}));
  EXPECT_EQ(matcher.accept(4).message(), "the grammar does not allow this text here");
  EXPECT_EQ(matcher.accept(5).message(), "token 5 is no text");
  EXPECT_EQ(matcher.accept(8).message(), "token 8 is not in the vocabulary");
  EXPECT_EQ(matcher.accept(7).message(), "the text may not end here");
  EXPECT_FALSE(matcher.mayEnd());
  EXPECT_TRUE(matcher.accept(3).ok());
  EXPECT_TRUE(matcher.mayEnd());
  EXPECT_TRUE(matcher.mustEnd());
  EXPECT_EQ(filled(matcher), (std::vector<int32_t>{7}));
  EXPECT_TRUE(matcher.accept(7).ok());
  EXPECT_TRUE(matcher.hasEnded());
  TokenMask mask;
  EXPECT_EQ(matcher.fill(mask).message(), "the text has ended");
  EXPECT_EQ(matcher.accept(0).message(), "the text has ended");
  // The copy stayed where it was.
  EXPECT_TRUE(other.accept(4).ok());
  EXPECT_TRUE(other.mustEnd());
}

TEST(Matcher, TakesHalfCharacters) {
  auto trie = std::make_shared<TokenTrie>(
      std::vector<std::string>{"\xc3", "\xa9", "\xc3\xa9", "\xe2\x82", "\xac", "a", "\x80"},
      std::vector<int32_t>{});
  Matcher matcher(gbnf("root ::= [é€]+"), trie);
  EXPECT_EQ(filled(matcher), (std::vector<int32_t>{0, 2, 3}));
  ASSERT_TRUE(matcher.accept(3).ok());
  EXPECT_EQ(filled(matcher), (std::vector<int32_t>{4}));
  ASSERT_TRUE(matcher.accept(4).ok());
  ASSERT_TRUE(matcher.accept(0).ok());
  EXPECT_EQ(filled(matcher), (std::vector<int32_t>{1}));
}

// Of strings of a limited length, the tokens that still fit.
TEST(Matcher, CountsPlainCharacters) {
  auto trie =
      std::make_shared<TokenTrie>(std::vector<std::string>{"a", "é", "ab", "éé", "abc", "\"", "a\"",
                                                           "abc\"", "\\n", "ab\\", "\n"},
                                  std::vector<int32_t>{});
  auto made = grammar::fromSchemaText(R"({"type": "string", "maxLength": 3})");
  ASSERT_TRUE(made);
  Matcher matcher(*made, trie);
  EXPECT_EQ(filled(matcher), (std::vector<int32_t>{5}));
  ASSERT_TRUE(matcher.accept(5).ok());
  EXPECT_EQ(filled(matcher), (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  ASSERT_TRUE(matcher.accept(1).ok());
  EXPECT_EQ(filled(matcher), (std::vector<int32_t>{0, 1, 2, 3, 5, 6, 8}));
  ASSERT_TRUE(matcher.accept(8).ok());
  EXPECT_EQ(filled(matcher), (std::vector<int32_t>{0, 1, 5, 6, 8}));
  ASSERT_TRUE(matcher.accept(0).ok());
  EXPECT_EQ(filled(matcher), (std::vector<int32_t>{5}));
}

// Plain characters may be all that one reading wants, and not enough for another.
TEST(Matcher, KeepsSeveralReadingsApart) {
  std::vector<std::string> tokens = {"x", "xx", "xxx", "xxxx", "y", "xy", "xxxxy", "é"};
  auto trie = std::make_shared<TokenTrie>(tokens, std::vector<int32_t>{});
  for (const char *text :
       {"root ::= .{1,2} | \"x\"* \"y\"", "root ::= .{0,3}", "root ::= [^\"]*",
        "root ::= .{2} | .{4}", "root ::= (. .)* \"y\"", "root ::= [xé]{1,3} \"y\"?"}) {
    Matcher matcher(gbnf(text), trie);
    for (int step = 0; step < 4 && !matcher.mustEnd(); ++step) {
      SCOPED_TRACE(std::string(text) + ", step " + std::to_string(step));
      TokenMask mask;
      if (!matcher.fill(mask).ok())
        break;
      expectExact(matcher, mask, *trie);
      ASSERT_TRUE(matcher.accept(allowedBy(mask, 8)[0]).ok());
    }
  }
}

TEST(Matcher, SaysThatNoTokenFits) {
  auto trie =
      std::make_shared<TokenTrie>(std::vector<std::string>{"a"}, std::vector<int32_t>{-1, 9});
  Matcher matcher(gbnf("root ::= \"a\" \"b\""), trie);
  ASSERT_TRUE(matcher.accept(0).ok());
  TokenMask mask;
  EXPECT_EQ(matcher.fill(mask).message(), "no token of the vocabulary can come next");
}

// States are forgotten when they are too many, and texts go on all the same.
TEST(Matcher, OutlivesItsStates) {
  std::vector<std::string> tokens(100000);
  tokens[0] = "(";
  tokens[1] = ")";
  auto trie = std::make_shared<TokenTrie>(tokens, std::vector<int32_t>{});
  Matcher first(gbnf("root ::= \"(\" root \")\" | \"\""), trie);
  Matcher second = first;
  TokenMask mask;
  ASSERT_TRUE(second.accept("((").ok());
  for (int i = 0; i < 20000; ++i) {
    ASSERT_TRUE(first.fill(mask).ok());
    ASSERT_TRUE(first.accept(0).ok());
  }
  for (int i = 0; i < 20000; ++i)
    ASSERT_TRUE(first.accept(1).ok());
  EXPECT_TRUE(first.mustEnd());
  ASSERT_TRUE(second.accept("))").ok());
  EXPECT_TRUE(second.mustEnd());
}

TEST(Matcher, IsSharedByThreads) {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back(std::string(1, static_cast<char>(byte)));
  tokens.push_back("end");
  auto trie = std::make_shared<TokenTrie>(tokens, std::vector<int32_t>{256});
  Matcher matcher(grammar::anyObject(), trie);
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 4; ++seed)
    threads.emplace_back([copy = matcher, seed]() mutable {
      std::mt19937 rng(seed);
      TokenMask mask;
      for (int text = 0; text < 50; ++text) {
        Matcher mine = copy;
        for (int step = 0; step < 200 && !mine.hasEnded(); ++step) {
          ASSERT_TRUE(mine.fill(mask).ok());
          std::vector<int32_t> ids = allowedBy(mask, 257);
          ASSERT_TRUE(mine.accept(ids[rng() % ids.size()]).ok());
        }
      }
    });
  for (std::thread &thread : threads)
    thread.join();
}

} // namespace
