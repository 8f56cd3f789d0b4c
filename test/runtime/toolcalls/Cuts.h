// Cuts.h - an answer parsed as a whole, and in every way that it can be cut.
#ifndef PIANOLA_TEST_RUNTIME_TOOLCALLS_CUTS_H
#define PIANOLA_TEST_RUNTIME_TOOLCALLS_CUTS_H

#include "runtime/toolcalls/AnswerParser.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace pianola {

struct Parsing {
  AnswerFormat format;
  nlohmann::ordered_json tools = nullptr;
  bool wantsCalls = true, beginsThinking = false;
};

/// Runs of parts of one kind as one.
inline std::vector<AnswerPart> joined(const std::vector<AnswerPart> &parts) {
  std::vector<AnswerPart> runs;
  for (const AnswerPart &part : parts)
    if (!runs.empty() && runs.back().kind == part.kind && runs.back().call == part.call &&
        part.kind <= AnswerPart::CallArguments && part.kind != AnswerPart::CallBegin)
      runs.back().text += part.text;
    else
      runs.push_back(part);
  return runs;
}

/// What comes of `pieces`, checked to be well formed: calls in order, each begun and ended.
inline std::vector<AnswerPart> parsePieces(const Parsing &how,
                                           const std::vector<std::string_view> &pieces) {
  AnswerParser parser(how.format, how.wantsCalls, how.beginsThinking, how.tools);
  std::vector<AnswerPart> all;
  auto add = [&](std::vector<AnswerPart> parts) {
    for (AnswerPart &part : parts)
      all.push_back(std::move(part));
  };
  for (std::string_view piece : pieces)
    add(parser.feed(piece));
  add(parser.finish());
  size_t calls = 0;
  bool inCall = false;
  for (const AnswerPart &part : all) {
    bool isOfCall = part.kind == AnswerPart::CallArguments || part.kind == AnswerPart::CallEnd;
    EXPECT_EQ(isOfCall, inCall);
    if (part.kind == AnswerPart::CallBegin) {
      EXPECT_EQ(part.call, calls++);
      EXPECT_FALSE(part.name.empty());
      inCall = true;
    } else if (isOfCall) {
      EXPECT_EQ(part.call, calls - 1);
      inCall = part.kind != AnswerPart::CallEnd;
    }
    EXPECT_EQ(part.text.empty(),
              part.kind == AnswerPart::CallBegin || part.kind == AnswerPart::CallEnd);
  }
  EXPECT_FALSE(inCall);
  return joined(all);
}

inline std::string describe(const std::vector<AnswerPart> &parts) {
  static const char *kKinds[] = {"content", "reasoning", "call", "arguments", "end"};
  std::string text;
  for (const AnswerPart &part : parts)
    text += std::string(kKinds[part.kind]) + " " +
            nlohmann::json(part.name + part.text)
                .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
            "\n";
  return text;
}

/// Parses `text` whole, in bytes, and in two and three pieces, and expects the same of all.
inline std::vector<AnswerPart> parseAllCuts(const Parsing &how, std::string_view text) {
  std::vector<AnswerPart> whole = parsePieces(how, {text});
  std::string wanted = describe(whole);
  std::vector<std::string_view> bytes;
  for (size_t i = 0; i < text.size(); ++i)
    bytes.push_back(text.substr(i, 1));
  EXPECT_EQ(describe(parsePieces(how, bytes)), wanted) << "byte by byte";
  for (size_t a = 0; a <= text.size(); ++a) {
    EXPECT_EQ(describe(parsePieces(how, {text.substr(0, a), text.substr(a)})), wanted) << a;
    if (text.size() <= 60)
      for (size_t b = a; b <= text.size(); ++b)
        EXPECT_EQ(
            describe(parsePieces(how, {text.substr(0, a), text.substr(a, b - a), text.substr(b)})),
            wanted)
            << a << " " << b;
  }
  return whole;
}

inline Answer answerOf(const std::vector<AnswerPart> &parts) {
  Answer answer;
  answer.add(parts);
  return answer;
}

inline AnswerFormat formatOf(CallStyle style, bool thinks = false) {
  AnswerFormat format;
  format.calls = style;
  if (thinks) {
    format.thinkBegin = "<think>";
    format.thinkEnd = "</think>";
  }
  return format;
}

/// A tool of OpenAI's form.
inline nlohmann::ordered_json toolOf(const std::string &name, const char *properties = "{}") {
  return {{"type", "function"},
          {"function",
           {{"name", name},
            {"parameters",
             {{"type", "object"}, {"properties", nlohmann::ordered_json::parse(properties)}}}}}};
}

} // namespace pianola

#endif
