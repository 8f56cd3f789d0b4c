// Parsing.h - the state that the parser's two halves share: module and declarations (Parser.cpp),
// and the bodies of functions (ParseBody.cpp).
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_PARSING_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_PARSING_H

#include "targets/nvptx/emulator/Lexer.h"
#include "targets/nvptx/emulator/Syntax.h"

#include <unordered_map>

namespace pianola::ptx {

/// The first error wins: once failed, every parsing function returns false and the text is given
/// up.
class Parsing {
public:
  explicit Parsing(Syntax &syntax) : syntax(syntax), stream(tokens(syntax.text)) {}

  bool parseModule();
  const std::string &error() const { return message; }

private:
  /// What a name means inside of a pair of braces.
  struct Meaning {
    enum class Kind : uint8_t { Register, Range, Variable } kind;
    uint32_t index = 0; ///< register
    uint32_t count = 0; ///< of a range
    Type type = Type::None;
    Variable *variable = nullptr;
  };
  struct LabelUse {
    uint32_t instruction;
    uint32_t operand;
    std::string_view name;
    uint32_t line;
  };
  struct BraceScope {
    std::unordered_map<std::string_view, Meaning> names;
    std::unordered_map<std::string_view, uint32_t> labels;
    std::vector<LabelUse> uses;
  };

  // Tokens.
  const Token &peek(size_t ahead = 0) const {
    return stream[std::min(at + ahead, stream.size() - 1)];
  }
  const Token &take() { return stream[at + 1 < stream.size() ? at++ : at]; }
  bool accept(char mark);
  bool accept(std::string_view word);
  bool expect(char mark);
  std::string found() const;
  bool expectWord(std::string_view &out, const char *what);
  bool expectInteger(uint64_t &out, const char *what);
  bool fail(uint32_t line, const std::string &what);
  bool failHere(const std::string &what) { return fail(peek().line, what); }
  bool skipStatement();
  bool skipBraces();

  // Parser.cpp: the module and its declarations.
  bool parseDirective();
  bool parseVersion();
  bool parseFunction(bool isEntry);
  bool parseSignature(Function &function, bool isEntry, std::vector<Variable> &results,
                      std::vector<Variable> &parameters, std::string_view &name);
  bool parseParameters(std::vector<Variable> &out);
  bool parseParameter(Variable &out);
  bool parseEntryAttributes(Function &function);
  bool parseModuleVariables(Space space, bool isExtern);
  bool parseVariable(Variable &out, Space space);
  bool parseExtent(Variable &out);
  bool parseInitialiser(Variable &out);
  bool parseInitialValue(Variable &out);
  bool parseInitialSymbol(Variable &out);
  bool appendValue(Variable &out, uint64_t bits, uint32_t bytes);

  // ParseBody.cpp: what stands between a function's braces.
  bool parseBody(Function &function);
  bool parseStatement();
  bool parseRegisters();
  bool parseLocalVariables(Space space);
  bool parseLabelled(std::string_view label);
  bool parsePrototype(std::string_view label);
  bool parseInstruction();
  bool parseOperand(Operand &out, bool mayBeLabel);
  bool parseElements(Operand &out, char close);
  bool parseAddress(Operand &out);
  bool parseNumber(Operand &out);
  bool parseName(Operand &out, bool mayBeLabel);
  bool closeBrace();
  const Meaning *lookUp(std::string_view name);

  Syntax &syntax;
  std::vector<Token> stream;
  size_t at = 0;
  std::string message;
  std::unordered_map<std::string_view, Function *> functions;
  std::unordered_map<std::string_view, Variable *> variables;
  Function *function = nullptr;
  std::vector<BraceScope> scopes;
};

/// The special register of that name (`%tid.x`), or false.
bool specialNamed(std::string_view word, SpecialRegister &out);

} // namespace pianola::ptx

#endif
