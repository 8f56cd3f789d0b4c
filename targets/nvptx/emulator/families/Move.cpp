// mov, and the conversion of addresses between state spaces.
#include "targets/nvptx/emulator/Playing.h"
#include "targets/nvptx/emulator/families/Families.h"
#include "targets/nvptx/emulator/families/Lanes.h"

#include <cstring>

namespace pianola::ptx {

namespace {

template <typename T> Step copy(Warp &warp, const Op &op, uint32_t mask) {
  const T *a = warp.in<T>(op.s[0]);
  computeLanes(warp.out<T>(op.d[0]), mask, [&](uint32_t lane) { return a[lane]; });
  return Step::Next;
}

Step copyPredicate(Warp &warp, const Op &op, uint32_t mask) {
  uint32_t value = warp.predicate(op.s[0]);
  warp.setPredicate(op.d[0], mask, op.mode ? ~value : value);
  return Step::Next;
}

/// One register of W from several of N: the first is the lowest part.
template <typename W, typename N> Step pack(Warp &warp, const Op &op, uint32_t mask) {
  const Slot *parts = warp.playing.code.slots.data() + op.more;
  W *d = warp.out<W>(op.d[0]);
  forLanes(mask, [&](uint32_t lane) {
    W value = 0;
    for (uint32_t i = 0; i < op.count; ++i)
      value |= W(warp.in<N>(parts[i])[lane]) << (i * sizeof(N) * 8);
    d[lane] = value;
  });
  return Step::Next;
}

/// mov.b128 from two halves, and back.
Step packWide(Warp &warp, const Op &op, uint32_t mask) {
  const Slot *parts = warp.playing.code.slots.data() + op.more;
  const uint64_t *low = warp.in<uint64_t>(parts[0]), *high = warp.in<uint64_t>(parts[1]);
  computeEach(warp.out<Wide>(op.d[0]), mask,
              [&](uint32_t lane) { return Wide{low[lane], high[lane]}; });
  return Step::Next;
}

Step unpackWide(Warp &warp, const Op &op, uint32_t mask) {
  const Slot *parts = warp.playing.code.slots.data() + op.more;
  const Wide *a = warp.in<Wide>(op.s[0]);
  forLanes(mask, [&](uint32_t lane) {
    Wide value = a[lane];
    warp.out<uint64_t>(parts[0])[lane] = value.low;
    warp.out<uint64_t>(parts[1])[lane] = value.high;
  });
  return Step::Next;
}

template <typename W, typename N> Step unpack(Warp &warp, const Op &op, uint32_t mask) {
  const Slot *parts = warp.playing.code.slots.data() + op.more;
  const W *a = warp.in<W>(op.s[0]);
  for (uint32_t i = 0; i < op.count; ++i) {
    N *d = warp.out<N>(parts[i]);
    computeLanes(d, mask, [&](uint32_t lane) { return N(a[lane] >> (i * sizeof(N) * 8)); });
  }
  return Step::Next;
}

uint64_t specialValue(Warp &warp, SpecialRegister special, uint32_t lane) {
  const Playing &playing = warp.playing;
  const Launch &launch = playing.launch;
  uint32_t thread = warp.number * warpSize + lane;
  using S = SpecialRegister;
  switch (special) {
  case S::TidX:
    return thread % launch.block.x;
  case S::TidY:
    return thread / launch.block.x % launch.block.y;
  case S::TidZ:
    return thread / launch.block.x / launch.block.y;
  case S::NtidX:
    return launch.block.x;
  case S::NtidY:
    return launch.block.y;
  case S::NtidZ:
    return launch.block.z;
  case S::CtaidX:
    return warp.block.id.x;
  case S::CtaidY:
    return warp.block.id.y;
  case S::CtaidZ:
    return warp.block.id.z;
  case S::NctaidX:
    return launch.grid.x;
  case S::NctaidY:
    return launch.grid.y;
  case S::NctaidZ:
    return launch.grid.z;
  case S::LaneId:
    return lane;
  case S::WarpId:
    return warp.number;
  case S::NWarpId:
    return warp.block.warps.size();
  case S::SmId:
    return warp.block.sm;
  case S::NSmId:
    return playing.device.row.sms;
  case S::GridId:
    return playing.device.launches;
  case S::LaneMaskEq:
    return 1u << lane;
  case S::LaneMaskLe:
    return ~(lanesFrom(lane) << 1);
  case S::LaneMaskLt:
    return ~lanesFrom(lane);
  case S::LaneMaskGe:
    return lanesFrom(lane);
  case S::LaneMaskGt:
    return lanesFrom(lane) << 1;
  // A warp instruction takes a nanosecond, more or less.
  case S::Clock:
  case S::Clock64:
  case S::GlobalTimer:
  case S::GlobalTimerLo:
    return playing.now();
  case S::ClockHi:
  case S::GlobalTimerHi:
    return playing.now() >> 32;
  case S::DynamicSharedSize:
    return launch.dynamicShared;
  case S::TotalSharedSize:
    return playing.kernel.sharedBytes + launch.dynamicShared;
  case S::EnvReg:
    return playing.gridWorkspace >> 32;
  case S::EnvReg2:
    return playing.gridWorkspace & UINT32_MAX;
  case S::Zero:
    return 0;
  case S::One:
    return 1;
  }
  return 0;
}

template <typename T> Step readSpecial(Warp &warp, const Op &op, uint32_t mask) {
  T *d = warp.out<T>(op.d[0]);
  computeEach(d, mask,
              [&](uint32_t lane) { return T(specialValue(warp, SpecialRegister(op.mode), lane)); });
  return Step::Next;
}

/// From an address in its space to a generic one, or back: windows are added and taken away.
template <typename D, typename A> Step moveWindow(Warp &warp, const Op &op, uint32_t mask) {
  const A *a = warp.in<A>(op.s[0]);
  computeLanes(warp.out<D>(op.d[0]), mask, [&](uint32_t lane) { return D(a[lane] + A(op.value)); });
  return Step::Next;
}

uint32_t windowOf(Space space) {
  return space == Space::Shared ? SharedWindow : space == Space::Local ? LocalWindow : ParamWindow;
}

Step isSpace(Warp &warp, const Op &op, uint32_t mask) {
  const uint64_t *a = warp.in<uint64_t>(op.s[0]);
  uint32_t inside = 0;
  forLanes(mask, [&](uint32_t lane) {
    uint64_t window = a[lane] >> 32;
    const Buffer *buffer = warp.playing.device.memory.find(a[lane]);
    bool is = op.space == Space::Global  ? buffer && !buffer->readOnly
              : op.space == Space::Const ? buffer && buffer->readOnly
                                         : window == windowOf(op.space);
    inside |= is ? 1u << lane : 0;
  });
  warp.setPredicate(op.d[0], mask, inside);
  return Step::Next;
}

bool decodeVectorMove(Decoder &decoder, const Operand &vector, bool isPack) {
  Op &op = decoder.op;
  uint32_t bytes = sizeOf(op.type);
  auto count = uint32_t(vector.elements.size());
  if ((count != 2 && count != 4) || bytes % count || bytes / count == 1 ||
      (bytes > 8 && !(bytes == 16 && count == 2)))
    return decoder.fail("a value of " + std::to_string(bytes * 8) + " bits has no " +
                        std::to_string(count) + " parts");
  op.count = uint8_t(count);
  uint32_t part = bytes / count;
  Type partType = part == 2 ? Type::B16 : part == 4 ? Type::B32 : Type::B64;
  std::vector<Slot> slots(count);
  for (size_t i = 0; i < count; ++i)
    if (!(isPack ? decoder.use(vector.elements[i], partType, slots[i])
                 : decoder.define(vector.elements[i], part, slots[i])))
      return false;
  if (isPack) {
    decoder.more({}, slots);
    op.earlyClobber = bytes == 16;
    return decoder.define(0, bytes, op.d[0]) && decoder.run(bytes == 16  ? packWide
                                                            : bytes == 4 ? pack<uint32_t, uint16_t>
                                                            : part == 2  ? pack<uint64_t, uint16_t>
                                                                        : pack<uint64_t, uint32_t>);
  }
  decoder.more(slots, {});
  op.earlyClobber = true;
  return decoder.use(1, op.type, op.s[0]) && decoder.run(bytes == 16  ? unpackWide
                                                         : bytes == 4 ? unpack<uint32_t, uint16_t>
                                                         : part == 2  ? unpack<uint64_t, uint16_t>
                                                                      : unpack<uint64_t, uint32_t>);
}

} // namespace

bool decodeMove(Decoder &decoder) {
  Op &op = decoder.op;
  if (!decoder.takeType(op.type))
    return decoder.fail("expected a type");
  if (!decoder.expectOperands(2))
    return false;
  const Operand &source = decoder.operands()[1];
  if (op.type == Type::Pred) {
    bool negated = false;
    if (!decoder.definePredicate(decoder.operands()[0], op.d[0]) ||
        !decoder.usePredicate(source, op.s[0], negated))
      return false;
    op.mode = negated;
    return decoder.run(copyPredicate);
  }
  if (source.kind == Operand::Kind::Vector)
    return decodeVectorMove(decoder, source, true);
  if (decoder.operands()[0].kind == Operand::Kind::Vector)
    return decodeVectorMove(decoder, decoder.operands()[0], false);
  uint32_t bytes = sizeOf(op.type);
  if (!decoder.define(0, bytes, op.d[0]))
    return false;
  if (source.kind == Operand::Kind::Special) {
    op.mode = uint16_t(source.index);
    return decoder.run(bytes == 8   ? readSpecial<uint64_t>
                       : bytes == 4 ? readSpecial<uint32_t>
                                    : readSpecial<uint16_t>);
  }
  // An integer may be moved as the bits of a float: LLVM does.
  Type type = isFloat(op.type) && source.kind == Operand::Kind::Immediate
                  ? (bytes == 2   ? Type::B16
                     : bytes == 4 ? Type::B32
                                  : Type::B64)
                  : op.type;
  if (!decoder.use(source, type, op.s[0]))
    return false;
  return decoder.run(bytes == 16  ? copy<Wide>
                     : bytes == 8 ? copy<uint64_t>
                     : bytes == 4 ? copy<uint32_t>
                                  : copy<uint16_t>);
}

bool decodeConvertAddress(Decoder &decoder) {
  Op &op = decoder.op;
  bool toSpace = decoder.accept("to");
  Space space = Space::Generic;
  if (!decoder.takeSpace(space) || !decoder.takeType(op.type))
    return decoder.fail("expected a state space and a type");
  if (op.type != Type::U64 && op.type != Type::U32)
    return decoder.fail("addresses have type u64 or u32");
  if (!decoder.expectOperands(2) || !decoder.define(0, sizeOf(op.type), op.d[0]))
    return false;
  const Operand &source = decoder.operands()[1];
  bool hasWindow = space == Space::Shared || space == Space::Local || space == Space::Param;
  // A device function's parameters lie in local memory.
  if (space == Space::Param && !decoder.function().isEntry)
    space = Space::Local;
  op.value = hasWindow ? windowBase(windowOf(space)) : 0;
  if (toSpace)
    op.value = -op.value;
  if (!decoder.use(source, op.type, op.s[0]))
    return false;
  return decoder.run(op.type == Type::U64 ? moveWindow<uint64_t, uint64_t>
                                          : moveWindow<uint32_t, uint32_t>);
}

bool decodeIsSpace(Decoder &decoder) {
  if (!decoder.takeSpace(decoder.op.space))
    return decoder.fail("expected a state space");
  return decoder.expectOperands(2) &&
         decoder.definePredicate(decoder.operands()[0], decoder.op.d[0]) &&
         decoder.use(1, Type::U64, decoder.op.s[0]) && decoder.run(isSpace);
}

} // namespace pianola::ptx
