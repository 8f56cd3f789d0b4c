// cvt between integers and floating-point numbers.
#include "targets/nvptx/emulator/families/Conversion.h"

#include "targets/nvptx/emulator/numeric/Convert.h"

namespace pianola::ptx {

namespace {

template <typename To, Rounding R, bool Ftz> struct ToInteger {
  To operator()(float x) const { return floatToInt<To>(Ftz ? flushDenormal(x) : x, R); }
  To operator()(double x) const { return floatToInt<To>(x, R); }
};

template <typename To, typename From, Rounding R> Handler toIntegerIn(bool ftz) {
  if constexpr (std::is_same_v<From, float>)
    if (ftz)
      return unaryLanes<ToInteger<To, R, true>, To, From>;
  return unaryLanes<ToInteger<To, R, false>, To, From>;
}
template <typename From> Handler toWord(Type to, const FloatMode &mode) {
  return forWords(to, [&](auto t) -> Handler {
    using To = decltype(t);
    switch (mode.rounding) {
    case Rounding::Zero:
      return toIntegerIn<To, From, Rounding::Zero>(mode.ftz);
    case Rounding::Down:
      return toIntegerIn<To, From, Rounding::Down>(mode.ftz);
    case Rounding::Up:
      return toIntegerIn<To, From, Rounding::Up>(mode.ftz);
    default:
      return toIntegerIn<To, From, Rounding::Nearest>(mode.ftz);
    }
  });
}

/// To any integer, as the register keeps it.
template <typename From> uint64_t integerFrom(From x, Type to, Rounding rounding) {
  switch (to) {
  case Type::U8:
    return floatToInt<uint8_t>(x, rounding);
  case Type::U16:
    return floatToInt<uint16_t>(x, rounding);
  case Type::U32:
    return floatToInt<uint32_t>(x, rounding);
  case Type::U64:
    return floatToInt<uint64_t>(x, rounding);
  case Type::S8:
    return uint64_t(floatToInt<int8_t>(x, rounding));
  case Type::S16:
    return uint64_t(floatToInt<int16_t>(x, rounding));
  case Type::S32:
    return uint64_t(floatToInt<int32_t>(x, rounding));
  default:
    return uint64_t(floatToInt<int64_t>(x, rounding));
  }
}

struct OfF16 {
  using Bits = uint16_t;
  static float value(uint16_t x) { return decodeF16(x); }
};
struct OfBF16 {
  using Bits = uint16_t;
  static float value(uint16_t x) { return decodeBF16(x); }
};
struct OfF32 {
  using Bits = float;
  static float value(float x) { return x; }
};
struct OfF64 {
  using Bits = double;
  static double value(double x) { return x; }
};

template <typename From> Step toAnyInteger(Warp &warp, const Op &op, uint32_t mask) {
  const auto *a = warp.in<typename From::Bits>(op.s[0]);
  forLanes(mask, [&](uint32_t lane) {
    auto x = From::value(a[lane]);
    if constexpr (std::is_same_v<From, OfF32>)
      x = op.ftz ? flushDenormal(x) : x;
    setInteger(warp, op, op.type, lane, integerFrom(x, op.type, op.rounding));
  });
  return Step::Next;
}

template <typename To> struct FromInteger {
  template <typename From> To operator()(From x) const { return To(x); }
};
template <typename To> Handler fromWord(Type from) {
  return forWords(from,
                  [](auto t) -> Handler { return unaryLanes<FromInteger<To>, To, decltype(t)>; });
}

template <typename From> void setFloat(Warp &warp, const Op &op, uint32_t lane, From x) {
  Slot d = op.d[0];
  Rounding rounding = op.rounding;
  // What an integer saturates to is 0 or 1, which no rounding changes.
  if (op.saturate)
    x = x > 0 ? 1 : 0;
  switch (op.type) {
  case Type::F32:
    warp.out<float>(d)[lane] = intToF32(x, rounding);
    break;
  case Type::F64:
    warp.out<double>(d)[lane] = intToF64(x, rounding);
    break;
  case Type::F16:
    warp.out<uint16_t>(d)[lane] = intToHalf<F16>(x, rounding);
    break;
  default:
    warp.out<uint16_t>(d)[lane] = intToHalf<BF16>(x, rounding);
  }
}

Step fromAnyInteger(Warp &warp, const Op &op, uint32_t mask) {
  forLanes(mask, [&](uint32_t lane) {
    uint64_t x = integerOf(warp, op, op.other, lane);
    if (isSigned(op.other))
      setFloat(warp, op, lane, int64_t(x));
    else
      setFloat(warp, op, lane, x);
  });
  return Step::Next;
}

} // namespace

bool decodeFloatToInteger(Decoder &decoder, const Conversion &conversion) {
  Op &op = decoder.op;
  if (!conversion.integral)
    return decoder.fail("expected a rounding to an integer");
  if (!decoder.expectOperands(2) || !defineInteger(decoder, op.type) ||
      !decoder.use(1, op.other, op.s[0]))
    return false;
  op.rounding = conversion.mode.rounding;
  op.ftz = conversion.mode.ftz;
  if (resultBytes(op) == sizeOf(op.type) && sizeOf(op.type) >= 4) {
    if (op.other == Type::F32)
      return decoder.run(toWord<float>(op.type, conversion.mode));
    if (op.other == Type::F64)
      return decoder.run(toWord<double>(op.type, conversion.mode));
  }
  return decoder.run(op.other == Type::F32   ? toAnyInteger<OfF32>
                     : op.other == Type::F64 ? toAnyInteger<OfF64>
                     : op.other == Type::F16 ? toAnyInteger<OfF16>
                                             : toAnyInteger<OfBF16>);
}

bool decodeIntegerToFloat(Decoder &decoder, const Conversion &conversion) {
  Op &op = decoder.op;
  if (!conversion.rounds)
    return decoder.fail("expected a rounding");
  if (!decoder.expectOperands(2) || !decoder.define(0, sizeOf(op.type), op.d[0]) ||
      !useInteger(decoder, op.other))
    return false;
  op.rounding = conversion.mode.rounding;
  op.saturate = conversion.mode.sat;
  bool plain = op.rounding == Rounding::Nearest && !op.saturate &&
               sourceBytes(op) == sizeOf(op.other) && sizeOf(op.other) >= 4;
  if (plain && op.type == Type::F32)
    return decoder.run(fromWord<float>(op.other));
  if (plain && op.type == Type::F64)
    return decoder.run(fromWord<double>(op.other));
  return decoder.run(fromAnyInteger);
}

} // namespace pianola::ptx
