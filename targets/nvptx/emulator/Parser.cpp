#include "targets/nvptx/emulator/Parser.h"

#include "targets/nvptx/emulator/Parsing.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

namespace {

/// More than any GPU has; keeps sums of sizes and offsets far from overflow.
constexpr uint64_t largestVariable = uint64_t(1) << 40;
constexpr uint32_t oldestVersion = 60, newestVersion = 90;

bool isLinkage(const Token &token) {
  return token.is(".visible") || token.is(".weak") || token.is(".common");
}

} // namespace

bool Parsing::fail(uint32_t line, const std::string &what) {
  if (message.empty())
    message = syntax.name + ":" + std::to_string(line) + ": " + what;
  return false;
}

bool Parsing::accept(char mark) {
  bool there = peek().is(mark);
  if (there)
    take();
  return there;
}

bool Parsing::accept(std::string_view word) {
  bool there = peek().is(word);
  if (there)
    take();
  return there;
}

bool Parsing::expect(char mark) {
  if (accept(mark))
    return true;
  return failHere(std::string("expected '") + mark + "', found " + found());
}

/// What stands there, for messages.
std::string Parsing::found() const {
  return peek().kind == Token::Kind::End ? "the end of the text"
                                         : "'" + std::string(peek().text) + "'";
}

bool Parsing::expectWord(std::string_view &out, const char *what) {
  if (peek().kind != Token::Kind::Word)
    return failHere(std::string("expected ") + what + ", found " + found());
  out = take().text;
  return true;
}

bool Parsing::expectInteger(uint64_t &out, const char *what) {
  if (peek().kind != Token::Kind::Integer)
    return failHere(std::string("expected ") + what + ", found " + found());
  out = take().bits;
  return true;
}

/// .loc, .file and .pragma: to the end of the line or the semicolon.
bool Parsing::skipStatement() {
  uint32_t line = peek().line;
  while (peek().kind != Token::Kind::End && peek().kind != Token::Kind::Bad && peek().line == line)
    if (take().is(';'))
      break;
  return true;
}

bool Parsing::skipBraces() {
  while (peek().kind != Token::Kind::End && !peek().is('{'))
    take();
  if (!expect('{'))
    return false;
  for (unsigned depth = 1; depth;) {
    if (peek().kind == Token::Kind::End || peek().kind == Token::Kind::Bad)
      return expect('}');
    const Token &token = take();
    depth += token.is('{');
    depth -= token.is('}');
  }
  return true;
}

bool Parsing::parseModule() {
  if (stream.back().kind == Token::Kind::Bad)
    return fail(stream.back().line, std::string(stream.back().text));
  while (peek().kind != Token::Kind::End)
    if (!parseDirective())
      return false;
  if (!syntax.version)
    return fail(1, "no .version directive: this is no PTX");
  for (const Function &each : syntax.functions)
    if (each.isEntry && each.isDeclared)
      return fail(each.line, "entry '" + std::string(each.name) + "' has no body");
  return true;
}

bool Parsing::parseDirective() {
  if (peek().kind == Token::Kind::Stage || peek().is(';'))
    return take(), true;
  bool isExtern = false;
  while (isLinkage(peek()) || peek().is(".extern"))
    isExtern |= take().is(".extern");
  const Token &token = peek();
  if (token.is(".version"))
    return parseVersion();
  if (!syntax.version)
    return failHere("expected .version first, found " + found());
  if (accept(".target")) {
    if (!expectWord(syntax.target, "a target"))
      return false;
    std::string_view more;
    while (accept(','))
      if (!expectWord(more, "a target"))
        return false;
    return true;
  }
  if (accept(".address_size")) {
    uint64_t size;
    if (!expectInteger(size, "64"))
      return false;
    return size == 64 ||
           failHere("address size " + std::to_string(size) + ": only 64 is supported");
  }
  if (accept(".entry"))
    return parseFunction(true);
  if (accept(".func"))
    return parseFunction(false);
  if (accept(".global"))
    return parseModuleVariables(Space::Global, isExtern);
  if (accept(".const"))
    return parseModuleVariables(Space::Const, isExtern);
  if (accept(".shared"))
    return parseModuleVariables(Space::Shared, isExtern);
  if (token.is(".file") || token.is(".loc") || token.is(".pragma"))
    return skipStatement();
  if (token.is(".section"))
    return skipBraces();
  return failHere("unknown directive '" + std::string(token.text) + "'");
}

bool Parsing::parseVersion() {
  take();
  const Token &number = take();
  size_t point = number.text.find('.');
  if (number.kind != Token::Kind::Double || point == 0 || point + 2 != number.text.size() ||
      point > 2)
    return fail(number.line, ".version must be a number such as 8.5");
  for (char c : number.text)
    if (c != '.')
      syntax.version = syntax.version * 10 + uint32_t(c - '0');
  if (syntax.version < oldestVersion || syntax.version > newestVersion)
    return fail(number.line,
                "PTX version " + std::string(number.text) + ": 6.0 to 9.0 are supported");
  return true;
}

bool Parsing::parseParameter(Variable &out) {
  if (!accept(".param"))
    return failHere("expected .param, found " + found());
  return parseVariable(out, Space::Param);
}

bool Parsing::parseParameters(std::vector<Variable> &out) {
  if (!expect('('))
    return false;
  if (accept(')'))
    return true;
  do {
    out.emplace_back();
    if (!parseParameter(out.back()))
      return false;
  } while (accept(','));
  return expect(')');
}

bool Parsing::parseSignature(Function &into, bool isEntry, std::vector<Variable> &results,
                             std::vector<Variable> &parameters, std::string_view &name) {
  if (!isEntry && peek().is('(') && !parseParameters(results))
    return false;
  into.line = peek().line;
  if (!expectWord(name, "a function's name"))
    return false;
  return !peek().is('(') || parseParameters(parameters);
}

bool Parsing::parseFunction(bool isEntry) {
  Function read;
  std::vector<Variable> results, parameters;
  std::string_view name;
  if (!parseSignature(read, isEntry, results, parameters, name) || !parseEntryAttributes(read))
    return false;
  Function *&known = functions[name];
  bool hasBody = peek().is('{');
  if (!hasBody)
    accept(';');
  if (variables.count(name) || (known && hasBody && !known->isDeclared))
    return fail(read.line, "'" + std::string(name) + "' is defined twice");
  if (!known) {
    syntax.functions.emplace_back();
    known = &syntax.functions.back();
    known->isDeclared = true;
    known->index = uint32_t(syntax.functions.size() - 1);
  } else if (!hasBody) {
    return true;
  }
  Function &target = *known;
  if (target.parameters.size() + target.results.size() != 0 &&
      (target.parameters.size() != parameters.size() || target.results.size() != results.size()))
    return fail(read.line, "'" + std::string(name) + "' does not match its declaration");
  target.name = name, target.isEntry = isEntry, target.line = read.line;
  target.requiredBlock = read.requiredBlock, target.maximumBlock = read.maximumBlock;
  target.results.clear(), target.parameters.clear();
  auto place = [&](std::vector<Variable> &from, std::vector<Variable *> &into) {
    for (Variable &variable : from) {
      target.variables.push_back(std::move(variable));
      into.push_back(&target.variables.back());
    }
  };
  place(results, target.results);
  place(parameters, target.parameters);
  if (!hasBody)
    return true;
  target.isDeclared = false;
  return parseBody(target);
}

bool Parsing::parseEntryAttributes(Function &into) {
  while (peek().kind == Token::Kind::Word) {
    std::string_view word = peek().text;
    if (word == ".reqntid" || word == ".maxntid" || word == ".reqnctapercluster") {
      take();
      uint64_t sizes[3] = {1, 1, 1};
      unsigned count = 0;
      do {
        if (count == 3)
          return failHere("more than three dimensions");
        if (!expectInteger(sizes[count++], "a number of threads"))
          return false;
      } while (accept(','));
      if (std::max({sizes[0], sizes[1], sizes[2]}) > 1u << 20)
        return failHere("too many threads");
      Dim3 size{uint32_t(sizes[0]), uint32_t(sizes[1]), uint32_t(sizes[2])};
      if (word == ".reqnctapercluster" && size.count() > 1)
        return failHere("clusters of more than one block are not supported");
      if (word == ".reqntid")
        into.requiredBlock = size;
      else if (word == ".maxntid")
        into.maximumBlock = size;
    } else if (word == ".minnctapersm" || word == ".maxnctapersm" || word == ".maxnreg" ||
               word == ".maxclusterrank" || word == ".abi_preserve" ||
               word == ".abi_preserve_control") {
      take();
      uint64_t ignored;
      if (!expectInteger(ignored, "a number"))
        return false;
    } else if (word == ".noreturn" || word == ".explicitcluster" || word == ".blocksareclusters") {
      take();
    } else if (word == ".pragma") {
      skipStatement();
    } else {
      break;
    }
  }
  return true;
}

bool Parsing::parseModuleVariables(Space space, bool isExtern) {
  do {
    syntax.variables.emplace_back();
    Variable &variable = syntax.variables.back();
    variable.isExtern = isExtern;
    if (!parseVariable(variable, space))
      return false;
    if (!variable.value.empty() && (isExtern || space == Space::Shared))
      return fail(variable.line, "'" + std::string(variable.name) + "' may not have a value");
    auto [place, fresh] = variables.try_emplace(variable.name, &variable);
    if (!fresh && !place->second->isExtern)
      return fail(variable.line, "'" + std::string(variable.name) + "' is defined twice");
    if (!fresh)
      return fail(variable.line, "'" + std::string(variable.name) +
                                     "' is declared and defined: linking is not supported");
    if (functions.count(variable.name))
      return fail(variable.line,
                  "'" + std::string(variable.name) + "' is a function's name already");
  } while (accept(','));
  return expect(';');
}

/// After the space: [.align N] .type [.ptr ...] name[extents] [= value]
bool Parsing::parseVariable(Variable &out, Space space) {
  out.space = space;
  bool aligned = false;
  uint64_t vector = 1;
  while (peek().kind == Token::Kind::Word && peek().text[0] == '.') {
    std::string_view word = take().text;
    if (word == ".align") {
      uint64_t alignment;
      if (!expectInteger(alignment, "an alignment"))
        return false;
      if (!alignment || (alignment & (alignment - 1)) || alignment > 1u << 20)
        return failHere("alignment " + std::to_string(alignment) +
                        " is no power of two up to 1048576");
      out.alignment = aligned ? out.alignment : uint32_t(alignment);
      aligned = true;
    } else if (word == ".ptr") { // what a pointer points to; its own .align does not count
      while (peek().kind == Token::Kind::Word && peek().text[0] == '.')
        if (take().is(".align"))
          take();
      break;
    } else if (word == ".v2" || word == ".v4") {
      vector = word == ".v2" ? 2 : 4;
    } else if (word == ".attribute") {
      return failHere("attributes of variables are not supported");
    } else if (Type type = typeNamed(word.substr(1)); type != Type::None && type != Type::Pred) {
      out.type = type;
    } else {
      return failHere("'" + std::string(word) + "' is no type");
    }
  }
  if (out.type == Type::None)
    return failHere("a variable without a type");
  out.line = peek().line;
  if (!expectWord(out.name, "a variable's name"))
    return false;
  out.size = sizeOf(out.type) * vector;
  if (!aligned)
    out.alignment = uint32_t(out.size);
  return parseExtent(out) && (!accept('=') || parseInitialiser(out));
}

bool Parsing::parseExtent(Variable &out) {
  bool open = false;
  while (accept('[')) {
    if (accept(']')) {
      open = true;
      continue;
    }
    uint64_t extent;
    if (!expectInteger(extent, "an extent") || !expect(']'))
      return false;
    if (extent > largestVariable || out.size * extent > largestVariable)
      return fail(out.line, "'" + std::string(out.name) + "' is too large");
    out.size *= extent;
  }
  if (!open)
    return true;
  // An extent that is left out is either stated by the value or, for extern .shared, by the launch.
  if (!out.isExtern && !peek().is('='))
    return fail(out.line, "'" + std::string(out.name) + "' has no extent");
  out.size = 0;
  return true;
}

bool Parsing::appendValue(Variable &out, uint64_t bits, uint32_t bytes) {
  if (out.size && out.value.size() + bytes > out.size)
    return failHere("'" + std::string(out.name) + "' has more values than room");
  for (uint32_t i = 0; i < bytes; ++i)
    out.value.push_back(uint8_t(bits >> (8 * i)));
  return true;
}

/// Braces of arrays in arrays add nothing: extents are stated, and nothing is left out inside.
bool Parsing::parseInitialiser(Variable &out) {
  unsigned depth = 0;
  do {
    while (accept('{'))
      ++depth;
    if (!peek().is('}') && !parseInitialValue(out))
      return false;
    while (depth && accept('}'))
      --depth;
  } while (depth ? expect(',') : false);
  if (!message.empty())
    return false;
  if (!out.size)
    out.size = out.value.size();
  return true;
}

bool Parsing::parseInitialValue(Variable &out) {
  bool negative = accept('-');
  const Token &token = peek();
  uint32_t bytes = sizeOf(out.type);
  switch (token.kind) {
  case Token::Kind::Integer:
    if (bytes > 8)
      return failHere("values of 16 bytes are not supported");
    take();
    return appendValue(out, negative ? -token.bits : token.bits, bytes);
  case Token::Kind::Single:
  case Token::Kind::Double: {
    take();
    uint64_t bits = token.bits;
    if (token.kind == Token::Kind::Double && out.type == Type::F32) {
      double wide;
      std::memcpy(&wide, &bits, sizeof wide);
      float narrow = float(negative ? -wide : wide);
      uint32_t word;
      std::memcpy(&word, &narrow, sizeof word);
      return appendValue(out, word, 4);
    }
    uint32_t size = token.kind == Token::Kind::Single ? 4 : 8;
    if (negative)
      bits ^= uint64_t(1) << (8 * size - 1);
    return appendValue(out, bits, size);
  }
  case Token::Kind::Word:
    return parseInitialSymbol(out);
  default:
    return failHere("expected a value, found " + found());
  }
}

/// name, name+4, generic(name), generic(name)+4
bool Parsing::parseInitialSymbol(Variable &out) {
  Relocation relocation;
  relocation.offset = out.value.size();
  relocation.generic = accept("generic");
  if (relocation.generic && !expect('('))
    return false;
  std::string_view name;
  if (!expectWord(name, "a name") || (relocation.generic && !expect(')')))
    return false;
  if (auto found = variables.find(name); found != variables.end())
    relocation.variable = found->second;
  else if (auto called = functions.find(name); called != functions.end())
    relocation.function = called->second;
  else
    return failHere("'" + std::string(name) + "' is not declared");
  if (relocation.variable && relocation.variable->space == Space::Shared)
    return failHere("'" + std::string(name) + "' has no address before a block runs");
  if (peek().is('+') || peek().is('-')) {
    bool minus = take().is('-');
    minus ^= accept('-');
    uint64_t addend;
    if (!expectInteger(addend, "an offset"))
      return false;
    relocation.addend = int64_t(minus ? -addend : addend);
  }
  if (sizeOf(out.type) != 8)
    return failHere("an address needs a variable of 64-bit elements");
  out.relocations.push_back(relocation);
  return appendValue(out, 0, 8);
}

Result<std::shared_ptr<const Syntax>> parse(std::string_view text, std::string name) {
  auto syntax = std::make_shared<Syntax>();
  syntax->name = std::move(name);
  syntax->text = text;
  Parsing parsing(*syntax);
  if (!parsing.parseModule())
    return Status::error(parsing.error());
  return std::shared_ptr<const Syntax>(std::move(syntax));
}

} // namespace pianola::ptx
