// The bodies of functions: declarations, labels and instructions between braces.
#include "targets/nvptx/emulator/Parsing.h"

namespace pianola::ptx {

namespace {

constexpr uint32_t mostRegisters = 1u << 22; ///< in one function, used ones
constexpr unsigned deepestBraces = 256;
constexpr size_t mostBranchTargets = 1u << 18; ///< of all brx.idx of one function

/// The digits at the end of a register's name: "%r" and 12 of "%r12".
bool splitNumber(std::string_view name, std::string_view &prefix, uint32_t &number) {
  size_t digits = 0;
  while (digits < name.size() && name[name.size() - 1 - digits] >= '0' &&
         name[name.size() - 1 - digits] <= '9')
    ++digits;
  if (!digits || digits > 9 || (digits > 1 && name[name.size() - digits] == '0'))
    return false;
  prefix = name.substr(0, name.size() - digits);
  number = 0;
  for (char c : name.substr(prefix.size()))
    number = number * 10 + uint32_t(c - '0');
  return true;
}

} // namespace

bool Parsing::parseBody(Function &into) {
  function = &into;
  scopes.assign(1, {});
  for (Variable &variable : into.variables)
    scopes[0].names[variable.name] = {Meaning::Kind::Variable, 0, 0, variable.type, &variable};
  if (!expect('{'))
    return false;
  while (!scopes.empty())
    if (!parseStatement())
      return false;
  return true;
}

bool Parsing::parseStatement() {
  const Token &token = peek();
  switch (token.kind) {
  case Token::Kind::Stage:
    take();
    function->stages.emplace_back(uint32_t(function->instructions.size()), token.text);
    return true;
  case Token::Kind::Mark:
    if (accept(';'))
      return true;
    if (accept('{')) {
      if (scopes.size() > deepestBraces)
        return failHere("braces nested too deeply");
      scopes.emplace_back();
      return true;
    }
    if (accept('}'))
      return closeBrace();
    if (token.is('@'))
      return parseInstruction();
    return failHere("expected an instruction, found " + found());
  case Token::Kind::Word:
    break;
  case Token::Kind::End:
    return expect('}');
  default:
    return failHere("expected an instruction, found " + found());
  }
  if (peek(1).is(':')) {
    take(), take();
    return parseLabelled(token.text);
  }
  if (token.text[0] != '.')
    return parseInstruction();
  if (accept(".reg"))
    return parseRegisters();
  if (accept(".local"))
    return parseLocalVariables(Space::Local);
  if (accept(".shared"))
    return parseLocalVariables(Space::Shared);
  if (accept(".param"))
    return parseLocalVariables(Space::Param);
  if (token.is(".loc") || token.is(".file") || token.is(".pragma"))
    return skipStatement();
  return failHere("unknown directive '" + std::string(token.text) + "' in a function");
}

/// Labels that are still looked for are looked for outside of the braces.
bool Parsing::closeBrace() {
  BraceScope closed = std::move(scopes.back());
  scopes.pop_back();
  for (LabelUse &use : closed.uses) {
    auto found = closed.labels.find(use.name);
    if (found != closed.labels.end()) {
      Operand &operand = function->instructions[use.instruction].operands[use.operand];
      operand.kind = Operand::Kind::Label;
      operand.index = found->second;
    } else if (scopes.empty()) {
      return fail(use.line, "label '" + std::string(use.name) + "' is not defined");
    } else {
      scopes.back().uses.push_back(use);
    }
  }
  if (!scopes.empty())
    return true;
  // The lists of brx.idx are resolved here, and become operands of the instructions that name them.
  size_t listed = 0;
  for (Instruction &instruction : function->instructions) {
    if (instruction.words[0] != "brx" || instruction.operands.size() != 2)
      continue;
    auto targets = function->branchTargets.find(instruction.operands[1].text);
    if (targets == function->branchTargets.end())
      return fail(instruction.line, "brx needs the label of a .branchtargets list");
    listed += targets->second.size();
    if (listed > mostBranchTargets)
      return fail(instruction.line, "too many branch targets in one function");
    Operand &labels = instruction.operands[1];
    labels.kind = Operand::Kind::List;
    for (uint32_t index : targets->second) {
      auto found = closed.labels.find(stream[index].text);
      if (found == closed.labels.end())
        return fail(stream[index].line,
                    "label '" + std::string(stream[index].text) + "' is not defined");
      Operand label;
      label.kind = Operand::Kind::Label;
      label.index = found->second;
      labels.elements.push_back(label);
    }
  }
  return true;
}

bool Parsing::parseRegisters() {
  std::string_view word;
  if (!expectWord(word, "a type"))
    return false;
  Type type = word.size() > 1 ? typeNamed(word.substr(1)) : Type::None;
  if (type == Type::None)
    return failHere("'" + std::string(word) + "' is no type of a register");
  do {
    std::string_view name;
    if (!expectWord(name, "a register's name"))
      return false;
    Meaning meaning{Meaning::Kind::Register, 0, 0, type, nullptr};
    if (accept('<')) {
      uint64_t count;
      if (!expectInteger(count, "a number of registers") || !expect('>'))
        return false;
      meaning.kind = Meaning::Kind::Range;
      meaning.count = uint32_t(std::min<uint64_t>(count, UINT32_MAX));
    } else {
      meaning.index = uint32_t(function->registers.size());
      function->registers.push_back({name, 0, type});
    }
    // nvcc declares temp_param_reg in every call sequence, each in braces of its own.
    if (!scopes.back().names.insert({name, meaning}).second)
      return failHere("'" + std::string(name) + "' is declared twice");
  } while (accept(','));
  return expect(';');
}

bool Parsing::parseLocalVariables(Space space) {
  do {
    function->variables.emplace_back();
    Variable &variable = function->variables.back();
    if (!parseVariable(variable, space))
      return false;
    if (!variable.value.empty())
      return fail(variable.line, "'" + std::string(variable.name) + "' may not have a value");
    if (!scopes.back()
             .names
             .insert({variable.name, {Meaning::Kind::Variable, 0, 0, variable.type, &variable}})
             .second)
      return fail(variable.line, "'" + std::string(variable.name) + "' is declared twice");
  } while (accept(','));
  return expect(';');
}

bool Parsing::parseLabelled(std::string_view label) {
  if (accept(".branchtargets")) {
    std::vector<uint32_t> targets;
    do {
      targets.push_back(uint32_t(at));
      std::string_view ignored;
      if (!expectWord(ignored, "a label"))
        return false;
    } while (accept(','));
    function->branchTargets[label] = std::move(targets);
    return expect(';');
  }
  if (accept(".callprototype"))
    return parsePrototype(label);
  if (accept(".calltargets")) { // who may be called; the call's own value decides
    while (peek().kind == Token::Kind::Word || peek().is(','))
      take();
    return expect(';');
  }
  if (!scopes.back().labels.insert({label, uint32_t(function->instructions.size())}).second)
    return failHere("label '" + std::string(label) + "' is defined twice");
  return true;
}

/// label: .callprototype (.param .b32 _) _ (.param .b64 _, ...);
bool Parsing::parsePrototype(std::string_view label) {
  CallPrototype prototype;
  Function ignored;
  std::string_view name;
  if (!parseSignature(ignored, false, prototype.results, prototype.parameters, name) ||
      !parseEntryAttributes(ignored))
    return false;
  function->prototypes[label] = std::move(prototype);
  return expect(';');
}

bool Parsing::parseInstruction() {
  const Token &first = peek();
  Instruction out;
  out.line = first.line;
  if (accept('@')) {
    out.guarded = true;
    out.guardNegated = accept('!');
    Operand guard;
    if (!parseOperand(guard, false))
      return false;
    if (guard.kind != Operand::Kind::Register ||
        function->registers[guard.index].type != Type::Pred)
      return fail(out.line, "a guard must be a predicate");
    out.guard = guard.index;
  }
  std::string_view opcode;
  if (!expectWord(opcode, "an instruction"))
    return false;
  if (opcode[0] == '%' || opcode[0] == '.')
    return fail(out.line, "expected an instruction, found '" + std::string(opcode) + "'");
  for (size_t start = 0; start <= opcode.size();) {
    size_t end = std::min(opcode.find('.', start), opcode.size());
    out.words.push_back(opcode.substr(start, end - start));
    start = end + 1;
  }
  uint32_t index = uint32_t(function->instructions.size());
  bool isBranch = out.words[0] == "bra",
       takesNames = isBranch || out.words[0] == "brx" || out.words[0] == "call";
  if (!peek().is(';')) {
    do {
      out.operands.emplace_back();
      if (!parseOperand(out.operands.back(), takesNames))
        return false;
      if (isBranch && out.operands.back().kind == Operand::Kind::Name)
        scopes.back().uses.push_back(
            {index, uint32_t(out.operands.size() - 1), out.operands.back().text, out.line});
    } while (accept(','));
  }
  const Token &last = stream[at ? at - 1 : 0];
  if (!accept(';')) // on the line where it is missing, not where the next instruction begins
    return fail(last.line, "expected ';' after '" + std::string(last.text) + "', found " + found());
  out.text = std::string_view(first.text.data(),
                              size_t(last.text.data() + last.text.size() - first.text.data()));
  function->instructions.push_back(std::move(out));
  return true;
}

bool Parsing::parseOperand(Operand &out, bool mayBeLabel) {
  out.negated = accept('!');
  const Token &token = peek();
  bool parsed = false;
  if (accept('['))
    parsed = parseAddress(out);
  else if (accept('{'))
    out.kind = Operand::Kind::Vector, parsed = parseElements(out, '}');
  else if (accept('('))
    out.kind = Operand::Kind::List, parsed = parseElements(out, ')');
  else if (token.kind == Token::Kind::Word)
    parsed = parseName(out, mayBeLabel);
  else
    parsed = parseNumber(out);
  if (!parsed || !accept('|'))
    return parsed;
  Operand pair;
  pair.kind = Operand::Kind::Pair;
  pair.elements.push_back(std::move(out));
  pair.elements.emplace_back();
  out = std::move(pair);
  if (peek().kind != Token::Kind::Word)
    return failHere("expected a second result, found " + found());
  return parseName(out.elements.back(), false);
}

bool Parsing::parseElements(Operand &out, char close) {
  if (accept(close))
    return true;
  do {
    out.elements.emplace_back();
    if (peek().is('{') || peek().is('(') || peek().is('['))
      return failHere("an operand inside of an operand");
    if (!parseOperand(out.elements.back(), true))
      return false;
  } while (accept(','));
  return expect(close);
}

bool Parsing::parseAddress(Operand &out) {
  out.kind = Operand::Kind::Address;
  out.elements.emplace_back();
  Operand &base = out.elements.back();
  if (peek().kind == Token::Kind::Word ? !parseName(base, false) : !parseNumber(base))
    return false;
  if (base.kind != Operand::Kind::Register && base.kind != Operand::Kind::Variable &&
      base.kind != Operand::Kind::Immediate)
    return failHere("an address must begin with a register, a variable or a number");
  if (peek().is('+') || peek().is('-')) {
    bool minus = take().is('-');
    minus ^= accept('-');
    uint64_t offset;
    if (!expectInteger(offset, "an offset"))
      return false;
    out.bits = minus ? -offset : offset;
  }
  return expect(']');
}

bool Parsing::parseNumber(Operand &out) {
  bool negative = false, inverted = false;
  while (peek().is('-') || peek().is('+') || peek().is('~'))
    if (const Token &sign = take(); sign.is('-'))
      negative = !negative;
    else if (sign.is('~'))
      inverted = !inverted;
  if (peek().kind == Token::Kind::End)
    return failHere("expected an operand, found " + found());
  const Token &token = take();
  out.bits = token.bits;
  switch (token.kind) {
  case Token::Kind::Integer:
    out.kind = Operand::Kind::Immediate;
    if (inverted)
      out.bits = ~out.bits;
    if (negative)
      out.bits = -out.bits;
    return true;
  case Token::Kind::Single:
    out.kind = Operand::Kind::Single;
    out.bits ^= negative ? uint64_t(1) << 31 : 0;
    return true;
  case Token::Kind::Double:
    out.kind = Operand::Kind::Float;
    out.bits ^= negative ? uint64_t(1) << 63 : 0;
    return true;
  default:
    return fail(token.line, "expected an operand, found '" + std::string(token.text) + "'");
  }
}

const Parsing::Meaning *Parsing::lookUp(std::string_view name) {
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope)
    if (auto found = scope->names.find(name);
        found != scope->names.end() && found->second.kind != Meaning::Kind::Range)
      return &found->second;
  std::string_view prefix;
  uint32_t number;
  if (!splitNumber(name, prefix, number))
    return nullptr;
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
    auto range = scope->names.find(prefix);
    if (range == scope->names.end() || range->second.kind != Meaning::Kind::Range)
      continue;
    if (number >= range->second.count || function->registers.size() >= mostRegisters)
      return nullptr;
    Type type = range->second.type;
    Meaning meaning{Meaning::Kind::Register, uint32_t(function->registers.size()), 0, type,
                    nullptr};
    function->registers.push_back({prefix, number, type});
    return &(scope->names[name] = meaning);
  }
  return nullptr;
}

bool Parsing::parseName(Operand &out, bool mayBeLabel) {
  const Token &token = take();
  std::string_view name = token.text;
  out.text = name;
  if (name == "_") {
    out.kind = Operand::Kind::Sink;
    return true;
  }
  if (const Meaning *meaning = lookUp(name)) {
    bool isRegister = meaning->kind == Meaning::Kind::Register;
    out.kind = isRegister ? Operand::Kind::Register : Operand::Kind::Variable;
    out.index = meaning->index;
    out.variable = meaning->variable;
    return true;
  }
  if (auto found = variables.find(name); found != variables.end()) {
    out.kind = Operand::Kind::Variable;
    out.variable = found->second;
    return true;
  }
  if (auto found = functions.find(name); found != functions.end()) {
    out.kind = Operand::Kind::Function;
    out.function = found->second;
    return true;
  }
  if (SpecialRegister special; specialNamed(name, special)) {
    out.kind = Operand::Kind::Special;
    out.index = uint32_t(special);
    return true;
  }
  if (name == "WARP_SZ") {
    out.kind = Operand::Kind::Immediate;
    out.bits = 32;
    return true;
  }
  if (!mayBeLabel)
    return fail(token.line, "'" + std::string(name) + "' is not declared");
  out.kind = Operand::Kind::Name;
  return true;
}

bool specialNamed(std::string_view word, SpecialRegister &out) {
  using S = SpecialRegister;
  static const std::unordered_map<std::string_view, SpecialRegister> names = {
      {"%tid.x", S::TidX},
      {"%tid.y", S::TidY},
      {"%tid.z", S::TidZ},
      {"%ntid.x", S::NtidX},
      {"%ntid.y", S::NtidY},
      {"%ntid.z", S::NtidZ},
      {"%ctaid.x", S::CtaidX},
      {"%ctaid.y", S::CtaidY},
      {"%ctaid.z", S::CtaidZ},
      {"%nctaid.x", S::NctaidX},
      {"%nctaid.y", S::NctaidY},
      {"%nctaid.z", S::NctaidZ},
      {"%laneid", S::LaneId},
      {"%warpid", S::WarpId},
      {"%nwarpid", S::NWarpId},
      {"%smid", S::SmId},
      {"%nsmid", S::NSmId},
      {"%gridid", S::GridId},
      {"%lanemask_eq", S::LaneMaskEq},
      {"%lanemask_le", S::LaneMaskLe},
      {"%lanemask_lt", S::LaneMaskLt},
      {"%lanemask_ge", S::LaneMaskGe},
      {"%lanemask_gt", S::LaneMaskGt},
      {"%clock", S::Clock},
      {"%clock_hi", S::ClockHi},
      {"%clock64", S::Clock64},
      {"%globaltimer", S::GlobalTimer},
      {"%globaltimer_lo", S::GlobalTimerLo},
      {"%globaltimer_hi", S::GlobalTimerHi},
      {"%dynamic_smem_size", S::DynamicSharedSize},
      {"%total_smem_size", S::TotalSharedSize},
      // A grid without clusters is one of clusters of one block.
      {"%clusterid.x", S::CtaidX},
      {"%clusterid.y", S::CtaidY},
      {"%clusterid.z", S::CtaidZ},
      {"%nclusterid.x", S::NctaidX},
      {"%nclusterid.y", S::NctaidY},
      {"%nclusterid.z", S::NctaidZ},
      {"%cluster_ctaid.x", S::Zero},
      {"%cluster_ctaid.y", S::Zero},
      {"%cluster_ctaid.z", S::Zero},
      {"%cluster_nctaid.x", S::One},
      {"%cluster_nctaid.y", S::One},
      {"%cluster_nctaid.z", S::One},
      {"%cluster_ctarank", S::Zero},
      {"%cluster_nctarank", S::One},
      {"%is_explicit_cluster", S::Zero},
      {"%envreg1", S::EnvReg},
      {"%envreg2", S::EnvReg2},
  };
  auto found = names.find(word);
  if (found == names.end())
    return false;
  out = found->second;
  return true;
}

} // namespace pianola::ptx
