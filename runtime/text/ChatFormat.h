// ChatFormat.h - how a conversation is laid out for a model.
//
// Two layouts are known, and told apart by the tokens that the tokenizer has. Words in angle
// brackets are tokens, put in by id; content is encoded as text, so nothing that a user writes
// becomes one.
//
//   ChatML (Qwen and many others):
//     <|im_start|>ROLE\nCONTENT<|im_end|>\n ... <|im_start|>assistant\n
//
//   Llama 3:
//     <|begin_of_text|><|start_header_id|>ROLE<|end_header_id|>\n\nCONTENT<|eot_id|> ...
//     <|start_header_id|>assistant<|end_header_id|>\n\n
//     (CONTENT without white space at either end)
#ifndef PIANOLA_RUNTIME_TEXT_CHATFORMAT_H
#define PIANOLA_RUNTIME_TEXT_CHATFORMAT_H

#include "runtime/text/Tokenizer.h"

namespace pianola {

struct ChatMessage {
  std::string role, content;
};

class ChatFormat {
public:
  /// An error names the tokens that were looked for.
  static Result<ChatFormat> detect(const Tokenizer &tokenizer);

  /// The conversation up to and including the opening of the assistant's turn.
  Result<std::vector<int32_t>> prompt(const std::vector<ChatMessage> &messages) const;
  /// The token that ends a turn.
  int32_t endOfTurn() const { return end; }

private:
  explicit ChatFormat(const Tokenizer &tokenizer) : tokenizer(&tokenizer) {}
  const Tokenizer *tokenizer;
  bool llama3 = false;
  int32_t begin = -1, start = -1, header = -1, end = -1;
};

} // namespace pianola

#endif
