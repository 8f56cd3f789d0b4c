// ld, ldu: from any state space into registers.
#include "targets/nvptx/emulator/families/Access.h"
#include "targets/nvptx/emulator/families/Families.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

namespace {

enum : uint16_t { NonCoherentMode = 1, UncheckedMode = 2 };

/// E: an element in memory, R: a register of at least its size.
template <typename E, typename R> Step load(Warp &warp, const Op &op, uint32_t mask) {
  Playing &playing = warp.playing;
  uint32_t count = op.count, bytes = uint32_t(sizeof(E)) * count;
  uint32_t what =
      whatOf(warp, op) | (op.mode & NonCoherentMode ? uint32_t(Access::NonCoherent) : 0);
  bool checked = playing.checking && !(op.mode & UncheckedMode);
  bool strong = op.order != Order::Weak;
  alignas(16) E values[warpSize][8];
  Location location;
  AccessCheck check(warp, what);
  uint64_t first = 0, polled = 0;
  uint32_t failed = 0;
  forLanes(mask, [&](uint32_t lane) {
    if (failed)
      return;
    if (!locate(warp, lane, op.space, addressOf(warp, op, lane), bytes, bytes, false, location)) {
      failed = 1;
      return;
    }
    if (strong && isShared(location)) {
      playing.readHost();
      for (uint32_t i = 0; i < count; ++i)
        values[lane][i] = readShared<E>(location.bytes + i * sizeof(E));
    } else {
      std::memcpy(values[lane], location.bytes, bytes);
    }
    if (strong) {
      if (location.buffer)
        playing.acquire(warp, lane, op, *location.buffer, location.offset), check.refresh();
      if (!first) {
        first = genericAddress(warp, location);
        std::memcpy(&polled, values[lane], std::min<size_t>(bytes, 8));
      }
    }
    if (checked)
      check.read(lane, location, bytes);
  });
  if (failed)
    return Step::Switch;
  if (playing.launch.profile)
    countAccess(warp, op, mask, bytes);
  if (strong && first && mask == warp.current().mask && playing.polls(warp, first, polled)) {
    playing.doze(warp, Group::State::Polling);
    return Step::Switch;
  }
  if (count == 1) {
    R *d = warp.out<R>(op.d[0]);
    forLanes(mask, [&](uint32_t lane) { d[lane] = R(values[lane][0]); });
    return Step::Next;
  }
  const Slot *slots = playing.code.slots.data() + op.more;
  for (uint32_t i = 0; i < count; ++i) {
    R *d = warp.out<R>(slots[i]);
    forLanes(mask, [&](uint32_t lane) { d[lane] = R(values[lane][i]); });
  }
  return Step::Next;
}

/// Sign and zero extension are C++'s own, from an element of the right sign.
template <typename E> Handler intoRegister(uint32_t registerBytes) {
  if constexpr (sizeof(E) == sizeof(Wide)) {
    return registerBytes == sizeof(Wide) ? load<Wide, Wide> : nullptr;
  } else {
    if constexpr (sizeof(E) <= 2)
      if (registerBytes == 2)
        return load<E, uint16_t>;
    if constexpr (sizeof(E) <= 4)
      if (registerBytes == 4)
        return load<E, uint32_t>;
    return registerBytes == 8 ? load<E, uint64_t> : nullptr;
  }
}

Handler loadOf(Type type, uint32_t registerBytes) {
  bool extends = isSigned(type);
  switch (sizeOf(type)) {
  case 1:
    return extends ? intoRegister<int8_t>(registerBytes) : intoRegister<uint8_t>(registerBytes);
  case 2:
    return extends ? intoRegister<int16_t>(registerBytes) : intoRegister<uint16_t>(registerBytes);
  case 4:
    return extends ? intoRegister<int32_t>(registerBytes) : intoRegister<uint32_t>(registerBytes);
  case 8:
    return intoRegister<uint64_t>(registerBytes);
  case 16:
    return intoRegister<Wide>(registerBytes);
  default:
    return nullptr;
  }
}

} // namespace

bool decodeLoad(Decoder &decoder) {
  Op &op = decoder.op;
  Space space = Space::Generic;
  bool unified = decoder.opcode() == "ldu";
  decoder.takeSpace(space);
  decoder.takeOrder(op.order, op.scope);
  settleOrder(op);
  if (decoder.accept("nc") || unified)
    op.mode |= NonCoherentMode;
  skipCacheModifiers(decoder);
  op.count = decoder.accept("v2") ? 2 : decoder.accept("v4") ? 4 : decoder.accept("v8") ? 8 : 1;
  if (!decoder.takeType(op.type) || op.type == Type::Pred)
    return decoder.fail("expected a type");
  decoder.accept("unified");
  if (!skipCachePolicy(decoder, 2) || !decoder.address(1, space))
    return false;
  // Parameters are copied by calls; a structure's padding is read with the rest.
  if (space == Space::Param)
    op.mode |= UncheckedMode;
  uint32_t registerBytes = 0;
  auto define = [&](const Operand &operand, Slot &slot) {
    uint32_t bytes = decoder.isRegister(operand) ? decoder.registerBytes(operand)
                                                 : std::max(2u, sizeOf(op.type)); // _
    if (registerBytes && bytes != registerBytes)
      return decoder.fail("the results have different sizes");
    registerBytes = bytes;
    return decoder.define(operand, bytes, slot);
  };
  const Operand &result = decoder.operands()[0];
  if (op.count == 1) {
    if (!define(result, op.d[0]))
      return false;
  } else {
    if (result.kind != Operand::Kind::Vector || result.elements.size() != op.count)
      return decoder.fail("expected a vector of " + std::to_string(op.count) + " registers");
    std::vector<Slot> slots(op.count);
    for (size_t i = 0; i < op.count; ++i)
      if (!define(result.elements[i], slots[i]))
        return false;
    decoder.more(slots, {});
    op.earlyClobber = true;
  }
  if (sizeOf(op.type) * op.count > 32)
    return decoder.fail("more than 32 bytes at once");
  Handler handler = loadOf(op.type, registerBytes);
  return handler ? decoder.run(handler) : decoder.fail("the register is smaller than the value");
}

} // namespace pianola::ptx
