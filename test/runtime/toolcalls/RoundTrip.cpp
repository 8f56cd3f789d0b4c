// RoundTrip.cpp - what templates make of calls is read back as the same calls.
#include "runtime/template/Template.h"
#include "test/ReadFile.h"
#include "test/runtime/toolcalls/Cuts.h"

using namespace pianola;
using nlohmann::ordered_json;

namespace {

const std::string kTemplates = PIANOLA_SOURCE_DIR "/test/runtime/template/golden/templates/";
const std::string kOwn = PIANOLA_SOURCE_DIR "/test/runtime/toolcalls/";

std::string render(const ChatTemplate &chat, const ordered_json &messages,
                   const ordered_json &tools, bool opensAnswer) {
  TemplateOptions options;
  options.now = *parseTime("2026-03-05 07:08:09");
  auto text = chat.renderText({{"messages", messages},
                               {"tools", tools},
                               {"add_generation_prompt", opensAnswer},
                               {"bos_token", "<s>"},
                               {"eos_token", "</s>"}},
                              options);
  EXPECT_TRUE(text) << text.message();
  return text ? *text : "";
}

struct Styled {
  const char *file;
  CallStyle style;
  const char *end; // of the turn
  bool takesContent, takesSeveral;
  bool thinks;
};

const Styled kStyled[] = {
    {"qwen2.5.jinja", CallStyle::Hermes, "<|im_end|>\n", true, true, false},
    {"qwen3.jinja", CallStyle::Hermes, "<|im_end|>\n", true, true, true},
    {"llama3.jinja", CallStyle::Llama3, "<|eot_id|>", false, false, false},
    {"mistral-v3.jinja", CallStyle::Mistral, "</s>", false, true, false},
    {"mistral-v7.jinja", CallStyle::MistralArgs, "</s>", true, true, false},
    {"glm4.jinja", CallStyle::Glm, "", true, true, true},
    {"qwen3-coder.jinja", CallStyle::QwenCoder, "<|im_end|>\n", true, true, false},
};

std::string sourceOf(const Styled &styled) {
  return readFile((styled.style == CallStyle::QwenCoder ? kOwn : kTemplates) + styled.file);
}

TEST(RoundTrip, ReadsWhatTemplatesWrite) {
  const ordered_json arguments[] = {
      ordered_json::object(),
      {{"city", "Köln"}, {"days", 3}},
      {{"city", "a \"b\" \\ {[<tool>]}\nnew\tline "}, {"days", -1.5}, {"list", {1, "x", nullptr}}},
      {{"nested", {{"deep", {{"er", {true, false}}}}}}, {"city", "17"}, {"none", nullptr}},
      {{"city", "def f(x):\n    return '<b>' + x\n\n"}, {"empty", ordered_json::object()}},
      {{"city", ""}, {"list", ordered_json::array()}},
  };
  ordered_json tools =
      ordered_json::array({toolOf("weather", R"({"city": {"type": "string"}})"),
                           toolOf("look_up-2", R"({"city": {"type": "string"}})")});
  for (const Styled &styled : kStyled) {
    SCOPED_TRACE(styled.file);
    std::string source = sourceOf(styled);
    auto chat = ChatTemplate::parse(source);
    ASSERT_TRUE(chat) << chat.message();
    Parsing how{AnswerFormat::of(source), tools};
    ASSERT_EQ(how.format.calls, styled.style);
    EXPECT_EQ(how.format.thinkBegin, styled.thinks ? "<think>" : "");
    int compared = 0;
    for (const ordered_json &first : arguments)
      for (const ordered_json &second : arguments)
        for (const char *content : {"", "One moment, please."}) {
          if ((*content && !styled.takesContent) || (!styled.takesSeveral && first != second))
            continue;
          ordered_json messages = {{{"role", "user"}, {"content", "Now?"}}};
          std::string prompt = render(*chat, messages, tools, true);
          ordered_json calls = ordered_json::array();
          for (int i = 0; i < (styled.takesSeveral ? 2 : 1); ++i)
            calls.push_back({{"id", "abcdef123"},
                             {"type", "function"},
                             {"function",
                              {{"name", i == 0 ? "weather" : "look_up-2"},
                               {"arguments", i == 0 ? first : second}}}});
          messages.push_back({{"role", "assistant"}, {"content", content}, {"tool_calls", calls}});
          std::string all = render(*chat, messages, tools, false), end = styled.end;
          ASSERT_EQ(all.substr(0, prompt.size()), prompt);
          ASSERT_EQ(all.substr(all.size() - end.size()), end);
          std::string text = all.substr(prompt.size(), all.size() - prompt.size() - end.size());
          Answer answer =
              answerOf(first == second ? parseAllCuts(how, text) : parsePieces(how, {text}));
          EXPECT_EQ(answer.content, content) << text;
          EXPECT_EQ(answer.reasoning, "") << text;
          ASSERT_EQ(answer.calls.size(), calls.size()) << text;
          for (size_t i = 0; i < calls.size(); ++i) {
            EXPECT_EQ(answer.calls[i].name, calls[i]["function"]["name"]);
            EXPECT_EQ(ordered_json::parse(answer.calls[i].arguments, nullptr, false),
                      calls[i]["function"]["arguments"])
                << text << "\n"
                << answer.calls[i].arguments;
          }
          ++compared;
        }
    EXPECT_EQ(compared, !styled.takesSeveral ? 6 : styled.takesContent ? 72 : 36);
  }
}

TEST(RoundTrip, KnowsTheStylesOfTemplates) {
  const std::pair<const char *, bool> kOthers[] = {
      {"gemma2", false},  {"gemma3", false},  {"phi3", false},         {"phi4", false},
      {"granite", false}, {"harmony", false}, {"deepseek-v3.1", true}, {"minimax", true}};
  for (const auto &[name, thinks] : kOthers) {
    AnswerFormat format = AnswerFormat::of(readFile(kTemplates + name + ".jinja"));
    EXPECT_EQ(format.calls, CallStyle::None) << name;
    EXPECT_EQ(!format.thinkEnd.empty(), thinks) << name;
  }
  EXPECT_EQ(AnswerFormat::of(readFile(kTemplates + "seed.jinja")).thinkBegin, "<seed:think>");
  AnswerFormat magistral =
      AnswerFormat::of("[THINK]x[/THINK][TOOL_CALLS]f[ARGS]{} <think></think>");
  EXPECT_EQ(magistral.calls, CallStyle::MistralArgs);
  EXPECT_EQ(magistral.thinkBegin, "[THINK]");
  EXPECT_EQ(magistral.markers(), (std::vector<std::string>{"[TOOL_CALLS]", "[ARGS]", "[CALL_ID]",
                                                           "[THINK]", "[/THINK]"}));
  EXPECT_TRUE(magistral.endsThinking("...[THINK]\n"));
  EXPECT_FALSE(magistral.endsThinking("[THINK]a[/THINK]"));
  EXPECT_FALSE(magistral.endsThinking(" \n"));
  EXPECT_FALSE(AnswerFormat().endsThinking("<think>"));
}

} // namespace
