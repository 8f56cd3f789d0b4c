#include "targets/nvptx/emulator/Decoder.h"

#include "targets/nvptx/emulator/Memory.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace pianola::ptx {

namespace {

/// Far more than real kernels need; keeps a hostile text from taking all memory.
constexpr uint64_t mostLocalBytes = 512 << 10, mostSharedBytes = 1 << 20,
                   mostParameterBytes = 64 << 10;

constexpr size_t deepestCalls = 500;
constexpr uint32_t mostRegisterBytes = 64 << 20; ///< of a warp

/// Between variables of shared memory: more than one vector, and whole cells of the race detector.
constexpr uint64_t redZone = 32;

uint64_t aligned(uint64_t offset, uint64_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

/// Functions that CUDA's runtime library has, which a launch executes itself.
bool isBuiltin(std::string_view name) { return name == "vprintf" || name == "__assertfail"; }

} // namespace

Status Decoder::decode(const Function &entry) {
  Path path;
  uint64_t offset = 0;
  for (const Variable *parameter : entry.parameters) {
    offset = aligned(offset, parameter->alignment);
    kernel.parameters.push_back({parameter->name, uint32_t(offset), uint32_t(parameter->size)});
    offset += parameter->size;
    if (offset > mostParameterBytes)
      return Status::error(module.name() + ":" + std::to_string(entry.line) +
                           ": the parameters of '" + kernel.name + "' are too large");
  }
  kernel.parameterBytes = uint32_t(offset);
  if (!collect(entry, path))
    return Status::error(message);
  std::set<const Variable *> used;
  for (const Function *function : reachable)
    for (const Instruction &instruction : function->instructions)
      for (const Operand &operand : instruction.operands) {
        used.insert(operand.variable);
        for (const Operand &element : operand.elements)
          used.insert(element.variable);
      }
  for (const Variable &variable : module.syntax->variables)
    if (variable.space == Space::Shared && !variable.isExtern && used.count(&variable))
      placeShared(variable);
  for (size_t i = 0; i < reachable.size(); ++i) {
    placeVariables(*reachable[i]);
    frames[reachable[i]].number = uint32_t(i);
  }
  // What a launch adds begins where the kernel's own ends.
  uint32_t alignment = 16;
  for (const Variable &variable : module.syntax->variables)
    if (variable.space == Space::Shared && variable.isExtern && used.count(&variable))
      alignment = std::max(alignment, variable.alignment);
  bool extends = false;
  kernel.sharedSpan = uint32_t(aligned(kernel.sharedSpan, alignment));
  for (const Variable &variable : module.syntax->variables)
    if (variable.space == Space::Shared && variable.isExtern) {
      shared[&variable] = kernel.sharedSpan;
      extends |= used.count(&variable) != 0;
    }
  if (extends)
    kernel.sharedBytes = uint32_t(aligned(kernel.sharedBytes, alignment));
  if (kernel.sharedBytes > mostSharedBytes || kernel.localBytes > mostLocalBytes)
    return Status::error(module.name() + ":" + std::to_string(entry.line) + ": '" + kernel.name +
                         "' needs more .shared or .local memory than any device has");
  // The entry first, so that its first op is op 0.
  for (auto function = reachable.rbegin(); function != reachable.rend(); ++function)
    if (!decodeFunction(**function))
      return Status::error(message);
  if (kernel.usesStack)
    kernel.localBytes += stackBytes;
  resolve();
  if (!allocate())
    return Status::error(module.name() + ":" + std::to_string(entry.line) + ": '" + kernel.name +
                         "' and what it calls need too many registers");
  return {};
}

/// Callees first; a function that is on its own path calls itself.
bool Decoder::collect(const Function &function, Path &path) {
  int &state = visited[&function];
  if (state == 2)
    return true;
  if (state == 1) {
    message = module.name() + ":" + std::to_string(function.line) + ": '" +
              std::string(function.name) + "' calls itself: recursion is not supported";
    return false;
  }
  if (path.size() >= deepestCalls) {
    message = module.name() + ":" + std::to_string(function.line) + ": '" +
              std::string(function.name) + "' is called by more than " +
              std::to_string(deepestCalls) + " functions one inside of the other";
    return false;
  }
  state = 1;
  path.push_back(&function);
  std::vector<const Function *> called;
  bool indirect = false;
  for (const Instruction &instruction : function.instructions) {
    if (instruction.words[0] != "call")
      continue;
    bool direct = false;
    for (const Operand &operand : instruction.operands) {
      if (operand.kind != Operand::Kind::Function)
        continue;
      direct = true;
      if (operand.function->isDeclared && isBuiltin(operand.function->name))
        continue;
      if (operand.function->isDeclared || operand.function->isEntry) {
        message = module.name() + ":" + std::to_string(instruction.line) + ": '" +
                  std::string(operand.function->name) +
                  (operand.function->isEntry ? "' is an entry, which cannot be called: "
                                             : "' has no body, and linking is not supported: ") +
                  std::string(instruction.text);
        return false;
      }
      called.push_back(operand.function);
    }
    indirect |= !direct;
  }
  if (indirect) {
    // Whoever's address is taken anywhere may be meant.
    auto add = [&](const Function *taken) {
      if (taken->isDeclared || taken->isEntry)
        return;
      if (std::find(pointees.begin(), pointees.end(), taken) == pointees.end())
        pointees.push_back(taken);
    };
    for (const Variable &variable : module.syntax->variables)
      for (const Relocation &relocation : variable.relocations)
        if (relocation.function)
          add(relocation.function);
    for (const Function &each : module.syntax->functions)
      for (const Instruction &instruction : each.instructions)
        if (instruction.words[0] == "mov")
          for (const Operand &operand : instruction.operands)
            if (operand.kind == Operand::Kind::Function)
              add(operand.function);
    called.insert(called.end(), pointees.begin(), pointees.end());
  }
  for (const Function *callee : called)
    if (!collect(*callee, path))
      return false;
  callees[&function] = std::move(called);
  visited[&function] = 2;
  path.pop_back();
  reachable.push_back(&function);
  return true;
}

void Decoder::placeShared(const Variable &variable) {
  uint64_t end = aligned(kernel.sharedBytes, variable.alignment) + variable.size;
  kernel.sharedBytes = uint32_t(std::min(end, mostSharedBytes + 1));
  uint64_t place = aligned(kernel.sharedSpan, variable.alignment);
  end = std::min(place + variable.size, 2 * mostSharedBytes);
  shared[&variable] = uint32_t(place);
  kernel.shared.push_back({place, end, std::string(variable.name)});
  kernel.sharedSpan = uint32_t(std::min(end + redZone, 2 * mostSharedBytes));
}

void Decoder::placeVariables(const Function &function) {
  Frame &frame = frames[&function];
  for (const Variable &variable : function.variables) {
    bool isBank = function.isEntry &&
                  std::find(function.parameters.begin(), function.parameters.end(), &variable) !=
                      function.parameters.end();
    if (isBank)
      continue;
    if (variable.space == Space::Shared) {
      placeShared(variable);
    } else {
      uint64_t place = aligned(kernel.localBytes, std::max(variable.alignment, 4u));
      frame.locals[&variable] = uint32_t(place);
      kernel.localBytes = uint32_t(std::min(place + variable.size, mostLocalBytes + 1));
    }
  }
  kernel.localBytes = uint32_t(aligned(kernel.localBytes, 16));
}

bool Decoder::decodeFunction(const Function &function) {
  inside = &function;
  Frame &frame = frames[&function];
  frame.first = nextIndex();
  firstRegister = uint32_t(virtualBytes.size());
  for (const Register &reg : function.registers)
    virtualBytes.push_back(sizeOf(reg.type));
  for (const Register &reg : function.registers) {
    uint32_t bytes = sizeOf(reg.type);
    if (reg.type == Type::Pred || bytes == 2 || bytes == 4 || bytes == 8 || bytes == 16)
      continue;
    message = module.name() + ":" + std::to_string(function.line) + ": register '" +
              std::string(reg.name) + "' of " + std::to_string(bytes * 8) +
              " bits is not supported";
    return false;
  }
  frame.returnAddress = newRegister(4);
  carryRegister = noSlot;
  opOf.clear();
  branches.clear();
  for (const Instruction &instruction : function.instructions) {
    opOf.push_back(nextIndex());
    if (!decodeInstruction(instruction))
      return false;
  }
  opOf.push_back(nextIndex());
  // Labels may stand at the end; a function that runs over its end returns.
  static const std::string_view ret = "ret";
  auto implicit = std::make_shared<Instruction>();
  implicit->line =
      function.instructions.empty() ? function.line : function.instructions.back().line;
  implicit->text = ret;
  implicit->words = {ret};
  kernel.implicit.push_back(implicit);
  if (!decodeInstruction(*implicit))
    return false;
  for (auto [op, instruction] : branches) {
    Op &branch = kernel.code.ops[op];
    if (branch.flow == Flow::Branch)
      branch.target = opOf[instruction];
    for (uint64_t i = 0; branch.flow == Flow::Table && i < branch.value; ++i) {
      Slot &entry = kernel.code.slots[branch.more + i];
      entry = Slot(opOf[uint32_t(entry)]);
    }
  }
  extents.push_back(
      {&function, frame.first, nextIndex(), firstRegister, uint32_t(virtualBytes.size())});
  return true;
}

bool Decoder::decodeInstruction(const Instruction &instruction) {
  current = &instruction;
  taken = 1;
  op = {};
  Family family = familyOf(instruction.words[0]);
  if (!family)
    return fail("unknown instruction");
  if (instruction.words.size() > 60)
    return fail("too many modifiers");
  if (!family(*this))
    return fail("this form of the instruction is not supported");
  for (size_t i = 0; i < instruction.words.size(); ++i)
    if (!(taken >> i & 1))
      return fail("modifier '." + std::string(instruction.words[i]) + "' is not supported here");
  return emit();
}

bool Decoder::emit() {
  if (current->guarded) {
    op.guard = Slot(firstRegister + current->guard);
    op.guardNegated = current->guardNegated;
  }
  if (kernel.code.ops.size() >= (1u << 24) - 1 || kernel.code.constants.size() >= 1u << 30)
    return fail("the kernel is too long");
  kernel.code.ops.push_back(op);
  kernel.code.source.push_back(current);
  if (!inside->stages.empty()) {
    bool inText = current >= inside->instructions.data() &&
                  current < inside->instructions.data() + inside->instructions.size();
    auto instruction = inText ? uint32_t(current - inside->instructions.data()) : ~0u;
    std::string_view name = "(before the first stage)";
    auto next = std::upper_bound(inside->stages.begin(), inside->stages.end(), instruction,
                                 [](uint32_t at, const auto &each) { return at < each.first; });
    if (next != inside->stages.begin())
      name = next[-1].second;
    auto [place, fresh] = stageNumbers.try_emplace(name, uint32_t(kernel.code.stages.size()));
    if (fresh)
      kernel.code.stages.emplace_back(name);
    kernel.code.stage.resize(kernel.code.ops.size());
    kernel.code.stage.back() = place->second;
  }
  return true;
}

void Decoder::resolve() {
  for (auto [index, function] : calls)
    kernel.code.ops[index].target = frames[function].first;
  if (!kernel.code.stages.empty())
    kernel.code.stage.resize(kernel.code.ops.size());
  if (!pointees.empty())
    kernel.pointees.resize(module.syntax->functions.size());
  for (const Function *function : pointees)
    kernel.pointees[function->index] = {frames[function].first, frames[function].number};
}

/// A frame begins where the frames of all callers end.
bool Decoder::allocate() {
  std::unordered_map<const Function *, uint32_t> base;
  kernel.callFrames.resize(reachable.size());
  for (const Extent &extent : extents) { // callers before callees
    uint32_t end = allocateRegisters(kernel.code, extent.firstOp, extent.endOp,
                                     extent.firstRegister, extent.endRegister, virtualBytes,
                                     frames[extent.function].returnAddress, base[extent.function]);
    for (const Function *callee : callees[extent.function])
      base[callee] = std::max(base[callee], end);
    if (end > mostRegisterBytes)
      return false;
    kernel.registerBytes = std::max(kernel.registerBytes, end);
    // The last op is a return: its operand is where the return address lies.
    CallFrame &frame = kernel.callFrames[frames[extent.function].number];
    frame.returnAddress = kernel.code.ops[extent.endOp - 1].s[0];
    const auto &locals = frames[extent.function].locals;
    for (const Variable *parameter : extent.function->parameters)
      if (!extent.function->isEntry)
        frame.parameters.emplace_back(locals.at(parameter), uint32_t(parameter->size));
    for (const Variable *result : extent.function->results)
      frame.results.emplace_back(locals.at(result), uint32_t(result->size));
  }
  return true;
}

Slot Decoder::newRegister(uint32_t bytes) {
  virtualBytes.push_back(bytes);
  return Slot(virtualBytes.size() - 1);
}

Slot Decoder::carry() {
  if (carryRegister == noSlot)
    carryRegister = newRegister(0);
  return carryRegister;
}

} // namespace pianola::ptx
