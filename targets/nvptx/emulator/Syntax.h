// Syntax.h - PTX text as a tree: what the parser makes and the decoder reads. Names are resolved (a
// register is an index, a variable or function a pointer), instructions are still words.
//
// Every string_view points into the module's own copy of its text.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_SYNTAX_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_SYNTAX_H

#include "targets/nvptx/emulator/Types.h"

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pianola::ptx {

struct Function;

/// An address inside of a variable's initial value: 8 bytes at `offset` hold the target's address.
struct Relocation {
  uint64_t offset = 0;
  const struct Variable *variable = nullptr;
  const Function *function = nullptr;
  int64_t addend = 0;
  bool generic =
      false; ///< generic(name): the generic address instead of the one inside of its space
};

/// A variable of any state space but .reg, or a parameter.
struct Variable {
  std::string_view name;
  Space space = Space::Generic;
  Type type = Type::None;
  uint32_t alignment = 1;
  uint64_t size = 0; ///< bytes; 0: an extern array without extent
  bool isExtern = false;
  std::vector<uint8_t> value; ///< the initial bytes, as many as were stated; the rest is zero
  std::vector<Relocation> relocations;
  uint32_t line = 0;
  uint64_t offset = 0; ///< in its function's or block's frame, for .shared, .local and .param
};

struct Register {
  std::string_view name; ///< of a range %r<9>: the prefix
  uint32_t number = 0;   ///< in its range
  Type type = Type::None;
};

struct Operand {
  enum class Kind : uint8_t {
    Register,  ///< index
    Immediate, ///< bits: an integer, two's complement
    Float,     ///< bits: of an f64
    Single,    ///< bits: of an f32, written 0f...
    Special,   ///< index: SpecialRegister
    Variable,  ///< variable + bits: its address
    Function,  ///< function: its address
    Label,     ///< index: of an instruction
    Address,   ///< [elements[0] + bits], base a register, a variable or an immediate
    Vector,    ///< {elements}
    List,      ///< (elements), of a call
    Pair,      ///< elements[0] | elements[1]
    Sink,      ///< _
    Name,      ///< any other word: text
  };
  Kind kind = Kind::Sink;
  bool negated = false; ///< !p
  uint32_t index = 0;
  uint64_t bits = 0;
  const Variable *variable = nullptr;
  const Function *function = nullptr;
  std::string_view text;
  std::vector<Operand> elements;
};

struct Instruction {
  uint32_t line = 0;
  std::string_view text;               ///< as written, guard and all, without the semicolon
  std::vector<std::string_view> words; ///< the opcode and its modifiers
  bool guarded = false, guardNegated = false;
  uint32_t guard = 0; ///< register
  std::vector<Operand> operands;
};

/// A list that .branchtargets or .calltargets names, or a .callprototype.
struct CallPrototype {
  std::vector<Variable> results, parameters;
};

struct Function {
  std::string_view name;
  uint32_t index = 0;                       ///< in the module
  bool isEntry = false, isDeclared = false; ///< declared: without a body
  std::vector<Variable *> results, parameters;
  std::vector<Register> registers;
  std::vector<Instruction> instructions;
  std::deque<Variable> variables; ///< parameters, results, and the variables of its body
  std::unordered_map<std::string_view, std::vector<uint32_t>> branchTargets;
  std::unordered_map<std::string_view, CallPrototype> prototypes;
  std::vector<std::pair<uint32_t, std::string_view>>
      stages;                                         ///< from instruction on: a `// stage: name`
  Dim3 requiredBlock{0, 0, 0}, maximumBlock{0, 0, 0}; ///< .reqntid, .maxntid; x = 0: not stated
  uint32_t line = 0;
};

struct Syntax {
  std::string name; ///< of the file
  std::string text;
  uint32_t version = 0; ///< 85 for 8.5
  std::string_view target;
  std::deque<Function> functions;
  std::deque<Variable> variables;
};

} // namespace pianola::ptx

#endif
