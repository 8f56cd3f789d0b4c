// selp and slct: one of two operands, by a predicate or by a sign.
#include "targets/nvptx/emulator/families/Arithmetic.h"

#include "targets/nvptx/emulator/numeric/Compare.h"

namespace pianola::ptx {

namespace {

/// op.mode: the predicate is negated. The bits are all that counts of a type.
template <typename T> Step select(Warp &warp, const Op &op, uint32_t mask) {
  const T *a = warp.in<T>(op.s[0]), *b = warp.in<T>(op.s[1]);
  uint32_t first = warp.predicate(op.s[2]) ^ (op.mode ? ~0u : 0);
  computeLanes(warp.out<T>(op.d[0]), mask,
               [&](uint32_t lane) { return first & laneBits.of[lane] ? a[lane] : b[lane]; });
  return Step::Next;
}

struct IsNotNegative {
  bool operator()(int32_t c) const { return slctTakesFirst(c); }
  using Number = int32_t;
};
template <bool Ftz> struct IsAtLeastZero {
  bool operator()(float c) const { return slctTakesFirst(c, Ftz); }
  using Number = float;
};

template <typename T, typename Takes> Step selectBySign(Warp &warp, const Op &op, uint32_t mask) {
  const T *a = warp.in<T>(op.s[0]), *b = warp.in<T>(op.s[1]);
  const auto *c = warp.in<typename Takes::Number>(op.s[2]);
  computeLanes(warp.out<T>(op.d[0]), mask,
               [&](uint32_t lane) { return Takes()(c[lane]) ? a[lane] : b[lane]; });
  return Step::Next;
}

/// .b .u .s .f of 16, 32 and 64 bits.
template <typename Body> Handler forRegister(Type type, Body body) {
  bool whole = type >= Type::U8 && type <= Type::B64;
  if (!whole && type != Type::F32 && type != Type::F64)
    return nullptr;
  switch (sizeOf(type)) {
  case 2:
    return body(uint16_t());
  case 4:
    return body(uint32_t());
  case 8:
    return body(uint64_t());
  default:
    return nullptr;
  }
}

template <typename Takes> Handler bySign(Type type) {
  return forRegister(type, [](auto t) -> Handler { return selectBySign<decltype(t), Takes>; });
}

} // namespace

bool decodeSelect(Decoder &decoder) {
  Op &op = decoder.op;
  bool negated = false;
  if (!takeOwnType(decoder) || !decoder.expectOperands(4) ||
      !decoder.define(0, sizeOf(op.type), op.d[0]) || !decoder.use(1, op.type, op.s[0]) ||
      !decoder.use(2, op.type, op.s[1]) ||
      !decoder.usePredicate(decoder.operands()[3], op.s[2], negated))
    return false;
  op.mode = negated;
  return runOf(decoder,
               forRegister(op.type, [](auto t) -> Handler { return select<decltype(t)>; }));
}

bool decodeSelectBySign(Decoder &decoder) {
  Op &op = decoder.op;
  bool ftz = decoder.accept("ftz");
  if (!takeOwnType(decoder) || !decoder.takeType(op.other))
    return decoder.fail("expected the types of the operands and of what selects");
  if (op.other != Type::F32 && (op.other != Type::S32 || ftz))
    return decoder.fail("'slct' selects by .s32, or by .f32, which alone may have .ftz");
  if (!takeOperands(decoder, op.type, {op.type, op.type, op.other}))
    return false;
  if (op.other == Type::S32)
    return runOf(decoder, bySign<IsNotNegative>(op.type));
  return runOf(decoder,
               ftz ? bySign<IsAtLeastZero<true>>(op.type) : bySign<IsAtLeastZero<false>>(op.type));
}

} // namespace pianola::ptx
