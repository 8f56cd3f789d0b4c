// Chat.h - conversations as the tokens that a model was trained on.
#ifndef PIANOLA_RUNTIME_TEMPLATE_CHAT_H
#define PIANOLA_RUNTIME_TEMPLATE_CHAT_H

#include "runtime/template/ChatConfig.h"
#include "runtime/template/Template.h"

namespace pianola {

class Chat {
public:
  /// By the model's template. A model without one gets ChatML's layout or Llama 3's if its
  /// tokenizer has those tokens; an error if it has neither. `tokenizer` must live on.
  static Result<Chat> create(const Tokenizer &tokenizer, const ChatConfig &config);

  /// The tokens of a conversation. `variables` is an object with messages, and what else the
  /// template knows: tools, add_generation_prompt, enable_thinking. Texts in it never become
  /// special tokens, nor others that the template writes.
  Result<std::vector<int32_t>> encode(nlohmann::ordered_json variables) const;
  /// The same as text, in which data can be told from special tokens no more.
  Result<std::string> render(nlohmann::ordered_json variables) const;
  /// One conversation: the user's turn after an optional system's, and the opening of an answer.
  Result<std::vector<int32_t>> encode(const std::string &system, const std::string &user) const;

  /// Tokens that end a turn, besides those that the model itself names.
  const std::vector<int32_t> &endsOfTurn() const { return ends; }

  TemplateOptions options; // `now` not set: the time of each call

private:
  Chat() = default;
  nlohmann::ordered_json complete(nlohmann::ordered_json variables) const;
  TemplateOptions optionsNow() const;

  const Tokenizer *tokenizer = nullptr;
  ChatConfig config;
  std::optional<ChatTemplate> parsed;
  std::vector<int32_t> ends;
  // Not every tokenizer flags the tokens that a template marks turns with as special ones.
  std::vector<int32_t> controls;
};

} // namespace pianola

#endif
