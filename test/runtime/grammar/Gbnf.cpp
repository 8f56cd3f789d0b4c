// Gbnf.cpp - grammars in GBNF: what they take, and what is refused where.
#include "runtime/grammar/Grammar.h"

#include <gtest/gtest.h>

using namespace pianola;
using grammar::Grammar;

namespace {

struct Case {
  const char *text;
  std::vector<std::string> yes, no;
};

TEST(Gbnf, Takes) {
  const Case kTable[] = {
      {R"(root ::= "yes" | "no")", {"yes", "no"}, {"", "ye", "yesno"}},
      {"root ::= \"\"", {""}, {"a"}},
      {R"(root ::= [a-c]+ [^a-c]? .)", {"ax", "abcxy", "aé", "abc", "a\n"}, {"", "x", "axyz"}},
      {R"(root ::= [\x41-\u0043\U0001F600\]\\-]*)", {"", "AB", "C😀]\\-"}, {"D", "^"}},
      {R"(root ::= "\"\\\n\t\x41\u00e9")", {"\"\\\n\tAé"}, {"A"}},
      {"root ::= \"a\"{3}", {"aaa"}, {"aa", "aaaa"}},
      {"root ::= \"ab\"{2,}", {"abab", "ababab"}, {"ab", "aba"}},
      {"root ::= [ab]{0,2}", {"", "a", "ab"}, {"aba"}},
      {"root ::= (\"a\" | \"b\" \"c\")* \"d\"", {"d", "ad", "bcad"}, {"bd", "cd"}},
      {"# a comment\nroot ::= a # another\n  | b\n\na ::= \"x\" |\n  \"y\"\nb ::= (\n \"z\"\n)\n",
       {"x", "y", "z"},
       {"xy", ""}},
      {"root ::= \"(\" root \")\" | \"\"", {"", "()", "((()))"}, {"(", "(()", "())"}},
      {"root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"\"",
       {"", "aabc", "aacb"},
       {"aab", "abcc"}},
      {"root ::= e\ne ::= t (\"+\" t)*\nt ::= [0-9]+ | \"(\" e \")\"",
       {"1+2", "(1+(2))+33"},
       {"1+", "(1"}},
      {"root ::= (\"\"*)* \"a\"", {"a"}, {"", "aa"}},
      {"root ::= x* \"b\"\nx ::= \"a\"?", {"b", "ab", "aab"}, {"a"}},
      {"root ::= \"a\"*?", {"", "aa"}, {"b"}},
      {"root ::= \"abc\" | \"abd\" | \"ab\" | \"b\" [x] | \"abc\"",
       {"abc", "abd", "ab", "bx"},
       {"a"}},
      {"root ::= [^\\n]+ \"\\n\"", {"some text\n", "é€😀\n"}, {"\n", "a\nb\n"}},
      {"root::=a-b_1\na-b_1::=\"q\"", {"q"}, {"a"}},
      {"root ::= \"a\" | [] \"b\"", {"a"}, {"b"}},
      {"root ::= \"a\" dead | \"b\"\ndead ::= \"x\" dead", {"b"}, {"ax"}},
  };
  for (const Case &each : kTable) {
    SCOPED_TRACE(each.text);
    auto made = Grammar::fromGbnf(each.text);
    ASSERT_TRUE(made) << made.message();
    for (const std::string &text : each.yes)
      EXPECT_TRUE(grammar::matches(*made, text)) << text;
    for (const std::string &text : each.no)
      EXPECT_FALSE(grammar::matches(*made, text)) << text;
  }
}

// Bytes that are no UTF-8 match no character.
TEST(Gbnf, TakesWholeCharacters) {
  auto made = Grammar::fromGbnf("root ::= .*");
  ASSERT_TRUE(made);
  for (const char *text : {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(grammar::matches(*made, text));
  for (const char *text : {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                           "\xf4\x90\x80\x80", "\xc3", "\xff"})
    EXPECT_FALSE(grammar::matches(*made, text));
}

TEST(Gbnf, RefusesWithLineAndColumn) {
  const std::pair<std::string, const char *> kTable[] = {
      {"", "grammar, line 1, column 1: there is no rule \"root\""},
      {"a ::= \"b\"", "there is no rule \"root\""},
      {"root ::= a\n  | b", "grammar, line 1, column 10: there is no rule \"a\""},
      {"root ::= \"a\nb\"",
       "grammar, line 1, column 12: expected the closing \", found the end of"},
      {"root = \"a\"", "grammar, line 1, column 6: expected ::=, found \"=\""},
      {"root ::= \"a\"\n\n é", "grammar, line 3, column 2: expected a name, found \"é\""},
      {"root ::= (\"a\"", "column 14: expected ), found the end"},
      {"root ::= [a", "column 12: expected the closing ], found the end"},
      {"root ::= [z-a]", "column 11: the range ends before it begins"},
      {"root ::= \"\\q\"", "column 11: unknown escape"},
      {"root ::= \"\\x4\"", "expected 2 hexadecimal digits"},
      {"root ::= \"\\ud800\"", "this is no character of Unicode"},
      {"root ::= \"a\"{2,1}", "at least 2 and at most 1"},
      {"root ::= \"a\"{x}", "expected a number, found \"x\""},
      {"root ::= \"a\"{99999999999}", "more than 20000 repetitions"},
      {"root ::= *", "column 10: expected text, characters, a name or a group, found \"*\""},
      {"root ::= \"a\" )", "found \")\""},
      {"root ::= \"a\"\nroot ::= \"b\"",
       "grammar, line 2, column 1: the rule \"root\" is there twice"},
      {"root ::= <think>", "tokens in angle brackets are not supported"},
      {"root ::= root \"a\" | \"b\"", "line 1, column 1: the rule \"root\" begins with itself"},
      {"root ::= a\na ::= \"\" b\nb ::= [x]* a \"y\" | \"z\"", "begins with itself"},
      {"root ::= x y \"a\"\nx ::= \"\"?\ny ::= x root | \"b\"", "begins with itself"},
      {"root ::= \"a\" root", "the rule \"root\": no text can match"},
      {"root ::= \"\xff\"", "not UTF-8"},
  };
  for (const auto &[text, message] : kTable) {
    auto made = Grammar::fromGbnf(text);
    ASSERT_FALSE(made) << text;
    EXPECT_NE(made.message().find(message), std::string::npos) << text << ": " << made.message();
  }
}

} // namespace
