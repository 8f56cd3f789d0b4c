// alloca, stacksave, stackrestore: local memory by the amount that a thread asks for. Each thread
// has a stack of `stackBytes` at the end of its local memory, which grows downwards.
#include "targets/nvptx/emulator/families/Families.h"
#include "targets/nvptx/emulator/families/Lanes.h"

#include "targets/nvptx/emulator/Playing.h"

namespace pianola::ptx {

namespace {

template <typename T> Step allocate(Warp &warp, const Op &op, uint32_t mask) {
  const T *bytes = warp.in<T>(op.s[0]);
  uint32_t overflows = 0;
  forLanes(mask, [&](uint32_t lane) {
    // Its register may be the result's.
    uint64_t wanted = bytes[lane];
    uint32_t &used = warp.stackUsed[lane];
    uint64_t fresh = (used + wanted + op.value - 1) & ~(op.value - 1);
    if (wanted > stackBytes || fresh > stackBytes) {
      overflows |= 1u << lane;
      return;
    }
    used = uint32_t(fresh);
    uint32_t place = warp.localBytes - used;
    warp.out<T>(op.d[0])[lane] = place;
    // What was there belongs to nobody any more.
    for (uint64_t i = 0; i < wanted && !warp.localWritten.empty(); ++i)
      warp.localWritten[size_t(lane) * warp.localBytes + place + i] = false;
  });
  if (!overflows)
    return Step::Next;
  warp.playing.report(FindingKind::OutOfBounds, warp, firstLane(overflows),
                      "alloca wants more than the " + std::to_string(stackBytes) +
                          " bytes of a thread's stack");
  warp.playing.stop();
  return Step::Switch;
}

template <typename T> Step save(Warp &warp, const Op &op, uint32_t mask) {
  forLanes(mask, [&](uint32_t lane) { warp.out<T>(op.d[0])[lane] = warp.stackUsed[lane]; });
  return Step::Next;
}

template <typename T> Step restore(Warp &warp, const Op &op, uint32_t mask) {
  forLanes(mask, [&](uint32_t lane) {
    warp.stackUsed[lane] = uint32_t(std::min<uint64_t>(warp.in<T>(op.s[0])[lane], stackBytes));
  });
  return Step::Next;
}

} // namespace

bool decodeStack(Decoder &decoder) {
  Op &op = decoder.op;
  if (!decoder.takeType(op.type) || (op.type != Type::U32 && op.type != Type::U64))
    return decoder.unknown();
  bool wide = op.type == Type::U64;
  decoder.target().usesStack = true;
  if (decoder.opcode() == "stackrestore")
    return decoder.expectOperands(1) && decoder.use(0, op.type, op.s[0]) &&
           decoder.run(wide ? restore<uint64_t> : restore<uint32_t>);
  if (!decoder.define(0, sizeOf(op.type), op.d[0]))
    return false;
  if (decoder.opcode() == "stacksave")
    return decoder.expectOperands(1) && decoder.run(wide ? save<uint64_t> : save<uint32_t>);
  op.value = 8;
  if (!decoder.expectOperands(2, 3) ||
      (decoder.operandCount() == 3 && !decoder.immediate(2, op.value)))
    return false;
  if (!op.value || op.value & (op.value - 1) || op.value > 16)
    return decoder.fail("the alignment must be 1, 2, 4, 8 or 16");
  return decoder.use(1, op.type, op.s[0]) &&
         decoder.run(wide ? allocate<uint64_t> : allocate<uint32_t>);
}

} // namespace pianola::ptx
