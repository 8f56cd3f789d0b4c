// st: from registers into any state space. prefetch and its like, which change nothing.
#include "targets/nvptx/emulator/families/Access.h"
#include "targets/nvptx/emulator/families/Families.h"

#include <algorithm>
#include <cstring>

namespace pianola::ptx {

namespace {

/// E: an element in memory, R: a register of at least its size, whose lower bits are stored.
template <typename E, typename R> Step store(Warp &warp, const Op &op, uint32_t mask) {
  Playing &playing = warp.playing;
  uint32_t count = op.count, bytes = uint32_t(sizeof(E)) * count;
  uint32_t what = whatOf(warp, op);
  bool strong = op.order != Order::Weak, changed = false;
  const R *sources[8];
  const Slot *slots = playing.code.slots.data() + op.more;
  for (uint32_t i = 0; i < count; ++i)
    sources[i] = warp.in<R>(slots[i]);
  Location location;
  AccessCheck check(warp, what);
  uint32_t failed = 0;
  forLanes(mask, [&](uint32_t lane) {
    if (failed)
      return;
    if (!locate(warp, lane, op.space, addressOf(warp, op, lane), bytes, bytes, true, location)) {
      failed = 1;
      return;
    }
    E values[8];
    for (uint32_t i = 0; i < count; ++i)
      values[i] = E(sources[i][lane]);
    if (strong && isShared(location)) {
      for (uint32_t i = 0; i < count; ++i) {
        changed |= readShared<E>(location.bytes + i * sizeof(E)) != values[i];
        writeShared<E>(location.bytes + i * sizeof(E), values[i]);
      }
    } else {
      if (location.buffer)
        changed |= std::memcmp(location.bytes, values, bytes) != 0;
      std::memcpy(location.bytes, values, bytes);
    }
    if (playing.checking)
      check.write(lane, location, bytes);
    if (strong && location.buffer)
      playing.release(warp, lane, op, *location.buffer, location.offset, false), check.refresh();
  });
  if (failed)
    return Step::Switch;
  if (changed)
    playing.progress();
  if (playing.launch.profile)
    countAccess(warp, op, mask, bytes);
  return Step::Next;
}

template <typename E> Handler fromRegister(uint32_t registerBytes) {
  if constexpr (sizeof(E) == sizeof(Wide)) {
    return registerBytes == sizeof(Wide) ? store<Wide, Wide> : nullptr;
  } else {
    if constexpr (sizeof(E) <= 2)
      if (registerBytes == 2)
        return store<E, uint16_t>;
    if constexpr (sizeof(E) <= 4)
      if (registerBytes == 4)
        return store<E, uint32_t>;
    return registerBytes == 8 ? store<E, uint64_t> : nullptr;
  }
}

Handler storeOf(uint32_t bytes, uint32_t registerBytes) {
  switch (bytes) {
  case 1:
    return fromRegister<uint8_t>(registerBytes);
  case 2:
    return fromRegister<uint16_t>(registerBytes);
  case 4:
    return fromRegister<uint32_t>(registerBytes);
  case 8:
    return fromRegister<uint64_t>(registerBytes);
  case 16:
    return fromRegister<Wide>(registerBytes);
  default:
    return nullptr;
  }
}

Step opaquePolicy(Warp &warp, const Op &op, uint32_t mask) {
  const uint64_t *a = warp.in<uint64_t>(op.s[0]);
  computeLanes(warp.out<uint64_t>(op.d[0]), mask, [&](uint32_t lane) { return a[lane]; });
  return Step::Next;
}

Step prefetch(Warp &, const Op &, uint32_t) { return Step::Next; }

} // namespace

bool decodeStore(Decoder &decoder) {
  Op &op = decoder.op;
  if (decoder.accept("async") || decoder.accept("bulk"))
    return decoder.fail("st.async and st.bulk are not supported");
  Space space = Space::Generic;
  decoder.takeSpace(space);
  decoder.takeOrder(op.order, op.scope);
  settleOrder(op);
  skipCacheModifiers(decoder);
  op.count = decoder.accept("v2") ? 2 : decoder.accept("v4") ? 4 : decoder.accept("v8") ? 8 : 1;
  if (!decoder.takeType(op.type) || op.type == Type::Pred)
    return decoder.fail("expected a type");
  if (!skipCachePolicy(decoder, 2) || !decoder.address(0, space))
    return false;
  uint32_t bytes = sizeOf(op.type), registerBytes = 0;
  std::vector<Slot> slots(op.count);
  const Operand &source = decoder.operands()[1];
  if (op.count > 1 && (source.kind != Operand::Kind::Vector || source.elements.size() != op.count))
    return decoder.fail("expected a vector of " + std::to_string(op.count) + " registers");
  if (bytes * op.count > 32)
    return decoder.fail("more than 32 bytes at once");
  const Operand *elements = op.count > 1 ? source.elements.data() : &source;
  for (size_t i = 0; i < op.count; ++i)
    registerBytes = std::max(registerBytes, decoder.registerBytes(elements[i]));
  registerBytes = std::max({registerBytes, bytes, 2u});
  // A register may be wider than what is stored of it; constants are as wide as their neighbours.
  Type wide = registerBytes == 2 ? Type::B16 : registerBytes == 4 ? Type::B32 : Type::B64;
  if (registerBytes == bytes)
    wide = op.type;
  for (size_t i = 0; i < op.count; ++i)
    if (!decoder.use(elements[i], wide, slots[i]))
      return false;
  decoder.more({}, slots);
  Handler handler = storeOf(bytes, registerBytes);
  return handler ? decoder.run(handler) : decoder.unknown();
}

/// createpolicy: a number that only hints take. No program may look into it.
bool decodePolicy(Decoder &decoder) {
  Op &op = decoder.op;
  for (std::string_view word : decoder.instruction().words)
    if (word == "fractional" || word == "cvt" || word.substr(0, 2) == "L2")
      decoder.accept(word);
  if (decoder.has("range"))
    return decoder.fail("policies of address ranges are not supported");
  op.s[0] = decoder.constant(0, 8);
  return decoder.accept("b64") && decoder.expectOperands(1, 2) && decoder.define(0, 8, op.d[0]) &&
         decoder.run(opaquePolicy);
}

/// prefetch, prefetchu, applypriority: hints.
bool decodePrefetch(Decoder &decoder) {
  Space space = Space::Generic;
  decoder.takeSpace(space);
  for (const char *word : {"L1", "L2", "L2::evict_last", "L2::evict_normal", "tensormap"})
    decoder.accept(word);
  return decoder.expectOperands(1, 2) && decoder.address(0, space) && decoder.run(prefetch);
}

} // namespace pianola::ptx
