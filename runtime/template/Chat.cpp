// Chat.cpp - conversations as the tokens that a model was trained on.
#include "runtime/template/Chat.h"

#include <nlohmann/json.hpp>

namespace pianola {

using nlohmann::ordered_json;

// Qwen's, and of many others.
static constexpr const char *kChatMl =
    "{%- for message in messages %}"
    "{{- '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

static constexpr const char *kLlama3 =
    "{{- '<|begin_of_text|>' }}"
    "{%- for message in messages %}"
    "{{- '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\\n\\n' "
    "~ message.content | trim ~ '<|eot_id|>' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}";

static Result<std::string> layoutFor(const Tokenizer &tokenizer) {
  auto has = [&](std::initializer_list<const char *> tokens) {
    for (const char *token : tokens)
      if (!tokenizer.tokenToId(token))
        return false;
    return true;
  };
  if (has({"<|im_start|>", "<|im_end|>"}))
    return std::string(kChatMl);
  if (has({"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}))
    return std::string(kLlama3);
  return Status::error(
      "the model has no chat template, and none is known for its tokenizer: it has neither "
      "<|im_start|> and <|im_end|> (ChatML) nor <|start_header_id|>, <|end_header_id|> and "
      "<|eot_id|> (Llama 3)");
}

Result<Chat> Chat::create(const Tokenizer &tokenizer, const ChatConfig &config) {
  Chat chat;
  chat.tokenizer = &tokenizer;
  chat.config = config;
  if (config.source.empty()) {
    Result<std::string> layout = layoutFor(tokenizer);
    if (!layout)
      return layout.status();
    chat.config.source = std::move(*layout);
  }
  Result<ChatTemplate> parsed = ChatTemplate::parse(chat.config.source);
  if (!parsed)
    return parsed.status();
  chat.parsed = std::move(*parsed);
  chat.controls = tokenizer.tokensWrittenIn(chat.config.source);
  // Checkpoints do not always name these in their generation_config.json.
  for (const char *end : {"<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|return|>",
                          "<|call|>", "<|eom_id|>", "[/TOOL_CALLS]"}) {
    std::optional<int32_t> id = tokenizer.tokenToId(end);
    if (id && chat.config.source.find(end) != std::string::npos)
      chat.ends.push_back(*id);
  }
  return chat;
}

ordered_json Chat::complete(ordered_json variables) const {
  for (const char *name : {"tools", "documents"})
    if (!variables.contains(name))
      variables[name] = nullptr;
  if (!variables.contains("add_generation_prompt"))
    variables["add_generation_prompt"] = false;
  for (const auto &[name, text] : config.tokens)
    variables[name] = text;
  return variables;
}

TemplateOptions Chat::optionsNow() const {
  TemplateOptions now = options;
  if (now.now.tm_year == 0)
    now.now = localTimeNow();
  // What the model's files say, and nothing that a caller gives under the same names.
  now.trusted.clear();
  for (const auto &[name, text] : config.tokens)
    now.trusted.push_back(name);
  return now;
}

Result<std::vector<int32_t>> Chat::encode(ordered_json variables) const {
  Result<std::vector<TextPart>> parts =
      parsed->render(complete(std::move(variables)), optionsNow());
  return parts ? tokenizer->encode(*parts, /*addSpecial=*/false, controls) : parts.status();
}

Result<std::string> Chat::render(ordered_json variables) const {
  return parsed->renderText(complete(std::move(variables)), optionsNow());
}

Result<std::vector<int32_t>> Chat::encode(const std::string &system,
                                          const std::string &user) const {
  ordered_json messages = ordered_json::array();
  if (!system.empty())
    messages.push_back({{"role", "system"}, {"content", system}});
  messages.push_back({{"role", "user"}, {"content", user}});
  return encode({{"messages", messages}, {"add_generation_prompt", true}});
}

} // namespace pianola
