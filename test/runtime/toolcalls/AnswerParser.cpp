// AnswerParser.cpp - answers in every style, well formed and not, cut in every way.
#include "test/runtime/toolcalls/Cuts.h"

#include <chrono>
#include <random>

using namespace pianola;
using nlohmann::ordered_json;

namespace {

const char *kTypes = R"({"city": {"type": "string"}, "days": {"type": "integer"},
  "exact": {"type": "boolean"}, "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
  "list": {"type": ["array", "string"]}, "unit": {"enum": ["c", "f", "1"]}})";

Parsing with(CallStyle style, bool thinks = false) {
  return {formatOf(style, thinks), ordered_json::array({toolOf("f", kTypes), toolOf("g")})};
}

struct Case {
  const char *text;
  const char *wanted; // as describe() has it
};

void check(const Parsing &how, std::initializer_list<Case> cases) {
  for (const Case &each : cases)
    EXPECT_EQ(describe(parseAllCuts(how, each.text)), each.wanted) << each.text;
}

TEST(AnswerParser, ReadsHermes) {
  check(
      with(CallStyle::Hermes),
      {
          {"<tool_call>\n{\"name\": \"f\", \"arguments\": {\"city\": \"K\u00f6ln\"}}\n"
           "</tool_call>",
           "call \"f\"\narguments \"{\\\"city\\\": \\\"K\u00f6ln\\\"}\"\nend \"\"\n"},
          {"Let me see. \n\n<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>\n"
           "<tool_call>\n{\"arguments\": {\"a\": [1, {}]}, \"name\": \"g\"}\n</tool_call>\nDone.\n",
           "content \"Let me see.\"\ncall \"f\"\narguments \"{}\"\nend \"\"\n"
           "call \"g\"\narguments \"{\\\"a\\\": [1, {}]}\"\nend \"\"\ncontent \"Done.\\n\"\n"},
          // Names are decoded; other members are passed over; no arguments are none.
          {"<tool_call>{\"id\": 12, \"name\": \"\\u0066\", \"x\": \"</tool_call>\"}</tool_call>",
           "call \"f\"\narguments \"{}\"\nend \"\"\n"},
          // No end, or half of it.
          {"<tool_call>{\"name\": \"f\", \"arguments\": {}",
           "call \"f\"\narguments \"{}\"\nend \"\"\n"},
          {"<tool_call>{\"name\": \"f\", \"arguments\": {}\n</tool_call> ok",
           "call \"f\"\narguments \"{}\"\nend \"\"\ncontent \"ok\"\n"},
          {"<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"b",
           "call \"f\"\narguments \"{\\\"a\\\": \\\"b\"\nend \"\"\n"},
          // Not JSON, from the beginning and after it.
          {"a <tool_call>\nf(x)\n</tool_call>\n",
           "content \"a <tool_call>\\nf(x)\\n</tool_call>\\n\"\n"},
          {"<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": b}}</tool_call>.",
           "call \"f\"\narguments \"{\\\"a\\\": \"\nend \"\"\ncontent \"b}}</tool_call>.\"\n"},
          {"<tool_call>{\"name\": \"\", \"arguments\": {}}",
           "content \"<tool_call>{\\\"name\\\": \\\"\\\", \\\"arguments\\\": {}}\"\n"},
          {"<tool_call>{\"name\": \"f\", \"arguments\": \"{}\"}",
           "content \"<tool_call>{\\\"name\\\": \\\"f\\\", \\\"arguments\\\": \\\"{}\\\"}\"\n"},
          {"<tool_call>{\"arguments\": {}}", "content \"<tool_call>{\\\"arguments\\\": {}}\"\n"},
          // A better one follows.
          {"<tool_call><tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>",
           "content \"<tool_call>\"\ncall \"f\"\narguments \"{}\"\nend \"\"\n"},
          // Only the first end belongs to the call.
          {"<tool_call>{\"name\":\"f\"}</tool_call></tool_call>",
           "call \"f\"\narguments \"{}\"\nend \"\"\ncontent \"</tool_call>\"\n"},
          {"x <tool_ca", "content \"x <tool_ca\"\n"},
          {" \n ", "content \" \\n \"\n"},
          {"", ""},
      });
}

TEST(AnswerParser, ReadsQwenCoder) {
  check(
      with(CallStyle::QwenCoder),
      {
          {"Now.\n<tool_call>\n<function=f>\n<parameter=city>\n Rome \n</parameter>\n"
           "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>",
           "content \"Now.\"\ncall \"f\"\n"
           "arguments \"{\\\"city\\\": \\\" Rome \\\", \\\"days\\\": 3}\"\nend \"\"\n"},
          {"<tool_call>\n<function=g>\n</function>\n</tool_call>\n<tool_call><function=f>"
           "<parameter=city>a\n\nb \"</param>\"</parameter></tool_call>",
           "call \"g\"\narguments \"{}\"\nend \"\"\ncall \"f\"\n"
           "arguments \"{\\\"city\\\": \\\"a\\\\n\\\\nb \\\\\\\"</param>\\\\\\\"\\\"}\"\nend "
           "\"\"\n"},
          // By type: a number in a string, a string in a number's place, null, a list, unknown.
          {"<tool_call><function=f><parameter=city>5</parameter><parameter=days>many</parameter>"
           "<parameter=maybe>None</parameter><parameter=list>[1]</parameter>"
           "<parameter=exact>True</parameter><parameter=unit>1</parameter>"
           "<parameter=other>{\"a\":1}</parameter><parameter=more>\"q\"</parameter></function>",
           "call \"f\"\narguments \"{\\\"city\\\": \\\"5\\\", \\\"days\\\": \\\"many\\\", "
           "\\\"maybe\\\": null, \\\"list\\\": [1], \\\"exact\\\": true, \\\"unit\\\": \\\"1\\\", "
           "\\\"other\\\": {\\\"a\\\":1}, \\\"more\\\": \\\"\\\\\\\"q\\\\\\\"\\\"}\"\nend \"\"\n"},
          // Cut by a limit.
          {"<tool_call>\n<function=f>\n<parameter=city>\nRo",
           "call \"f\"\narguments \"{\\\"city\\\": \\\"Ro\"\nend \"\"\n"},
          {"<tool_call>\n<function=f>\n<parameter=days>\n1",
           "call \"f\"\narguments \"{\"\nend \"\"\n"},
          {"<tool_call>\n<function=f", "content \"<tool_call>\\n<function=f\"\n"},
          // Something else than tags.
          {"<tool_call>\n<function=f>\nhello", "content \"<tool_call>\\n<function=f>\\nhello\"\n"},
          {"<tool_call>\n<function=f>\n<par</function>",
           "content \"<tool_call>\\n<function=f>\\n<par</function>\"\n"},
          {"<tool_call>\n<function=f>\n<parameter=a>1</parameter>\nso <b>",
           "call \"f\"\narguments \"{\\\"a\\\": 1\"\nend \"\"\ncontent \"so <b>\"\n"},
          {"<tool_call><function=f><parameter=a\nb>", "call \"f\"\narguments \"{\"\nend \"\"\n"
                                                      "content \"<parameter=a\\nb>\"\n"},
      });
}

TEST(AnswerParser, ReadsGlm) {
  check(with(CallStyle::Glm),
        {
            {"\nI look.\n<tool_call>f\n<arg_key>city</arg_key>\n<arg_value>Rome\n</arg_value>\n"
             "<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>\n"
             "<tool_call>g\n</tool_call>",
             "content \"\\nI look.\"\ncall \"f\"\n"
             "arguments \"{\\\"city\\\": \\\"Rome\\\\n\\\", \\\"days\\\": 3}\"\nend \"\"\n"
             "call \"g\"\narguments \"{}\"\nend \"\"\n"},
            {"<tool_call>f<arg_key>x</arg_key><arg_value>[1, \"a\"]</arg_value></tool_call>!",
             "call \"f\"\narguments \"{\\\"x\\\": [1, \\\"a\\\"]}\"\nend \"\"\ncontent \"!\"\n"},
            {"<tool_call>this is text", "content \"<tool_call>this is text\"\n"},
            {"<tool_call>f<tool_call>g</tool_call>",
             "content \"<tool_call>f\"\ncall \"g\"\narguments \"{}\"\nend \"\"\n"},
            {"<tool_call>f<arg_key>a</arg_key>b", "call \"f\"\narguments \"{\"\nend \"\"\n"
                                                  "content \"<arg_key>a</arg_key>b\"\n"},
        });
}

TEST(AnswerParser, ReadsLlama) {
  check(with(CallStyle::Llama3),
        {
            {"{\"name\": \"f\", \"parameters\": {\"city\": \"Rome\"}}",
             "call \"f\"\narguments \"{\\\"city\\\": \\\"Rome\\\"}\"\nend \"\"\n"},
            {"\n<|python_tag|> {\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}; "
             "{\"name\": \"g\", \"arguments\": {}}\n",
             "call \"f\"\narguments \"{}\"\nend \"\"\ncall \"g\"\narguments \"{}\"\nend \"\"\n"},
            // No tool of that name, no parameters, another object, no object.
            {" {\"name\": \"h\", \"parameters\": {}} \n",
             "content \" {\\\"name\\\": \\\"h\\\", \\\"parameters\\\": {}} \\n\"\n"},
            {"{\"name\": \"f\"}", "content \"{\\\"name\\\": \\\"f\\\"}\"\n"},
            {"{\"answer\": {\"name\": \"f\"}}",
             "content \"{\\\"answer\\\": {\\\"name\\\": \\\"f\\\"}}\"\n"},
            {"{1}", "content \"{1}\"\n"},
            {"<|python_tag|>print(1)", "content \"<|python_tag|>print(1)\"\n"},
            {"<|python_", "content \"<|python_\"\n"},
            {"<|python_tag|><|python_tag|>{", "content \"<|python_tag|><|python_tag|>{\"\n"},
            // Calls come first or not at all.
            {"Hi {\"name\": \"f\", \"parameters\": {}}",
             "content \"Hi {\\\"name\\\": \\\"f\\\", \\\"parameters\\\": {}}\"\n"},
            {"{\"name\": \"f\", \"parameters\": {}} ; then?",
             "call \"f\"\narguments \"{}\"\nend \"\"\ncontent \"; then?\"\n"},
        });
}

TEST(AnswerParser, ReadsMistral) {
  for (CallStyle style : {CallStyle::Mistral, CallStyle::MistralArgs})
    check(with(style),
          {
              {"[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": \"123456789\"}, "
               "{\"name\": \"g\", \"arguments\": {}}]",
               "call \"f\"\narguments \"{\\\"a\\\": 1}\"\nend \"\"\n"
               "call \"g\"\narguments \"{}\"\nend \"\"\n"},
              {"Yes. [TOOL_CALLS]f[ARGS]{\"a\": \"[ARGS]\"}[TOOL_CALLS]g[CALL_ID]123456789[ARGS]{}",
               "content \"Yes.\"\ncall \"f\"\narguments \"{\\\"a\\\": \\\"[ARGS]\\\"}\"\nend \"\"\n"
               "call \"g\"\narguments \"{}\"\nend \"\"\n"},
              {"[TOOL_CALLS]f{\"a\": 1} \nSo.",
               "call \"f\"\narguments \"{\\\"a\\\": 1}\"\nend \"\"\ncontent \"So.\"\n"},
              {"[TOOL_CALLS] []", "content \"[TOOL_CALLS] []\"\n"},
              {"[TOOL_CALLS] is a token.", "content \"[TOOL_CALLS] is a token.\"\n"},
              {"[TOOL_CALLS]f[ARGS]1", "content \"[TOOL_CALLS]f[ARGS]1\"\n"},
              {"[TOOL_CALLS][ARGS]{}", "content \"[TOOL_CALLS][ARGS]{}\"\n"},
              {"[TOOL_CALLS]f[AR[TOOL_CALLS]g{}",
               "content \"[TOOL_CALLS]f[AR\"\ncall \"g\"\narguments \"{}\"\nend \"\"\n"},
              {"[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}}, 3] x",
               "call \"f\"\narguments \"{}\"\nend \"\"\ncontent \", 3] x\"\n"},
              {"[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}}] [TOOL_CALLS] g[ARGS] {}",
               "call \"f\"\narguments \"{}\"\nend \"\"\ncall \"g\"\narguments \"{}\"\nend \"\"\n"},
          });
}

TEST(AnswerParser, ReadsThoughts) {
  Parsing how = with(CallStyle::Hermes, true);
  check(how, {
                 {"<think>\nHm </thin> <tool_call>\n</think>\n\nYes.",
                  "reasoning \"Hm </thin> <tool_call>\"\ncontent \"Yes.\"\n"},
                 {" \n<think>\n\n</think>\n\n  Yes.</think>", "content \"  Yes.</think>\"\n"},
                 {"<think>a</think>\n<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>",
                  "reasoning \"a\"\ncall \"f\"\narguments \"{}\"\nend \"\"\n"},
                 {"<think>for ever \n", "reasoning \"for ever\"\n"},
                 {"<think>cut </thi", "reasoning \"cut </thi\"\n"},
                 {"No <think>x</think>", "content \"No <think>x</think>\"\n"},
                 {"\n<thin", "content \"\\n<thin\"\n"},
             });
  how.beginsThinking = true;
  check(how, {
                 {"\nHm.\n</think>\nYes.", "reasoning \"Hm.\"\ncontent \"Yes.\"\n"},
                 {"<think>Hm.</think>Yes.", "reasoning \"Hm.\"\ncontent \"Yes.\"\n"},
                 {"<thin", "reasoning \"<thin\"\n"},
                 {"</think>\n\n{}", "content \"{}\"\n"},
             });
  how = with(CallStyle::Llama3, true);
  check(how, {{"<think>a</think>\n\n{\"name\": \"f\", \"parameters\": {}}",
               "reasoning \"a\"\ncall \"f\"\narguments \"{}\"\nend \"\"\n"}});
}

TEST(AnswerParser, LeavesCallsAloneThatNobodyWants) {
  for (int style = 0; style <= static_cast<int>(CallStyle::Glm); ++style) {
    Parsing how = with(static_cast<CallStyle>(style));
    how.wantsCalls = false;
    check(how,
          {{"{\"name\": \"f\", \"parameters\": {}} \n<tool_call>f\n</tool_call> [TOOL_CALLS]f{}",
            "content \"{\\\"name\\\": \\\"f\\\", \\\"parameters\\\": {}} \\n"
            "<tool_call>f\\n</tool_call> [TOOL_CALLS]f{}\"\n"}});
  }
}

// What can be nothing else comes at once.
TEST(AnswerParser, HoldsNothingBackLongerThanNeeded) {
  AnswerParser parser(formatOf(CallStyle::Hermes, true), true, false, nullptr);
  auto feed = [&](std::string_view text) { return describe(parser.feed(text)); };
  EXPECT_EQ(feed("<think>a"), "reasoning \"a\"\n");
  EXPECT_EQ(feed(" b </th"), "reasoning \" b\"\n");
  EXPECT_EQ(feed("e "), "reasoning \" </the\"\n");
  EXPECT_EQ(feed("</think>x"), "content \"x\"\n");
  EXPECT_EQ(feed(" <tool"), "");
  EXPECT_EQ(feed("s>"), "content \" <tools>\"\n");
  EXPECT_EQ(feed("<tool_call>{\"name\":\"f\",\"arguments\":"), "");
  EXPECT_EQ(feed("{\"a"), "call \"f\"\narguments \"{\\\"a\"\n");
  EXPECT_EQ(feed("\":1}"), "arguments \"\\\":1}\"\n");
  EXPECT_EQ(feed("}"), "end \"\"\n");
  EXPECT_EQ(feed("</tool_call>y"), "content \"y\"\n");

  AnswerParser plain(formatOf(CallStyle::Hermes), false, false, nullptr);
  EXPECT_EQ(describe(plain.feed("a <tool_call> ")), "content \"a <tool_call> \"\n");

  AnswerParser coder(formatOf(CallStyle::QwenCoder), true, false,
                     ordered_json::array({toolOf("f", kTypes)}));
  coder.feed("<tool_call><function=f><parameter=city>\n");
  EXPECT_EQ(describe(coder.feed("Ro")), "arguments \"Ro\"\n");
  EXPECT_EQ(describe(coder.feed("me\n</par")), "arguments \"me\"\n");
}

//===----------------------------------------------------------------------===//
// Hostile texts
//===----------------------------------------------------------------------===//

// Pieces of all formats in any order: the same for every cut, and all text of non-calls is there.
TEST(AnswerParser, CutsAnyMixture) {
  const char *kPieces[] = {"<tool_call>",
                           "</tool_call>",
                           "<tool",
                           "{\"name\": \"f\", ",
                           "\"arguments\": {",
                           "}",
                           "}}",
                           "\"",
                           "\\",
                           " ",
                           "\n",
                           "<function=f>",
                           "<parameter=city>",
                           "<parameter=days>",
                           "</parameter>",
                           "</function>",
                           "<arg_key>",
                           "</arg_key>",
                           "<arg_value>",
                           "</arg_value>",
                           "f",
                           "3",
                           "[TOOL_CALLS]",
                           "[ARGS]",
                           "[CALL_ID]",
                           "[",
                           "]",
                           ",",
                           ";",
                           "<think>",
                           "</think>",
                           "<|python_tag|>",
                           "\"k\": 1",
                           "{\"name\":\"g\",\"parameters\":{}}",
                           "text",
                           "<",
                           "\xc3\xa9"};
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    Parsing how = with(static_cast<CallStyle>(random() % 7), random() % 2);
    how.beginsThinking = random() % 4 == 0;
    std::string text;
    for (size_t i = 0, count = random() % 14; i < count; ++i)
      text += kPieces[random() % std::size(kPieces)];
    std::string wanted = describe(parsePieces(how, {text}));
    std::vector<std::string_view> bytes, cuts;
    for (size_t i = 0; i < text.size(); ++i)
      bytes.push_back(std::string_view(text).substr(i, 1));
    for (size_t at = 0, size; at < text.size(); at += size)
      cuts.push_back(std::string_view(text).substr(at, size = 1 + random() % 9));
    ASSERT_EQ(describe(parsePieces(how, bytes)), wanted) << text;
    ASSERT_EQ(describe(parsePieces(how, cuts)), wanted) << text;
    // If no call came of it, then but for white space and thoughts' markers nothing is lost.
    Answer answer = answerOf(parsePieces(how, {text}));
    how.wantsCalls = false;
    Answer plain = answerOf(parsePieces(how, {text}));
    EXPECT_EQ(answer.reasoning, plain.reasoning) << text;
    if (answer.calls.empty())
      EXPECT_EQ(answer.content, plain.content) << text;
  }
}

std::string repeated(const std::string &text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i)
    all += text;
  return all;
}

TEST(AnswerParser, TakesLinearTimeForHostileTexts) {
  const std::string call = "<tool_call>{\"name\":\"f\",\"arguments\":",
                    coder = "<tool_call><function=f>";
  const std::string kTexts[] = {
      repeated("<", 1000000),
      repeated("\n<", 125000),
      repeated(" ", 250000),
      repeated("<tool_call>", 25000),
      repeated("<tool_call>{\"", 20000),
      repeated("<tool_call>f<arg_key>", 12500),
      repeated("<tool_call>f<arg_key>k</arg_key><arg_value>", 6250),
      repeated(coder + "<parameter=other>", 6250),
      repeated("<|python_tag|>", 17500),
      repeated("[TOOL_CALLS]", 20000),
      repeated("[TOOL_CALLS]f[CALL_ID]", 12500),
      repeated("[TOOL_CALLS][{\"name\":\"f\",", 10000),
      call + repeated("[", 200000),
      call + repeated("{\"a\":", 200000),
      "<tool_call>" + repeated("[", 200000),
      "<tool_call>{\"arguments\":{\"a\":\"" + repeated("x", 1200000),
      "<tool_call>{\"name\":\"f\",\"arguments\":{},\"" + repeated("x", 1200000),
      "<think>" + repeated("</think", 25000),
      "{\"name\":\"f\",\"parameters\":" + repeated("{\"a\":", 200000),
      "{\"name\":\"f\",\"parameters\":{}}" + repeated(" ", 250000) + repeated(";", 1000),
      coder + "<parameter=days>" + repeated("1", 1200000),
  };
  for (CallStyle style : {CallStyle::Hermes, CallStyle::QwenCoder, CallStyle::Llama3,
                          CallStyle::Mistral, CallStyle::Glm})
    for (const std::string &text : kTexts) {
      auto begun = std::chrono::steady_clock::now();
      AnswerParser parser(formatOf(style, true), true, false,
                          ordered_json::array({toolOf("f", kTypes)}));
      size_t size = 0;
      for (size_t at = 0; at < text.size(); at += 4096)
        for (const AnswerPart &part : parser.feed(std::string_view(text).substr(at, 4096)))
          size += part.text.size();
      for (const AnswerPart &part : parser.finish())
        size += part.text.size();
      std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
      EXPECT_LT(seconds.count(), 10) << nameOf(style) << " " << text.substr(0, 60);
      EXPECT_LE(size, text.size() + 100) << nameOf(style) << " " << text.substr(0, 60);
    }
}

// A value that could be other than a string is let go as one when it is too long to wait for.
TEST(AnswerParser, LetsLongValuesGo) {
  Parsing how = with(CallStyle::QwenCoder);
  std::string digits = repeated("1", 2000000);
  Answer answer = answerOf(parsePieces(
      how, {"<tool_call><function=f><parameter=days>", digits, "</parameter></function>"}));
  ASSERT_EQ(answer.calls.size(), 1u);
  EXPECT_EQ(answer.calls[0].arguments, "{\"days\": \"" + digits + "\"}");
}

} // namespace
