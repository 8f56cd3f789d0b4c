// Emulation.cpp - decodes instructions of AMX, and steps over them.
#include "test/runtime/amx/Emulation.h"

#include "runtime/roll/CpuFeatures.h"
#include "test/runtime/amx/TileUnit.h"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ucontext.h>
#include <unistd.h>

namespace pianola::test {

namespace {

thread_local TileUnit tiles; // has no constructor to run
struct sigaction before;

using Fault = TileUnit::Fault;

// A VEX instruction of map 2, without W and L: all of AMX.
struct Instruction {
  enum Prefix { None, P66, PF3, PF2 };
  uint8_t opcode;
  Prefix prefix;
  int reg, rm, vvvv; // with their extensions
  bool isMemory, hasSib;
  uint64_t address = 0; // without the index
  int64_t stride = 0;   // the index, scaled
  const uint8_t *end;
};

// Registers in the order of their numbers.
constexpr int kRegisters[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};

bool decode(const uint8_t *at, const greg_t *registers, Instruction &to) {
  if (at[0] != 0xc4 || (at[1] & 0x1f) != 2 || (at[2] & 0x84) != 0)
    return false;
  int r = at[1] & 0x80 ? 0 : 8, x = at[1] & 0x40 ? 0 : 8, b = at[1] & 0x20 ? 0 : 8;
  to.vvvv = ~(at[2] >> 3) & 15;
  to.prefix = static_cast<Instruction::Prefix>(at[2] & 3);
  to.opcode = at[3];
  uint8_t modrm = at[4];
  int mode = modrm >> 6, low = modrm & 7;
  to.reg = (modrm >> 3 & 7) + r;
  to.rm = low + b;
  to.isMemory = mode != 3;
  to.hasSib = to.isMemory && low == 4;
  to.end = at + 5;
  if (!to.isMemory)
    return true;
  auto value = [&](int number) { return static_cast<uint64_t>(registers[kRegisters[number]]); };
  auto displacement = [&](int bytes) -> int64_t {
    int8_t one;
    int32_t four;
    std::memcpy(&one, to.end, 1);
    std::memcpy(&four, to.end, 4);
    to.end += bytes;
    return bytes == 1 ? one : four;
  };
  bool hasBase = true;
  if (to.hasSib) {
    uint8_t sib = *to.end++;
    int index = (sib >> 3 & 7) + x, base = (sib & 7) + b;
    if (index != 4) // which means none
      to.stride = static_cast<int64_t>(value(index) << (sib >> 6));
    hasBase = (sib & 7) != 5 || mode != 0;
    if (hasBase)
      to.address = value(base);
  } else if (low == 5 && mode == 0) { // relative to the next instruction
    int64_t distance = displacement(4);
    to.address = reinterpret_cast<uint64_t>(to.end) + distance;
    return true;
  } else {
    to.address = value(to.rm);
  }
  if (mode == 1)
    to.address += displacement(1);
  else if (mode == 2 || !hasBase)
    to.address += displacement(4);
  return true;
}

// Executes; says if it is an instruction of AMX at all.
bool execute(const Instruction &i, Fault &fault) {
  using P = Instruction::Prefix;
  auto *memory = reinterpret_cast<uint8_t *>(i.address);
  fault = nullptr;
  if (i.opcode == 0x5c || i.opcode == 0x5e) {
    if (i.isMemory || (i.opcode == 0x5c && i.prefix != P::PF3))
      return false;
    bool leftSigned = i.prefix == P::PF2 || i.prefix == P::PF3;
    bool rightSigned = i.prefix == P::PF2 || i.prefix == P::P66;
    fault = i.opcode == 0x5c ? tiles.addBf16(i.reg, i.rm, i.vvvv)
                             : tiles.addBytes(i.reg, i.rm, i.vvvv, leftSigned, rightSigned);
    return true;
  }
  if (i.vvvv != 0)
    return false;
  if (i.opcode == 0x4b && i.hasSib && i.prefix != P::None) {
    fault = i.prefix == P::PF3 ? tiles.store(i.reg, memory, i.stride)
                               : tiles.load(i.reg, memory, i.stride); // T1 is a hint
    return true;
  }
  if (i.opcode != 0x49)
    return false;
  if (!i.isMemory && i.prefix == P::PF2 && i.rm == 0)
    fault = tiles.zero(i.reg);
  else if (!i.isMemory && i.prefix == P::None && i.rm == 0 && i.reg == 0)
    tiles.release();
  else if (i.isMemory && i.reg == 0 && i.prefix == P::None)
    fault = tiles.configure(memory + i.stride);
  else if (i.isMemory && i.reg == 0 && i.prefix == P::P66)
    tiles.storeConfiguration(memory + i.stride);
  else
    return false;
  return true;
}

void say(const char *text) {
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0)
    _exit(1);
}

void handle(int signal, siginfo_t *, void *context) {
  greg_t *registers = static_cast<ucontext_t *>(context)->uc_mcontext.gregs;
  Instruction instruction;
  Fault fault = nullptr;
  bool known =
      decode(reinterpret_cast<const uint8_t *>(registers[REG_RIP]), registers, instruction) &&
      execute(instruction, fault);
  if (known && !fault) {
    registers[REG_RIP] = reinterpret_cast<greg_t>(instruction.end);
    return;
  }
  if (fault) {
    say("AMX: ");
    say(fault);
    say("\n");
  }
  sigaction(signal, &before, nullptr); // and so the instruction raises it again
}

} // namespace

static RollTarget amx() {
  RollTarget target;
  target.name = "host";
  target.architecture = "x86_64";
  target.features = {"amx-bf16", "amx-int8", "amx-tile"};
  return target;
}

bool hasAmx() {
  static const bool has = checkCpu(amx()).ok();
  return has;
}

bool canRun(const std::vector<std::string> &features) {
  RollTarget needed;
  needed.name = "host";
  needed.architecture = "x86_64";
  for (const std::string &feature : features)
    if (feature.find("amx") == 0)
      provideAmx();
    else
      needed.features.push_back(feature);
  return checkCpu(needed).ok();
}

void provideAmx() {
  static const bool provided = [] {
    if (hasAmx())
      return true;
    takeAsThere(amx().features);
    struct sigaction action = {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO;
    return sigaction(SIGILL, &action, &before) == 0;
  }();
  if (!provided)
    abort();
}

} // namespace pianola::test
