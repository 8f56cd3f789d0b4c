// AnswerFormat.h - how a model writes calls of tools and what it thinks.
#ifndef PIANOLA_RUNTIME_TOOLCALLS_ANSWERFORMAT_H
#define PIANOLA_RUNTIME_TOOLCALLS_ANSWERFORMAT_H

#include <string>
#include <string_view>
#include <vector>

namespace pianola {

class Tokenizer;

enum class CallStyle {
  None,      // the template knows no calls, or none of these
  Hermes,    // <tool_call>\n{"name": "f", "arguments": {...}}\n</tool_call>
  QwenCoder, // <tool_call>\n<function=f>\n<parameter=k>\nv\n</parameter>\n</function>\n</tool_call>
  Llama3,    // {"name": "f", "parameters": {...}}, the whole answer
  Mistral,   // [TOOL_CALLS] [{"name": "f", "arguments": {...}}]
  MistralArgs, // [TOOL_CALLS]f[ARGS]{...}
  Glm,         // <tool_call>f\n<arg_key>k</arg_key>\n<arg_value>v</arg_value>\n</tool_call>
};
const char *nameOf(CallStyle style);

struct AnswerFormat {
  CallStyle calls = CallStyle::None;
  std::string thinkBegin, thinkEnd; // both empty where the model does not think

  /// By the markers in the source of the chat template. If it has none of thoughts, but `tokenizer`
  /// has <think> and </think>, these are.
  static AnswerFormat of(std::string_view chatTemplate, const Tokenizer *tokenizer = nullptr);

  /// What the parser must see even where it is special tokens, which decoding passes over.
  std::vector<std::string> markers() const;

  /// If a prompt ends where the model is thinking: with thinkBegin, and white space at most.
  bool endsThinking(std::string_view prompt) const;
};

} // namespace pianola

#endif
