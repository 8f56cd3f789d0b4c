// Lexer.h - PTX text as tokens.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_LEXER_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_LEXER_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pianola::ptx {

struct Token {
  enum class Kind : uint8_t {
    Word, ///< names, opcodes with their modifiers, directives, registers: `ld.global.u32`, `.reg`,
          ///< `%tid.x`
    Integer, ///< bits
    Single,  ///< 0f3f800000: bits
    Double,  ///< 0d..., or a decimal number with a point: bits
    String,  ///< text between the quotes
    Mark,    ///< one character of punctuation
    Stage,   ///< a comment `// stage: name`, text is the name
    End,
    Bad, ///< text is what is wrong with it
  };
  Kind kind = Kind::End;
  uint32_t line = 0;
  std::string_view text;
  uint64_t bits = 0;

  bool is(char mark) const { return kind == Kind::Mark && text.size() == 1 && text[0] == mark; }
  bool is(std::string_view word) const { return kind == Kind::Word && text == word; }
};

/// All tokens of the text, the last one End or Bad.
std::vector<Token> tokens(std::string_view text);

} // namespace pianola::ptx

#endif
