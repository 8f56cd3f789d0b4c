// ChatTemplate.cpp - any text as a chat template, rendered with a small conversation.
#include "runtime/template/Template.h"
#include "runtime/toolcalls/AnswerFormat.h"
#include "test/fuzz/Input.h"

#include <nlohmann/json.hpp>

using namespace pianola;

static const nlohmann::ordered_json &conversation() {
  static const auto value = nlohmann::ordered_json::parse(R"({
    "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": true,
    "tools": [{"type": "function", "function": {"name": "f", "description": "d",
               "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}}],
    "messages": [
      {"role": "system", "content": "Be short."},
      {"role": "user", "content": "a<s>\u00e9 {{ b }} <think>"},
      {"role": "assistant", "content": "", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"x": 1.5}}}]},
      {"role": "tool", "tool_call_id": "c1", "name": "f", "content": "[1, null]"},
      {"role": "user", "content": [{"type": "text", "text": "part"}]}]})");
  return value;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view source = fuzz::textOf(data, size);
  (void)AnswerFormat::of(source);
  Result<ChatTemplate> parsed = ChatTemplate::parse(source);
  if (!parsed)
    return 0;
  TemplateOptions options;
  options.limits.steps = 200'000; // as many as a conversation of this size needs, and more
  options.limits.bytes = 1 << 20;
  auto parts = parsed->render(conversation(), options);
  if (!parts)
    return 0;
  size_t bytes = 0;
  for (const TextPart &part : *parts)
    bytes += part.text.size();
  fuzz::expect(bytes <= options.limits.bytes, "a rendering keeps to its limit");
  return 0;
}
