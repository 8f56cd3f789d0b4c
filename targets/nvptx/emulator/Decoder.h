// Decoder.h - from the words of an instruction to an Op: what the families of instructions decode
// with.
//
// A family (families/*.cpp) is a function that takes the words it knows, states its registers and
// picks a handler. Words that no one took are an error: what is not understood is never ignored.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_DECODER_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_DECODER_H

#include "runtime/Status.h"
#include "targets/nvptx/emulator/Code.h"

#include <initializer_list>
#include <map>
#include <unordered_map>

namespace pianola::ptx {

class Decoder {
public:
  using Family = bool (*)(Decoder &);

  Decoder(const Module &module, Kernel &kernel) : module(module), kernel(kernel) {}

  /// Decodes an entry and all that it calls into the kernel.
  Status decode(const Function &entry);

  // What a family reads.
  const Instruction &instruction() const { return *current; }
  const std::vector<Operand> &operands() const { return current->operands; }
  size_t operandCount() const { return current->operands.size(); }
  std::string_view opcode() const { return current->words[0]; }

  // Words. Each is taken once; has() only looks.
  bool has(std::string_view word) const;
  bool accept(std::string_view word);
  /// Takes the next word that names a type.
  bool takeType(Type &out);
  /// The types among the words that are not taken yet.
  bool takeRounding(Rounding &out);
  /// .relaxed .acquire .release .acq_rel .sc .weak .volatile .mmio, with its scope.
  void takeOrder(Order &order, Scope &scope);
  bool takeScope(Scope &scope);
  bool takeSpace(Space &space);

  // Registers. Each checks kind and size, and fails with a message.
  bool define(size_t operand, uint32_t bytes, Slot &out);
  bool define(const Operand &operand, uint32_t bytes, Slot &out);
  bool definePredicate(const Operand &operand, Slot &out);
  /// A register of that many bytes, or a constant converted to the type.
  bool use(size_t operand, Type type, Slot &out);
  bool use(const Operand &operand, Type type, Slot &out);
  bool usePredicate(const Operand &operand, Slot &out, bool &negated);
  /// Bytes of an operand that is a register, 0 otherwise.
  uint32_t registerBytes(const Operand &operand) const;
  bool isRegister(const Operand &operand) const { return operand.kind == Operand::Kind::Register; }
  /// An address [base + offset]: the base register goes to s[index], the rest to op.value.
  bool address(size_t operand, Space space, int index = 0);
  bool immediate(size_t operand, uint64_t &out);
  bool expectOperands(size_t count);
  bool expectOperands(size_t least, size_t most);
  /// All results and operands of `{...}`: results first, then operands.
  void more(const std::vector<Slot> &defs, const std::vector<Slot> &uses);
  Slot constant(uint64_t bits, uint32_t bytes);
  /// The condition code of extended-precision arithmetic: a predicate that the function has one of.
  Slot carry();

  Op op;

  /// Sets the handler and accepts the instruction.
  bool run(Handler handler) {
    op.run = handler;
    return true;
  }
  bool fail(const std::string &what);
  bool unknown() { return fail("this form of the instruction is not supported"); }

  // Control.
  /// The op's target becomes the op of the label once the function is decoded.
  void branchesTo(const Operand &label) { branches.emplace_back(nextIndex(), label.index); }
  uint32_t nextIndex() const { return uint32_t(kernel.code.ops.size()); }
  /// Ends the op under construction and begins another one for the same instruction.
  bool emit();
  const Function &function() const { return *inside; }
  /// Where a call finds a function: its first op is known once all are decoded.
  struct Frame {
    Slot returnAddress = noSlot;                           ///< a virtual register
    uint32_t first = 0;                                    ///< op
    uint32_t number = 0;                                   ///< in Kernel::callFrames
    std::unordered_map<const Variable *, uint32_t> locals; ///< offsets in the thread's local memory
  };
  const Frame &frameOf(const Function &function) { return frames[&function]; }
  /// The op's target becomes the function's first op.
  void callsTo(const Function &callee) { calls.emplace_back(nextIndex(), &callee); }
  /// Where a variable of the running function or its block lies, in its own space.
  bool placeOf(const Variable &variable, uint64_t &address, Space &space);
  Code &code() { return kernel.code; }
  Kernel &target() { return kernel; }

private:
  using Path = std::vector<const Function *>;
  bool collect(const Function &function, Path &path);
  void placeVariables(const Function &function);
  void placeShared(const Variable &variable);
  bool decodeFunction(const Function &function);
  bool decodeInstruction(const Instruction &instruction);
  void resolve();
  bool allocate();
  Slot newRegister(uint32_t bytes);

  const Module &module;
  Kernel &kernel;
  std::string message;
  const Instruction *current = nullptr;
  uint64_t taken = 0; ///< words
  const Function *inside = nullptr;
  Slot carryRegister = noSlot; ///< of the function being decoded, once it has one
  Path reachable;              ///< callees before callers
  Path pointees;               ///< may be called through a pointer
  std::unordered_map<const Function *, std::vector<const Function *>> callees;
  std::unordered_map<const Function *, int> visited;
  std::unordered_map<const Function *, Frame> frames;
  std::unordered_map<const Variable *, uint32_t> shared; ///< offsets in the block's memory
  std::unordered_map<std::string_view, uint32_t> stageNumbers;
  std::map<std::pair<uint64_t, uint32_t>, Slot> pool;
  std::vector<std::pair<uint32_t, uint32_t>> branches; ///< op, index of an instruction
  std::vector<std::pair<uint32_t, const Function *>> calls;
  std::vector<uint32_t> opOf; ///< of each instruction of the function being decoded

  // Registers before they are allocated: a slot is the number of a virtual register.
  std::vector<uint32_t> virtualBytes; ///< of each: 0 for a predicate
  uint32_t firstRegister = 0;         ///< of the function being decoded
  struct Extent {
    const Function *function;
    uint32_t firstOp, endOp, firstRegister, endRegister;
  };
  std::vector<Extent> extents;
};

/// The family that knows an opcode, or null.
Decoder::Family familyOf(std::string_view opcode);

/// Gives each virtual register that the ops [first, end) use a place in the register file from
/// `base` on, so that registers that live at the same time never share one, and replaces their
/// numbers by their places. Registers in `pinned` live all the time. Returns the end of the frame.
uint32_t allocateRegisters(Code &code, uint32_t first, uint32_t end, uint32_t firstRegister,
                           uint32_t endRegister, const std::vector<uint32_t> &bytes, Slot pinned,
                           uint32_t base);

} // namespace pianola::ptx

#endif
