// cvt: what is converted to what, and integers with each other.
#include "targets/nvptx/emulator/families/Conversion.h"

#include "targets/nvptx/emulator/numeric/Convert.h"

#include <algorithm>

namespace pianola::ptx {

namespace {

/// D and S are registers, N is the narrower of the types, whose sign extends it.
template <typename D, typename S, typename N> Step extend(Warp &warp, const Op &op, uint32_t mask) {
  const S *a = warp.in<S>(op.s[0]);
  computeLanes(warp.out<D>(op.d[0]), mask, [&](uint32_t lane) { return D(N(a[lane])); });
  return Step::Next;
}

template <typename D, typename S> Handler extendFrom(Type narrow) {
  constexpr size_t least = sizeof(D) < sizeof(S) ? sizeof(D) : sizeof(S);
  switch (narrow) {
  case Type::U8:
    return extend<D, S, uint8_t>;
  case Type::S8:
    return extend<D, S, int8_t>;
  case Type::U16:
    return extend<D, S, uint16_t>;
  case Type::S16:
    return extend<D, S, int16_t>;
  default:
    break;
  }
  if constexpr (least >= 4) {
    if (sizeOf(narrow) == 4)
      return isSigned(narrow) ? extend<D, S, int32_t> : extend<D, S, uint32_t>;
  }
  if constexpr (least == 8)
    return extend<D, S, uint64_t>;
  return nullptr;
}
template <typename D> Handler extendInto(Type narrow, uint32_t bytes) {
  return bytes == 2   ? extendFrom<D, uint16_t>(narrow)
         : bytes == 4 ? extendFrom<D, uint32_t>(narrow)
                      : extendFrom<D, uint64_t>(narrow);
}

/// The nearest number that the type has.
uint64_t saturated(uint64_t value, Type from, Type to) {
  uint32_t bits = 8 * sizeOf(to) - isSigned(to);
  Int128 wide = isSigned(from) ? Int128(int64_t(value)) : Int128(value);
  Int128 most = (Int128(1) << bits) - 1, least = isSigned(to) ? -most - 1 : 0;
  return uint64_t(std::clamp(wide, least, most));
}

/// Whether every number of `from` is one of `to`.
bool holds(Type to, Type from) {
  if (isSigned(to) == isSigned(from))
    return sizeOf(to) >= sizeOf(from);
  return isSigned(to) && sizeOf(to) > sizeOf(from);
}

Step convertSlowly(Warp &warp, const Op &op, uint32_t mask) {
  forLanes(mask, [&](uint32_t lane) {
    uint64_t value = integerOf(warp, op, op.other, lane);
    setInteger(warp, op, op.type, lane, op.saturate ? saturated(value, op.other, op.type) : value);
  });
  return Step::Next;
}

/// .rni .rzi .rmi .rpi.
bool takeIntegral(Decoder &decoder, Rounding &out) {
  static const std::pair<const char *, Rounding> roundings[] = {{"rni", Rounding::Nearest},
                                                                {"rzi", Rounding::Zero},
                                                                {"rmi", Rounding::Down},
                                                                {"rpi", Rounding::Up}};
  for (auto [word, rounding] : roundings) {
    if (!decoder.accept(word))
      continue;
    out = rounding;
    return true;
  }
  return false;
}

bool isPlainFloat(Type type) {
  return type == Type::F16 || type == Type::BF16 || type == Type::F32 || type == Type::F64;
}

} // namespace

uint64_t integerOf(const Warp &warp, const Op &op, Type type, uint32_t lane) {
  uint32_t bytes = sourceBytes(op);
  Slot slot = op.s[0];
  return extended(bytes == 2   ? warp.in<uint16_t>(slot)[lane]
                  : bytes == 4 ? warp.in<uint32_t>(slot)[lane]
                               : warp.in<uint64_t>(slot)[lane],
                  type);
}

void setInteger(Warp &warp, const Op &op, Type type, uint32_t lane, uint64_t value) {
  uint32_t bytes = resultBytes(op);
  Slot slot = op.d[0];
  value = extended(value, type);
  if (bytes == 2)
    warp.out<uint16_t>(slot)[lane] = uint16_t(value);
  else if (bytes == 4)
    warp.out<uint32_t>(slot)[lane] = uint32_t(value);
  else
    warp.out<uint64_t>(slot)[lane] = value;
}

bool defineInteger(Decoder &decoder, Type type) {
  const Operand &result = decoder.operands()[0];
  uint32_t least = std::max(sizeOf(type), 2u);
  uint32_t bytes = std::max(decoder.registerBytes(result), least);
  decoder.op.target |= bytes;
  return decoder.define(0, bytes, decoder.op.d[0]);
}

bool useInteger(Decoder &decoder, Type type) {
  const Operand &source = decoder.operands()[1];
  uint32_t least = std::max(sizeOf(type), 2u);
  uint32_t bytes = std::max(decoder.registerBytes(source), least);
  decoder.op.target |= bytes << 8;
  Type whole = bytes == 2 ? Type::B16 : bytes == 4 ? Type::B32 : Type::B64;
  return decoder.use(1, whole, decoder.op.s[0]);
}

bool decodeBetweenIntegers(Decoder &decoder, const Conversion &conversion) {
  Op &op = decoder.op;
  if (conversion.rounds || conversion.integral || conversion.mode.ftz)
    return decoder.fail("between integers nothing is rounded");
  if (!decoder.expectOperands(2) || !defineInteger(decoder, op.type) ||
      !useInteger(decoder, op.other))
    return false;
  op.saturate = conversion.mode.sat;
  if (op.saturate && holds(op.type, op.other))
    return decoder.fail(".sat has nothing to do: the result has every value of the operand");
  bool narrows = sizeOf(op.type) <= sizeOf(op.other);
  // Extended by one sign to its type, and by another one to the register.
  bool twice =
      !narrows && isSigned(op.other) && !isSigned(op.type) && resultBytes(op) > sizeOf(op.type);
  if (op.saturate || twice)
    return decoder.run(convertSlowly);
  Type narrow = narrows ? op.type : op.other;
  uint32_t bytes = sourceBytes(op);
  return runOf(decoder, resultBytes(op) == 2   ? extendInto<uint16_t>(narrow, bytes)
                        : resultBytes(op) == 4 ? extendInto<uint32_t>(narrow, bytes)
                                               : extendInto<uint64_t>(narrow, bytes));
}

bool decodeConvert(Decoder &decoder) {
  Op &op = decoder.op;
  if (decoder.accept("pack"))
    return decodePackedIntegers(decoder);
  Conversion conversion;
  conversion.integral = takeIntegral(decoder, conversion.mode.rounding);
  conversion.rounds = !conversion.integral && decoder.takeRounding(conversion.mode.rounding);
  conversion.mode.ftz = decoder.accept("ftz");
  conversion.mode.sat = decoder.accept("sat");
  conversion.relu = decoder.accept("relu");
  conversion.satfinite = decoder.accept("satfinite");
  if (!decoder.takeType(op.type) || !decoder.takeType(op.other))
    return decoder.fail("expected the types of the result and of the operand");
  conversion.to = op.type, conversion.from = op.other;
  bool toPlain = isPlainFloat(op.type), fromPlain = isPlainFloat(op.other);
  bool toInteger = isInteger(op.type), fromInteger = isInteger(op.other);
  if (!(toPlain || toInteger) || !(fromPlain || fromInteger))
    return decodePackedFloats(decoder, conversion);
  if (conversion.mode.rounding == Rounding::Away)
    return decoder.fail(".rna needs .tf32");
  if (conversion.mode.ftz && op.type != Type::F32 && op.other != Type::F32)
    return decoder.fail(".ftz needs .f32");
  if (op.type == Type::BF16 || op.other == Type::BF16) {
    bool bytes = sizeOf(op.type) == 1 || sizeOf(op.other) == 1;
    if (conversion.mode.sat || bytes)
      return decoder.fail(".bf16 has no .sat, and no conversion from or to 8 bits");
  }
  if (toPlain && fromPlain)
    return decodeBetweenFloats(decoder, conversion);
  if (conversion.relu || conversion.satfinite)
    return decoder.fail(".relu and .satfinite need two floating-point types");
  if (toInteger && fromInteger)
    return decodeBetweenIntegers(decoder, conversion);
  return toInteger ? decodeFloatToInteger(decoder, conversion)
                   : decodeIntegerToFloat(decoder, conversion);
}

} // namespace pianola::ptx
