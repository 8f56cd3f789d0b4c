// Requests.cpp - what bodies ask for, and why they are refused.
#include "runtime/server/GenerationRequest.h"

#include <gtest/gtest.h>

using namespace pianola;
using namespace pianola::server;

namespace {

RequestRules rules() {
  RequestRules rules;
  rules.vocabulary = 100;
  rules.sampling.temperature = 0.5f;
  return rules;
}

std::variant<GenerationRequest, ApiError> readChat(const std::string &more) {
  std::string body = R"({"messages": [{"role": "user", "content": "hi"}])" + more + "}";
  return readChatRequest(ordered_json::parse(body), rules());
}

// The message, which begins with the field that is at fault.
std::string errorOf(const std::variant<GenerationRequest, ApiError> &read) {
  const ApiError *error = std::get_if<ApiError>(&read);
  if (!error)
    return "";
  EXPECT_EQ(error->status, 400u);
  EXPECT_FALSE(error->param.empty());
  EXPECT_EQ(error->message.compare(0, error->param.size(), error->param), 0);
  return error->message;
}

TEST(Requests, TakeFieldsOfOpenAi) {
  auto read =
      readChat(R"(, "model": "m", "temperature": 1.5, "top_p": 0.25, "max_tokens": 7, "n": 3,
      "stop": ["a", "b"], "seed": -1, "logprobs": true, "top_logprobs": 4, "stream": true,
      "stream_options": {"include_usage": true}, "presence_penalty": -2, "frequency_penalty": 2,
      "logit_bias": {"5": -100, "99": 1.5}, "unknown": {"is": "ignored"}, "user": "someone",
      "store": false, "audio": null, "modalities": ["text"], "response_format": {"type": "text"})");
  ASSERT_EQ(errorOf(read), "");
  const GenerationRequest &request = std::get<GenerationRequest>(read);
  EXPECT_EQ(request.model, "m");
  EXPECT_EQ(request.sampling.temperature, 1.5f);
  EXPECT_EQ(request.sampling.topP, 0.25f);
  EXPECT_EQ(request.sampling.logitBias,
            (std::vector<std::pair<int32_t, float>>{{5, -100.f}, {99, 1.5f}}));
  EXPECT_EQ(request.most, 7u);
  EXPECT_EQ(request.choices, 3u);
  EXPECT_EQ(request.stops, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request.seed, UINT64_MAX);
  EXPECT_EQ(request.probables, 4u);
  EXPECT_TRUE(request.streams && request.includeUsage);
  EXPECT_EQ(request.constraint.kind, Constraint::None);

  auto bare = readChat("");
  EXPECT_EQ(std::get<GenerationRequest>(bare).sampling.temperature, 0.5f) << "the model's default";
  EXPECT_FALSE(std::get<GenerationRequest>(bare).seed);
  auto null = readChat(R"(, "temperature": null, "stop": null, "tools": null, "n": null)");
  EXPECT_EQ(errorOf(null), "");
}

TEST(Requests, AreRefusedByField) {
  for (auto [more, message] : std::vector<std::pair<const char *, const char *>>{
           {R"("temperature": "hot")",
            "temperature: expected a number from 0 to 2, found a string"},
           {R"("temperature": -0.1)", "temperature: expected a number from 0 to 2, found -0.1"},
           {R"("temperature": true)",
            "temperature: expected a number from 0 to 2, found a boolean"},
           {R"("top_p": 1.01)", "top_p: expected a number from 0 to 1, found 1.01"},
           {R"("n": 0)", "n: expected a whole number from 1 to 128, found 0"},
           {R"("n": 1e9)", "n: expected a whole number from 1 to 128, found 1000000000.0"},
           {R"("n": 1.5)", "n: expected a whole number from 1 to 128, found 1.5"},
           {R"("max_tokens": -5)",
            "max_tokens: expected a whole number from 1 to 9223372036854775807, found -5"},
           {R"("max_tokens": 18446744073709551615)",
            "max_tokens: expected a whole number from 1 to 9223372036854775807, found "
            "18446744073709551615"},
           {R"("stop": "")", "stop: expected strings of 1 to 1024 bytes, found a string"},
           {R"("stop": [1])", "stop: expected strings of 1 to 1024 bytes, found 1"},
           {R"("stop": {"a": 1})", "stop: expected strings of 1 to 1024 bytes, found an object"},
           {R"("stream": "yes")", "stream: expected a boolean, found a string"},
           {R"("stream_options": {})", "stream_options: is for streams alone: set stream"},
           {R"("stream": true, "stream_options": {"include_usage": 1})",
            "stream_options.include_usage: expected a boolean, found 1"},
           {R"("logit_bias": {"100": 1})", "logit_bias: \"100\" is no token id from 0 to 99"},
           {R"("logit_bias": {"1 ": 1})", "logit_bias: \"1 \" is no token id from 0 to 99"},
           {R"("logit_bias": {"1": 101})",
            "logit_bias: expected numbers from -100 to 100, found 101"},
           {R"("logit_bias": [])", "logit_bias: expected an object, found an array"},
           {R"("top_logprobs": 3)", "top_logprobs: needs logprobs to be true"},
           {R"("logprobs": true, "top_logprobs": 21)",
            "top_logprobs: expected a whole number from 0 to 20, found 21"},
           {R"("audio": {"voice": "x"})", "audio: is not supported"},
           {R"("functions": [{"name": "f"}])", "functions: is not supported"},
           {R"("modalities": ["text", "audio"])", "modalities: is not supported"},
           {R"("response_format": "json")", "response_format: expected an object with a type"},
           {R"("response_format": {"type": "xml"})",
            "response_format.type: expected text, json_object or json_schema, found \"xml\""},
           {R"("response_format": {"type": "json_schema", "json_schema": {"name": "x"}})",
            "response_format.json_schema.schema: expected a JSON schema"},
           {R"("grammar": "root ::= \"a\"", "response_format": {"type": "json_object"})",
            "response_format: cannot be given together with a grammar"},
           {R"("tools": {})", "tools: expected an array of at most 128 tools"},
           {R"("tools": [{"type": "code"}])", "tools[0].type: expected \"function\""},
           {R"("tools": [{"type": "function", "function": {"name": "a b"}}])",
            "tools[0].function.name: expected 1 to 64 letters, digits, _, - or ., found \"a b\""},
           {R"("tool_choice": "required")", "tool_choice: needs tools"},
           {R"("tools": [{"type": "function", "function": {"name": "f"}}],
              "tool_choice": {"type": "function", "function": {"name": "g"}})",
            "tool_choice: there is no tool \"g\""},
           {R"("chat_template_kwargs": 1)", "chat_template_kwargs: expected an object, found 1"},
       })
    EXPECT_EQ(errorOf(readChat(std::string(", ") + more)), message) << more;
}

TEST(Requests, AreRefusedByMessage) {
  for (
      auto [messages, message] : std::vector<std::pair<const char *, const char *>>{
          {"[]", "messages: expected an array of messages"},
          {"{}", "messages: expected an array of messages"},
          {"null", "messages: is missing"},
          {R"(["hi"])", "messages[0]: expected an object, found a string"},
          {R"([{"content": "hi"}])", "messages[0].role: expected a string"},
          {R"([{"role": "king", "content": "hi"}])",
           "messages[0].role: expected system, developer, user, assistant or tool, found \"king\""},
          {R"([{"role": "user"}])", "messages[0].content: is missing"},
          {R"([{"role": "user", "content": 5}])",
           "messages[0].content: expected a string or an array of parts, found 5"},
          {R"([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])",
           "messages[0].content[0]: parts of type \"image_url\" are not supported"},
          {R"([{"role": "user", "content": [{"type": "text"}]}])",
           "messages[0].content[0]: text: expected a string"},
          {R"([{"role": "assistant", "tool_calls": [{"function": {}}]}])",
           "messages[0].tool_calls[0].function: expected an object with a name"},
          {R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "x"}}]}])",
           "messages[0].tool_calls[0].function.arguments: is not JSON: byte 1"},
      })
    EXPECT_EQ(errorOf(readChatRequest({{"messages", ordered_json::parse(messages)}}, rules())),
              message)
        << messages;
}

TEST(Requests, BecomeWhatTemplatesKnow) {
  auto read = readChatRequest(ordered_json::parse(R"({"messages": [
      {"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
      {"role": "assistant", "content": null, "tool_calls": [
          {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": [1]}"}}]},
      {"role": "tool", "tool_call_id": "1", "content": "done"}],
      "tools": [{"type": "function", "function": {"name": "f"}}],
      "chat_template_kwargs": {"enable_thinking": false, "messages": "not these"}})"),
                              rules());
  ASSERT_EQ(errorOf(read), "");
  const GenerationRequest &request = std::get<GenerationRequest>(read);
  const ordered_json &messages = request.variables["messages"];
  EXPECT_EQ(messages[0]["content"], "a\nb");
  EXPECT_EQ(messages[1]["tool_calls"][0]["function"]["arguments"], ordered_json({{"x", {1}}}));
  EXPECT_EQ(messages[1]["content"], "");
  EXPECT_EQ(request.variables["enable_thinking"], false);
  EXPECT_EQ(request.variables["tools"], request.tools);
  EXPECT_EQ(request.toolChoice.kind, ToolChoice::Auto);
}

TEST(Requests, ReadPromptsOfEveryKind) {
  auto prompts = [](const std::string &prompt) {
    return readCompletionRequest(ordered_json::parse("{\"prompt\": " + prompt + "}"), rules());
  };
  EXPECT_EQ(std::get<GenerationRequest>(prompts("\"a\"")).prompts, std::vector<Prompt>{"a"});
  EXPECT_EQ(std::get<GenerationRequest>(prompts("[\"a\", \"b\"]")).prompts,
            (std::vector<Prompt>{"a", "b"}));
  EXPECT_EQ(std::get<GenerationRequest>(prompts("[1, 2]")).prompts,
            (std::vector<Prompt>{std::vector<int32_t>{1, 2}}));
  EXPECT_EQ(std::get<GenerationRequest>(prompts("[[1], [2, 3]]")).prompts,
            (std::vector<Prompt>{std::vector<int32_t>{1}, std::vector<int32_t>{2, 3}}));
  for (auto [prompt, message] : std::vector<std::pair<const char *, const char *>>{
           {"null", "prompt: is missing"},
           {"5", "prompt: expected an array of token ids, found 5"},
           {"[1, -1]", "prompt: expected token ids from 0 to 99, found -1"},
           {"[100]", "prompt: expected token ids from 0 to 99, found 100"},
           {"[\"a\", 1]", "prompt: expected an array of token ids, found 1"},
           {"[[1], \"x\", {}]", "prompt: expected an array of token ids, found an object"},
       })
    EXPECT_EQ(errorOf(prompts(prompt)), message) << prompt;
}

} // namespace
