// Code.h - a kernel, decoded: what the warps execute.
//
// Decoding turns each instruction into an Op: a handler that executes it for the lanes of a mask,
// and the places of its registers. A register is 32 values side by side, one for each lane, in its
// warp's register file; a predicate is one word of 32 bits. Constants lie in a file of their own,
// repeated for each lane, so a handler reads both alike. Functions that a kernel calls are part of
// its code: recursion is refused, so each function has one fixed frame, and each lane's return
// address is a register.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_CODE_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_CODE_H

#include "targets/nvptx/emulator/Memory.h"
#include "targets/nvptx/emulator/Syntax.h"
#include "targets/nvptx/emulator/numeric/Rounding.h"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace pianola::ptx {

constexpr uint32_t warpSize = 32;
constexpr uint32_t stackBytes = 1u << 14; ///< of a thread, where the kernel uses alloca

/// Where 32 values begin: bytes from the start of the register file, or ~bytes from the start of
/// the constants.
using Slot = int32_t;
constexpr Slot noSlot = INT32_MIN;

/// What the warp does after an instruction.
enum class Step : uint8_t {
  Next,   ///< the next instruction, same lanes
  Jumped, ///< the group's pc was set
  Switch, ///< the group waits, was split or is gone: choose again
};

struct Warp;
struct Op;
using Handler = Step (*)(Warp &, const Op &, uint32_t mask);

/// Where control may go from an op.
enum class Flow : uint8_t {
  Next,
  Branch, ///< to `target`
  Table,  ///< to one of `value` ops in Code::slots from `more` on
  Leave,  ///< out of the function
};

struct Op {
  Handler run = nullptr;
  Flow flow = Flow::Next;
  Slot guard = noSlot;
  bool guardNegated = false;
  /// Lanes whose guard is false go on by themselves, because those whose guard is true may have to
  /// wait.
  bool splits = false;
  /// Writes a result before it has read every operand: their registers must not be shared.
  bool earlyClobber = false;
  Slot d[2] = {noSlot, noSlot};
  Slot s[4] = {noSlot, noSlot, noSlot, noSlot};
  /// Further registers, in Code::slots: `moreDefs` results, then `moreUses` operands.
  uint32_t more = 0;
  uint8_t moreDefs = 0, moreUses = 0;

  Type type = Type::None, other = Type::None;
  Space space = Space::Generic;
  Order order = Order::Weak;
  Scope scope = Scope::None;
  Rounding rounding = Rounding::Nearest;
  bool ftz = false, saturate = false;
  uint8_t count = 1;   ///< elements of a vector
  uint16_t mode = 0;   ///< what else a family distinguishes
  uint32_t target = 0; ///< an op's index, or what else a family needs
  uint64_t value = 0;  ///< the constant part of the address in s[0], or what else a family needs
  uint64_t value2 = 0; ///< the constant part of an address in s[1]
  uint64_t value3 = 0; ///< of one in s[3]
  uint8_t wideAddress = 0; ///< bit i: the address in s[i] has 64 bits
};

struct Code {
  std::vector<Op> ops;
  std::vector<Slot> slots;
  std::vector<uint8_t> constants;
  std::vector<const Instruction *> source; ///< of each op
  std::vector<uint32_t> stage;             ///< of each op, an index into stages; empty: no stages
  std::vector<std::string> stages;
  std::vector<std::string> formats; ///< what else a family keeps as text
};

/// One parameter in the bank that a launch fills.
struct KernelParameter {
  std::string_view name;
  uint32_t offset, size;
};

/// Where a caller finds what it hands to a function and takes back: offsets and sizes in local
/// memory.
struct CallFrame {
  Slot returnAddress = noSlot;
  std::vector<std::pair<uint32_t, uint32_t>> parameters, results;
};

class Module;

/// Where functions have their addresses, in the order of the text, each next one `codeStride`
/// further.
constexpr uint64_t codeWindow = uint64_t(8) << 32;
constexpr uint64_t codeStride = 16;
inline uint64_t addressOf(const Function &function) {
  return codeWindow + codeStride * function.index;
}

struct Kernel {
  std::string name;
  const Module *module = nullptr;
  Code code;
  uint32_t registerBytes = 0; ///< of a warp
  uint32_t localBytes = 0;    ///< of a thread
  bool usesStack = false;     ///< alloca: the last `stackBytes` of localBytes are the stack
  uint32_t sharedBytes = 0;   ///< of a block, without what a launch adds
  /// Where the variables of a block's shared memory lie: further apart than on a device, so that
  /// what runs over the end of one meets nobody's bytes. What a launch adds begins at `sharedSpan`.
  std::vector<Extent> shared;
  uint32_t sharedSpan = 0;
  uint32_t parameterBytes = 0;
  std::vector<KernelParameter> parameters;
  Dim3 requiredBlock{0, 0, 0}, maximumBlock{0, 0, 0}; ///< x = 0: not stated
  std::vector<CallFrame> callFrames;                  ///< of the functions that it reaches
  /// A function that may be called through a pointer.
  struct Pointee {
    uint32_t first = 0; ///< op; 0: it may not be called
    uint32_t frame = 0; ///< in callFrames
  };
  std::vector<Pointee> pointees;                            ///< by Function::index
  std::vector<std::shared_ptr<const Instruction>> implicit; ///< of ops that no text stands for
};

/// Parsed, decoded and placed on a device.
class Module {
public:
  /// The kernel of that name, or null.
  const Kernel *findKernel(std::string_view name) const;
  const std::deque<Kernel> &kernels() const { return all; }
  const std::string &name() const { return syntax->name; }

  std::shared_ptr<const Syntax> syntax;
  std::deque<Kernel> all;
  std::unordered_map<const Variable *, uint64_t> addresses; ///< of .global and .const variables
};

} // namespace pianola::ptx

#endif
