// Lexer.h - a template's source as tokens.
//
// The environment is that of Hugging Face transformers: trim_blocks and lstrip_blocks are on, and
// one line end at the end of the source goes.
#ifndef PIANOLA_RUNTIME_TEMPLATE_LEXER_H
#define PIANOLA_RUNTIME_TEMPLATE_LEXER_H

#include <string>
#include <string_view>
#include <vector>

namespace pianola::templates {

enum class TokenKind {
  Text,       // between tags
  PrintBegin, // {{
  PrintEnd,
  BlockBegin, // {%
  BlockEnd,
  Name,
  String, // `text` without quotes and escapes
  Integer,
  Float,
  Operator,
  End, // of the template
};

struct Token {
  TokenKind kind;
  std::string text;
  int line;
};

/// Throws a Failure.
std::vector<Token> tokenize(std::string_view source);

} // namespace pianola::templates

#endif
