// ChatFormat.cpp - how a conversation is laid out for a model.
#include "runtime/text/ChatFormat.h"

namespace pianola {

Result<ChatFormat> ChatFormat::detect(const Tokenizer &tokenizer) {
  ChatFormat format(tokenizer);
  auto find = [&](const char *token, int32_t &id) {
    std::optional<int32_t> found = tokenizer.tokenToId(token);
    id = found.value_or(-1);
    return found.has_value();
  };
  if (find("<|im_start|>", format.start) && find("<|im_end|>", format.end))
    return format;
  format.llama3 = true;
  if (find("<|begin_of_text|>", format.begin) && find("<|start_header_id|>", format.start) &&
      find("<|end_header_id|>", format.header) && find("<|eot_id|>", format.end))
    return format;
  return Status::error(
      "no chat format is known for this tokenizer: it has neither <|im_start|> and "
      "<|im_end|> (ChatML) nor <|start_header_id|>, <|end_header_id|> and "
      "<|eot_id|> (Llama 3)");
}

static std::string trim(const std::string &text) {
  size_t first = text.find_first_not_of(" \t\r\n"), last = text.find_last_not_of(" \t\r\n");
  return first == std::string::npos ? std::string() : text.substr(first, last - first + 1);
}

Result<std::vector<int32_t>> ChatFormat::prompt(const std::vector<ChatMessage> &messages) const {
  std::vector<int32_t> ids;
  std::string failure;
  auto addText = [&](const std::string &text) {
    EncodeOptions options;
    options.addSpecial = options.parseSpecial = false;
    Result<std::vector<int32_t>> encoded = tokenizer->encode(text, options);
    if (!encoded)
      failure = encoded.message();
    else
      ids.insert(ids.end(), encoded->begin(), encoded->end());
  };
  auto open = [&](const std::string &role) {
    ids.push_back(start);
    addText(llama3 ? role : role + "\n");
    if (llama3)
      ids.push_back(header);
  };
  if (llama3)
    ids.push_back(begin);
  for (const ChatMessage &message : messages) {
    if (message.role != "system" && message.role != "user" && message.role != "assistant")
      return Status::error("a message has the role \"" + message.role +
                           "\"; known are system, user and assistant");
    if (llama3) {
      open(message.role);
      addText("\n\n" + trim(message.content));
      ids.push_back(end);
    } else {
      ids.push_back(start);
      addText(message.role + "\n" + message.content);
      ids.push_back(end);
      addText("\n");
    }
  }
  open("assistant");
  if (llama3)
    addText("\n\n");
  if (!failure.empty())
    return Status::error(failure);
  return ids;
}

} // namespace pianola
