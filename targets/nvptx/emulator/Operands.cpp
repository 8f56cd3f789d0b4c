// Words and operands of an instruction, as the families take them: registers, constants, addresses.
#include "targets/nvptx/emulator/Decoder.h"

#include "targets/nvptx/emulator/Memory.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

namespace {

const char *nameOf(Space space) {
  static const char *const names[] = {"generic", ".global", ".shared",
                                      ".local",  ".const",  ".param"};
  return names[size_t(space)];
}

/// What an operand is, for messages.
std::string described(const Operand &operand) {
  switch (operand.kind) {
  case Operand::Kind::Immediate:
  case Operand::Kind::Float:
  case Operand::Kind::Single:
    return "a constant";
  case Operand::Kind::Address:
    return "an address in brackets";
  case Operand::Kind::Vector:
    return "a vector";
  case Operand::Kind::List:
    return "a list";
  case Operand::Kind::Pair:
    return "a pair";
  default:
    return (operand.negated ? "'!" : "'") + std::string(operand.text) + "'";
  }
}

} // namespace

bool Decoder::fail(const std::string &what) {
  if (message.empty())
    message = module.name() + ":" + std::to_string(current->line) + ": " + what + ": " +
              std::string(current->text);
  return false;
}

bool Decoder::has(std::string_view word) const {
  for (size_t i = 1; i < current->words.size(); ++i)
    if (!(taken >> i & 1) && current->words[i] == word)
      return true;
  return false;
}

bool Decoder::accept(std::string_view word) {
  for (size_t i = 1; i < current->words.size(); ++i) {
    if ((taken >> i & 1) || current->words[i] != word)
      continue;
    taken |= uint64_t(1) << i;
    return true;
  }
  return false;
}

bool Decoder::takeType(Type &out) {
  for (size_t i = 1; i < current->words.size(); ++i) {
    if (taken >> i & 1)
      continue;
    out = typeNamed(current->words[i]);
    if (out == Type::None)
      continue;
    taken |= uint64_t(1) << i;
    return true;
  }
  return false;
}

bool Decoder::takeRounding(Rounding &out) {
  static const std::pair<const char *, Rounding> roundings[] = {{"rn", Rounding::Nearest},
                                                                {"rz", Rounding::Zero},
                                                                {"rm", Rounding::Down},
                                                                {"rp", Rounding::Up},
                                                                {"rna", Rounding::Away}};
  for (auto [word, rounding] : roundings) {
    if (!accept(word))
      continue;
    out = rounding;
    return true;
  }
  return false;
}

bool Decoder::takeScope(Scope &scope) {
  static const std::pair<const char *, Scope> scopes[] = {
      {"cta", Scope::Cta}, {"cluster", Scope::Cluster}, {"gpu", Scope::Gpu}, {"sys", Scope::Sys}};
  for (auto [word, each] : scopes) {
    if (!accept(word))
      continue;
    scope = each;
    return true;
  }
  return false;
}

void Decoder::takeOrder(Order &order, Scope &scope) {
  static const std::pair<const char *, Order> orders[] = {{"weak", Order::Weak},
                                                          {"relaxed", Order::Relaxed},
                                                          {"acquire", Order::Acquire},
                                                          {"release", Order::Release},
                                                          {"acq_rel", Order::AcquireRelease},
                                                          {"sc", Order::SequentiallyConsistent}};
  for (auto [word, each] : orders)
    if (accept(word))
      order = each;
  if (accept("volatile") || accept("mmio"))
    order = Order::Relaxed, scope = Scope::Sys;
  takeScope(scope);
}

bool Decoder::takeSpace(Space &space) {
  static const std::pair<const char *, Space> spaces[] = {
      {"global", Space::Global},      {"shared", Space::Shared},
      {"shared::cta", Space::Shared}, {"shared::cluster", Space::Shared},
      {"local", Space::Local},        {"const", Space::Const},
      {"param", Space::Param},        {"param::entry", Space::Param},
      {"param::func", Space::Param}};
  for (auto [word, each] : spaces) {
    if (!accept(word))
      continue;
    space = each;
    return true;
  }
  return false;
}

bool Decoder::expectOperands(size_t count) { return expectOperands(count, count); }

bool Decoder::expectOperands(size_t least, size_t most) {
  size_t found = operandCount();
  if (found >= least && found <= most)
    return true;
  return fail("expected " + std::to_string(least) +
              (most != least ? (most == least + 1 ? " or " : " to ") + std::to_string(most) : "") +
              (most == 1 ? " operand, found " : " operands, found ") + std::to_string(found));
}

uint32_t Decoder::registerBytes(const Operand &operand) const {
  return isRegister(operand) ? sizeOf(inside->registers[operand.index].type) : 0;
}

bool Decoder::define(size_t operand, uint32_t bytes, Slot &out) {
  if (operand >= operandCount())
    return fail("too few operands");
  return define(operands()[operand], bytes, out);
}

bool Decoder::define(const Operand &operand, uint32_t bytes, Slot &out) {
  if (operand.kind == Operand::Kind::Sink) {
    out = newRegister(bytes);
    return true;
  }
  if (!isRegister(operand) || operand.negated)
    return fail("the result must be a register, and " + described(operand) + " is none");
  Type type = inside->registers[operand.index].type;
  if (type == Type::Pred || sizeOf(type) != bytes)
    return fail(
        "the result needs a register of " + std::to_string(bytes * 8) + " bits, and '" +
        std::string(operand.text) + "' " +
        (type == Type::Pred ? "is a predicate" : "has " + std::to_string(sizeOf(type) * 8)));
  out = Slot(firstRegister + operand.index);
  return true;
}

bool Decoder::definePredicate(const Operand &operand, Slot &out) {
  if (operand.kind == Operand::Kind::Sink) {
    out = newRegister(0);
    return true;
  }
  if (!isRegister(operand) || operand.negated ||
      inside->registers[operand.index].type != Type::Pred)
    return fail("the result must be a predicate, and " + described(operand) + " is none");
  out = Slot(firstRegister + operand.index);
  return true;
}

bool Decoder::usePredicate(const Operand &operand, Slot &out, bool &negated) {
  if (operand.kind == Operand::Kind::Immediate) { // LLVM prints true as -1 or 1
    out = constant(operand.bits ? ~0u : 0, 4);
    negated = false;
    return true;
  }
  if (!isRegister(operand) || inside->registers[operand.index].type != Type::Pred)
    return fail("expected a predicate, and " + described(operand) + " is none");
  out = Slot(firstRegister + operand.index);
  negated = operand.negated;
  return true;
}

bool Decoder::use(size_t operand, Type type, Slot &out) {
  if (operand >= operandCount())
    return fail("too few operands");
  return use(operands()[operand], type, out);
}

bool Decoder::use(const Operand &operand, Type type, Slot &out) {
  uint32_t bytes = sizeOf(type);
  uint64_t bits = operand.bits;
  if (operand.negated)
    return fail("only a predicate can be negated");
  switch (operand.kind) {
  case Operand::Kind::Register:
    if (inside->registers[operand.index].type == Type::Pred || registerBytes(operand) != bytes)
      return fail("expected a value of " + std::to_string(bytes * 8) + " bits, and '" +
                  std::string(operand.text) + "' " +
                  (registerBytes(operand) ? "has " + std::to_string(registerBytes(operand) * 8)
                                          : "is a predicate"));
    out = Slot(firstRegister + operand.index);
    return true;
  case Operand::Kind::Immediate:
    if (type == Type::F32 || type == Type::F64)
      return fail("an integer where a floating-point value belongs");
    break;
  case Operand::Kind::Single:
    if (bytes != 4)
      return fail("a value of 32 bits where one of " + std::to_string(bytes * 8) + " belongs");
    break;
  case Operand::Kind::Float: {
    double wide;
    std::memcpy(&wide, &bits, sizeof wide);
    if (type == Type::F32) {
      auto narrow = float(wide);
      uint32_t word;
      std::memcpy(&word, &narrow, sizeof word);
      bits = word;
    } else if (bytes != 8) {
      return fail("a value of 64 bits where one of " + std::to_string(bytes * 8) + " belongs");
    }
    break;
  }
  case Operand::Kind::Variable:
  case Operand::Kind::Function: {
    if (bytes != 4 && bytes != 8)
      return fail("an address where a value of " + std::to_string(bytes * 8) + " bits belongs");
    if (operand.kind == Operand::Kind::Function) {
      bits = addressOf(*operand.function);
      break;
    }
    Space space;
    if (!placeOf(*operand.variable, bits, space))
      return false;
    bits += operand.bits;
    break;
  }
  default:
    return fail("expected a register or a constant, and " + described(operand) + " is none");
  }
  out = constant(bits, bytes);
  return true;
}

bool Decoder::placeOf(const Variable &variable, uint64_t &address, Space &space) {
  space = variable.space;
  if (auto found = module.addresses.find(&variable); found != module.addresses.end()) {
    address = found->second;
    return true;
  }
  if (auto found = shared.find(&variable); found != shared.end()) {
    address = found->second;
    return true;
  }
  const Frame &frame = frames[inside];
  if (auto found = frame.locals.find(&variable); found != frame.locals.end()) {
    address = found->second;
    space = Space::Local;
    return true;
  }
  for (size_t i = 0; i < inside->parameters.size() && inside->isEntry; ++i) {
    if (inside->parameters[i] == &variable) {
      address = kernel.parameters[i].offset;
      return true;
    }
  }
  return fail("'" + std::string(variable.name) + "' has no address here");
}

bool Decoder::address(size_t operand, Space space, int index) {
  if (operand >= operandCount() || operands()[operand].kind != Operand::Kind::Address)
    return fail("expected an address in brackets");
  const Operand &whole = operands()[operand];
  const Operand &base = whole.elements[0];
  op.space = space;
  uint64_t constantPart = whole.bits;
  if (base.kind == Operand::Kind::Register) {
    uint32_t bytes = registerBytes(base);
    if (bytes != 4 && bytes != 8)
      return fail("an address register has 32 or 64 bits");
    op.s[index] = Slot(firstRegister + base.index);
    if (bytes == 4)
      op.wideAddress &= ~(1u << index);
    else
      op.wideAddress |= uint8_t(1u << index);
    if (space == Space::Param && !inside->isEntry)
      op.space = Space::Local;
  } else if (base.kind == Operand::Kind::Variable) {
    uint64_t place;
    Space where;
    if (!placeOf(*base.variable, place, where))
      return false;
    constantPart += place + base.bits;
    if (space == Space::Generic) {
      if (where == Space::Shared)
        constantPart += windowBase(SharedWindow);
      else if (where == Space::Local)
        constantPart += windowBase(LocalWindow);
    } else if (space == Space::Param && where == Space::Local) {
      op.space = Space::Local;
    } else if (where != space) {
      return fail("'" + std::string(base.variable->name) + "' is a " + nameOf(where) +
                  " variable, and the address is meant as " + nameOf(space));
    }
    op.s[index] = constant(0, 8);
    op.wideAddress |= uint8_t(1u << index);
  } else {
    constantPart += base.bits;
    op.s[index] = constant(0, 8);
    op.wideAddress |= uint8_t(1u << index);
  }
  (index == 0 ? op.value : index == 1 ? op.value2 : op.value3) = constantPart;
  return true;
}

bool Decoder::immediate(size_t operand, uint64_t &out) {
  if (operand >= operandCount() || operands()[operand].kind != Operand::Kind::Immediate)
    return fail("expected an integer constant");
  out = operands()[operand].bits;
  return true;
}

void Decoder::more(const std::vector<Slot> &defs, const std::vector<Slot> &uses) {
  op.more = uint32_t(kernel.code.slots.size());
  op.moreDefs = uint8_t(defs.size());
  op.moreUses = uint8_t(uses.size());
  kernel.code.slots.insert(kernel.code.slots.end(), defs.begin(), defs.end());
  kernel.code.slots.insert(kernel.code.slots.end(), uses.begin(), uses.end());
}

Slot Decoder::constant(uint64_t bits, uint32_t bytes) {
  bytes = std::max(bytes, 2u); // the smallest register
  if (bytes < 8)
    bits &= (uint64_t(1) << (8 * bytes)) - 1;
  auto [place, fresh] = pool.try_emplace({bits, bytes}, 0);
  if (fresh) {
    std::vector<uint8_t> &constants = kernel.code.constants;
    place->second = ~Slot(constants.size());
    for (uint32_t lane = 0; lane < warpSize; ++lane)
      for (uint32_t i = 0; i < bytes; ++i)
        constants.push_back(i < 8 ? uint8_t(bits >> (8 * i)) : 0);
    constants.resize((constants.size() + 63) / 64 * 64);
  }
  return place->second;
}

} // namespace pianola::ptx
