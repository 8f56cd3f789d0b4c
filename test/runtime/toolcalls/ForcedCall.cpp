// ForcedCall.cpp - grammars for answers that must be calls, and what the parser makes of their
// texts.
#include "runtime/toolcalls/ForcedCall.h"

#include "runtime/grammar/Matcher.h"
#include "runtime/text/Tokenizer.h"
#include "test/runtime/toolcalls/Cuts.h"

#include <fstream>
#include <random>

using namespace pianola;
using nlohmann::ordered_json;

namespace {

// A tokenizer of no consequence but for which of `markers` it has as special tokens.
std::unique_ptr<Tokenizer> tokenizerWith(const std::vector<std::string> &markers) {
  std::ifstream file(PIANOLA_SOURCE_DIR "/models/pocket-dictionary/tokenizer.json");
  ordered_json json = ordered_json::parse(file);
  int id = 100000;
  for (const std::string &marker : markers)
    json["added_tokens"].push_back({{"id", id++},
                                    {"content", marker},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false},
                                    {"special", true}});
  auto tokenizer = Tokenizer::fromJson(json.dump());
  EXPECT_TRUE(tokenizer) << tokenizer.message();
  return std::move(*tokenizer);
}

const char *kWeather =
    R"({"city": {"$ref": "#/$defs/city"}, "days": {"type": "integer", "minimum": 1,
  "maximum": 14}, "exact": {"type": "boolean"}})";

ordered_json someTools() {
  ordered_json weather = toolOf("weather", kWeather), ping = toolOf("ping"), list = toolOf("list");
  ordered_json &parameters = weather["function"]["parameters"];
  parameters["required"] = {"city", "days"};
  parameters["$defs"] = {{"city", {{"enum", {"Rome", "Oslo"}}}}};
  ping["function"].erase("parameters");
  // The same reference, to something else.
  list["function"]["parameters"] = ordered_json::parse(R"({"properties": {"items": {"type": "array",
    "maxItems": 2, "items": {"$ref": "#/$defs/city"}}}, "required": ["items"],
    "$defs": {"city": {"type": "string", "maxLength": 3}}})");
  return ordered_json::array({weather, ping, list});
}

const CallStyle kStyles[] = {CallStyle::Hermes, CallStyle::Llama3, CallStyle::Mistral,
                             CallStyle::MistralArgs};

ForcedCall force(CallStyle style, const Tokenizer &tokenizer, const ForcedCallRequest &request) {
  auto forced = forceCall(formatOf(style, true), tokenizer, someTools(), request);
  EXPECT_TRUE(forced) << forced.message();
  return forced ? *forced : ForcedCall();
}

TEST(ForcedCall, WritesWhatModelsWrite) {
  auto plain = tokenizerWith({}),
       special = tokenizerWith({"<tool_call>", "</tool_call>", "[ARGS]"});
  auto takes = [](const ForcedCall &forced, const std::string &text) {
    return grammar::matches(forced.grammar, text);
  };
  const std::string arguments = "{\"city\": \"Rome\", \"days\": 3}", ping = "{\"name\": \"ping\", ";

  ForcedCall hermes = force(CallStyle::Hermes, *plain, {});
  EXPECT_EQ(hermes.prefix, "<tool_call>\n");
  std::string call = "{\"name\": \"weather\", \"arguments\": " + arguments + "}",
              end = "\n</tool_call>";
  EXPECT_TRUE(takes(hermes, call + end));
  EXPECT_TRUE(takes(hermes, ping + "\"arguments\": {}}" + end));
  EXPECT_FALSE(takes(hermes, call));
  EXPECT_FALSE(takes(hermes, ping + "\"arguments\": {\"a\": 1}}" + end));
  EXPECT_FALSE(takes(hermes, "{\"name\": \"pong\", \"arguments\": {}}" + end));
  EXPECT_FALSE(takes(hermes, "{\"name\": \"list\", \"arguments\": " + arguments + "}" + end));
  const std::string next = end + "\n<tool_call>\n";
  EXPECT_FALSE(takes(hermes, call + next + call + end));
  EXPECT_TRUE(takes(force(CallStyle::Hermes, *plain, {{}, true}), call + next + call + end));
  // Special tokens are in no grammar.
  ForcedCall closed = force(CallStyle::Hermes, *special, {{}, true});
  EXPECT_TRUE(takes(closed, call));
  EXPECT_FALSE(takes(closed, call + end));
  // By name, and after a thought.
  ForcedCall named = force(CallStyle::Hermes, *plain, {"ping", false, true});
  EXPECT_EQ(named.prefix, "\n</think>\n\n<tool_call>\n");
  EXPECT_TRUE(takes(named, ping + "\"arguments\": {}}" + end));
  EXPECT_FALSE(takes(named, call + end));

  ForcedCall llama = force(CallStyle::Llama3, *plain, {{}, true});
  EXPECT_EQ(llama.prefix, "");
  EXPECT_TRUE(takes(llama, "{\"name\": \"weather\", \"parameters\": " + arguments + "}"));

  ForcedCall mistral = force(CallStyle::Mistral, *plain, {{}, true});
  EXPECT_EQ(mistral.prefix, "[TOOL_CALLS]");
  EXPECT_TRUE(takes(mistral, " [" + call + "]"));
  EXPECT_TRUE(takes(mistral, "[" + call + ", " + call + "]"));
  EXPECT_FALSE(takes(force(CallStyle::Mistral, *plain, {}), "[" + call + ", " + call + "]"));

  EXPECT_TRUE(takes(force(CallStyle::MistralArgs, *special, {}), "weather" + arguments));
  EXPECT_TRUE(takes(force(CallStyle::MistralArgs, *plain, {}), "weather[ARGS]" + arguments));
  ForcedCall args = force(CallStyle::MistralArgs, *special, {"weather"});
  EXPECT_EQ(args.prefix, "[TOOL_CALLS]weather[ARGS]");
  EXPECT_TRUE(takes(args, arguments));
}

// Any text of a grammar, letter by letter.
std::string anyText(const ForcedCall &forced, std::mt19937 &random) {
  std::vector<std::string> letters = {"\n"};
  for (char c = ' '; c <= '~'; ++c)
    letters.push_back(std::string(1, c));
  letters.push_back(""); // the end
  auto end = static_cast<int32_t>(letters.size() - 1);
  grammar::Matcher matcher(
      forced.grammar, std::make_shared<grammar::TokenTrie>(letters, std::vector<int32_t>{end}));
  std::string text;
  TokenMask mask;
  while (!matcher.hasEnded()) {
    Status filled = matcher.fill(mask);
    EXPECT_TRUE(filled.ok()) << filled.message();
    std::vector<int32_t> allowed;
    for (int32_t token = 0; token <= end; ++token)
      if (mask.allows(token))
        allowed.push_back(token);
    if (allowed.empty() || text.size() > 20000)
      return text;
    int32_t token = mask.allows(end) ? end : allowed[random() % allowed.size()];
    EXPECT_TRUE(matcher.accept(token).ok());
    text += letters[token];
  }
  return text;
}

void expectValid(const Answer::Call &call, const std::string &text) {
  ordered_json arguments = ordered_json::parse(call.arguments, nullptr, false);
  ASSERT_TRUE(arguments.is_object()) << text;
  if (call.name == "weather") {
    EXPECT_TRUE(arguments["city"] == "Rome" || arguments["city"] == "Oslo") << text;
    EXPECT_TRUE(arguments["days"] >= 1 && arguments["days"] <= 14) << text;
    EXPECT_TRUE(arguments.size() == 2 || arguments["exact"].is_boolean()) << text;
  } else if (call.name == "list") {
    EXPECT_LE(arguments["items"].size(), 2u) << text;
  } else {
    EXPECT_EQ(call.name, "ping") << text;
    EXPECT_TRUE(arguments.empty()) << text;
  }
}

TEST(ForcedCall, IsReadAsACallWithValidArguments) {
  std::mt19937 random(11);
  auto special = tokenizerWith({"</tool_call>", "[ARGS]"}), plain = tokenizerWith({});
  std::map<std::string, int> seen;
  for (CallStyle style : kStyles)
    for (const Tokenizer *tokenizer : {special.get(), plain.get()})
      for (const ForcedCallRequest &request :
           {ForcedCallRequest(), ForcedCallRequest{"list", false, true}, {{}, true, false}}) {
        ForcedCall forced = force(style, *tokenizer, request);
        for (int i = 0; i < 8; ++i) {
          std::string text = forced.prefix + anyText(forced, random);
          Parsing how{formatOf(style, true), someTools(), true, request.isThinking};
          Answer answer = answerOf(parsePieces(how, {text}));
          EXPECT_EQ(answer.content + answer.reasoning, "") << text;
          ASSERT_GE(answer.calls.size(), 1u) << text;
          for (const Answer::Call &call : answer.calls) {
            expectValid(call, text);
            EXPECT_TRUE(!request.name || call.name == "list");
            ++seen[call.name];
          }
        }
      }
  EXPECT_EQ(seen.size(), 3u);
}

TEST(ForcedCall, SaysWhatItCannotDo) {
  auto tokenizer = tokenizerWith({});
  auto messageOf = [&](CallStyle style, const ordered_json &tools, ForcedCallRequest request) {
    auto forced = forceCall(formatOf(style), *tokenizer, tools, request);
    return forced ? std::string("no error") : forced.message();
  };
  EXPECT_EQ(messageOf(CallStyle::None, someTools(), {}),
            "tool_choice: the model's chat template knows no calls of tools");
  EXPECT_EQ(messageOf(CallStyle::Glm, someTools(), {}),
            "tool_choice: calls cannot be forced in the style Glm, whose arguments are not JSON");
  EXPECT_EQ(messageOf(CallStyle::Hermes, someTools(), {"wether"}),
            "tool_choice: no tool is called \"wether\"");
  EXPECT_EQ(messageOf(CallStyle::Hermes, nullptr, {}), "tool_choice: there are no tools");
  EXPECT_EQ(messageOf(CallStyle::Hermes, ordered_json::array({1}), {}),
            "tools[0].function: expected an object with a name");
  ordered_json tools = someTools();
  tools[2]["function"]["parameters"]["properties"]["items"]["uniqueItems"] = true;
  EXPECT_EQ(messageOf(CallStyle::Mistral, tools, {}),
            "tools[2].function.parameters: #/properties/items: \"uniqueItems\" is not supported");
  EXPECT_EQ(messageOf(CallStyle::Mistral, tools, {"ping"}), "no error");
  tools[1]["function"]["parameters"] = {{"type", "string"}};
  EXPECT_EQ(messageOf(CallStyle::Llama3, tools, {"ping"}),
            "tools[1].function.parameters/type: arguments are an object");
  tools[1]["function"]["parameters"] = true;
  EXPECT_EQ(messageOf(CallStyle::Llama3, tools, {"ping"}),
            "tools[1].function.parameters: expected a JSON Schema, an object");
  tools[1]["function"]["name"] = "p ng";
  EXPECT_EQ(messageOf(CallStyle::Llama3, tools, {"ping"}),
            "tools[1].function.name: expected 1 to 256 bytes without white space, quotation marks, "
            "brackets, backslashes and control characters");
}

} // namespace
