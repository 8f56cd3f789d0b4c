// AnswerFormat.cpp - how a model writes calls of tools and what it thinks.
#include "runtime/toolcalls/AnswerFormat.h"

#include "runtime/text/Tokenizer.h"

namespace pianola {

static constexpr std::pair<const char *, const char *> kThoughts[] = {
    {"[THINK]", "[/THINK]"}, {"<seed:think>", "</seed:think>"}, {"<think>", "</think>"}};

const char *nameOf(CallStyle style) {
  switch (style) {
  case CallStyle::Hermes:
    return "Hermes";
  case CallStyle::QwenCoder:
    return "QwenCoder";
  case CallStyle::Llama3:
    return "Llama3";
  case CallStyle::Mistral:
    return "Mistral";
  case CallStyle::MistralArgs:
    return "MistralArgs";
  case CallStyle::Glm:
    return "Glm";
  default:
    return "None";
  }
}

static CallStyle styleOf(std::string_view source) {
  auto has = [&](std::string_view text) { return source.find(text) != std::string_view::npos; };
  // The names of members stand in strings, whose quotation marks may be escaped.
  auto hasMember = [&](const std::string &name) {
    return has('"' + name + '"') || has("\\\"" + name + "\\\"");
  };
  if (has("[TOOL_CALLS]"))
    return has("[ARGS]") ? CallStyle::MistralArgs : CallStyle::Mistral;
  if (has("<tool_call>")) {
    if (has("<arg_key>") && has("<arg_value>"))
      return CallStyle::Glm;
    if (has("<function="))
      return CallStyle::QwenCoder;
    return hasMember("arguments") ? CallStyle::Hermes : CallStyle::None;
  }
  bool isLlama =
      has("<|start_header_id|>") || has("<|header_start|>") || has("<|python_tag|>"); // 3 and 4
  return isLlama && has("tool_calls") && hasMember("parameters") ? CallStyle::Llama3
                                                                 : CallStyle::None;
}

AnswerFormat AnswerFormat::of(std::string_view chatTemplate, const Tokenizer *tokenizer) {
  AnswerFormat format;
  format.calls = styleOf(chatTemplate);
  for (const auto &[begin, end] : kThoughts)
    if (format.thinkEnd.empty() && chatTemplate.find(begin) != std::string_view::npos &&
        chatTemplate.find(end) != std::string_view::npos) {
      format.thinkBegin = begin;
      format.thinkEnd = end;
    }
  if (format.thinkEnd.empty() && tokenizer && tokenizer->tokenToId("<think>") &&
      tokenizer->tokenToId("</think>")) {
    format.thinkBegin = "<think>";
    format.thinkEnd = "</think>";
  }
  return format;
}

std::vector<std::string> AnswerFormat::markers() const {
  std::vector<std::string> all;
  switch (calls) {
  case CallStyle::None:
    break;
  case CallStyle::Llama3:
    all = {"<|python_tag|>"};
    break;
  case CallStyle::Mistral:
  case CallStyle::MistralArgs:
    all = {"[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"};
    break;
  case CallStyle::Glm:
    all = {"<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"};
    break;
  default:
    all = {"<tool_call>", "</tool_call>"};
  }
  if (!thinkEnd.empty())
    all.insert(all.end(), {thinkBegin, thinkEnd});
  return all;
}

bool AnswerFormat::endsThinking(std::string_view prompt) const {
  size_t last = prompt.find_last_not_of(" \t\r\n");
  if (thinkBegin.empty() || last == std::string_view::npos)
    return false;
  prompt = prompt.substr(0, last + 1);
  return prompt.size() >= thinkBegin.size() &&
         prompt.substr(prompt.size() - thinkBegin.size()) == thinkBegin;
}

} // namespace pianola
