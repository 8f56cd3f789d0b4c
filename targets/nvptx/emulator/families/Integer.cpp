// add sub mul mad div rem abs neg min max sad of integers. The same words on floating-point types
// are handed on to Float.cpp.
#include "targets/nvptx/emulator/families/Arithmetic.h"

#include "targets/nvptx/emulator/numeric/Integer.h"

namespace pianola::ptx {

namespace {

struct Add {
  template <typename T> T operator()(T a, T b) const { return wrapAdd(a, b); }
};
struct Subtract {
  template <typename T> T operator()(T a, T b) const { return wrapSub(a, b); }
};
struct AddSaturated {
  int32_t operator()(int32_t a, int32_t b) const { return addSat(a, b); }
};
struct SubtractSaturated {
  int32_t operator()(int32_t a, int32_t b) const { return subSat(a, b); }
};
struct AddPairs {
  uint32_t operator()(uint32_t a, uint32_t b) const { return add16x2(a, b); }
};
struct MultiplyLow {
  template <typename T> T operator()(T a, T b) const { return mulLo(a, b); }
};
struct MultiplyHigh {
  template <typename T> T operator()(T a, T b) const { return mulHi(a, b); }
};
struct MultiplyWide {
  template <typename T> WideOf<T> operator()(T a, T b) const { return mulWide(a, b); }
};
struct MultiplyAddLow {
  template <typename T> T operator()(T a, T b, T c) const { return madLo(a, b, c); }
};
struct MultiplyAddHigh {
  template <typename T> T operator()(T a, T b, T c) const { return madHi(a, b, c); }
};
struct MultiplyAddHighSaturated {
  int32_t operator()(int32_t a, int32_t b, int32_t c) const { return madHiSat(a, b, c); }
};
struct MultiplyAddWide {
  template <typename T> WideOf<T> operator()(T a, T b, WideOf<T> c) const {
    return madWide(a, b, c);
  }
};
struct Divide {
  template <typename T> T operator()(T a, T b) const { return div(a, b); }
};
struct Remainder {
  template <typename T> T operator()(T a, T b) const { return rem(a, b); }
};
struct Absolute {
  template <typename T> T operator()(T a) const { return absInt(a); }
};
struct Negate {
  template <typename T> T operator()(T a) const { return negInt(a); }
};
struct SumOfDifferences {
  template <typename T> T operator()(T a, T b, T c) const { return sad(a, b, c); }
};
template <bool Max, bool Relu> struct Choose {
  template <typename T> T operator()(T a, T b) const {
    T chosen = Max ? maxInt(a, b) : minInt(a, b);
    return Relu ? reluInt(chosen) : chosen;
  }
};
/// T: the type of a half.
template <typename T, bool Max, bool Relu> struct ChoosePairs {
  uint32_t operator()(uint32_t a, uint32_t b) const {
    return Max ? max16x2<T>(a, b, Relu) : min16x2<T>(a, b, Relu);
  }
};

bool isPair(Type type) { return type == Type::U16x2 || type == Type::S16x2; }

/// The type of a product with all its bits, or None.
Type wideOf(Type type) {
  switch (type) {
  case Type::U16:
    return Type::U32;
  case Type::S16:
    return Type::S32;
  case Type::U32:
    return Type::U64;
  case Type::S32:
    return Type::S64;
  default:
    return Type::None;
  }
}

template <bool Max> bool decodeChoose(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  if (isFloat(type))
    return decodeFloatMinMax(decoder, Max);
  bool relu = decoder.accept("relu");
  if (relu && type != Type::S32 && type != Type::S16x2)
    return decoder.fail(".relu needs .s32 or .s16x2");
  if (!takeOperands(decoder, type, {type, type}))
    return false;
  if (type == Type::U16x2)
    return decoder.run(binaryLanes<ChoosePairs<uint16_t, Max, false>, uint32_t, uint32_t>);
  if (type == Type::S16x2)
    return decoder.run(relu ? binaryLanes<ChoosePairs<int16_t, Max, true>, uint32_t, uint32_t>
                            : binaryLanes<ChoosePairs<int16_t, Max, false>, uint32_t, uint32_t>);
  if (relu)
    return decoder.run(binaryLanes<Choose<Max, true>, int32_t, int32_t>);
  return runOf(decoder, binaryInteger<Choose<Max, false>>(type));
}

/// mul.wide and mad.wide.
bool decodeWide(Decoder &decoder, bool adds) {
  Type type = decoder.op.type, wide = wideOf(type);
  if (wide == Type::None)
    return decoder.fail(".wide needs a type of 16 or 32 bits");
  if (adds ? !takeOperands(decoder, wide, {type, type, wide})
           : !takeOperands(decoder, wide, {type, type}))
    return false;
  auto choose = [&](auto t) -> Handler {
    using T = decltype(t);
    if constexpr (sizeof(T) < 8)
      return adds ? Handler(ternaryLanes<MultiplyAddWide, WideOf<T>, T, T, WideOf<T>>)
                  : Handler(binaryLanes<MultiplyWide, WideOf<T>, T>);
    return nullptr;
  };
  return runOf(decoder, forInteger(type, choose));
}

template <typename F> bool decodeQuotient(Decoder &decoder) {
  Type type = decoder.op.type;
  Handler handler =
      forInteger(type, [](auto t) -> Handler { return binaryEach<F, decltype(t), decltype(t)>; });
  return takeOperands(decoder, type, {type, type}) && runOf(decoder, handler);
}

} // namespace

bool decodeAdd(Decoder &decoder) {
  if (decoder.has("cc"))
    return decodeExtended(decoder);
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  if (isFloat(type))
    return decodeFloat(decoder, FloatOperation::Add);
  bool saturates = decoder.accept("sat");
  if (saturates && type != Type::S32)
    return decoder.fail(".sat needs .s32");
  if (!takeOperands(decoder, type, {type, type}))
    return false;
  if (isPair(type))
    return decoder.run(binaryLanes<AddPairs, uint32_t, uint32_t>);
  if (saturates)
    return decoder.run(binaryLanes<AddSaturated, int32_t, int32_t>);
  return runOf(decoder, binaryInteger<Add>(type));
}

bool decodeSubtract(Decoder &decoder) {
  if (decoder.has("cc"))
    return decodeExtended(decoder);
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  if (isFloat(type))
    return decodeFloat(decoder, FloatOperation::Subtract);
  bool saturates = decoder.accept("sat");
  if (saturates && type != Type::S32)
    return decoder.fail(".sat needs .s32");
  if (!takeOperands(decoder, type, {type, type}))
    return false;
  if (saturates)
    return decoder.run(binaryLanes<SubtractSaturated, int32_t, int32_t>);
  return runOf(decoder, binaryInteger<Subtract>(type));
}

bool decodeMultiply(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  if (isFloat(type))
    return decodeFloat(decoder, FloatOperation::Multiply);
  if (decoder.accept("wide"))
    return decodeWide(decoder, false);
  bool high = decoder.accept("hi");
  if (!high && !decoder.accept("lo"))
    return decoder.fail("expected .lo, .hi or .wide");
  if (!takeOperands(decoder, type, {type, type}))
    return false;
  return runOf(decoder,
               high ? binaryInteger<MultiplyHigh>(type) : binaryInteger<MultiplyLow>(type));
}

bool decodeMultiplyAdd(Decoder &decoder) {
  if (decoder.has("cc"))
    return decodeExtended(decoder);
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  if (type == Type::F32 || type == Type::F64)
    return decodeFloat(decoder, FloatOperation::MultiplyAdd);
  if (decoder.accept("wide"))
    return decodeWide(decoder, true);
  bool high = decoder.accept("hi");
  if (!high && !decoder.accept("lo"))
    return decoder.fail("expected .lo, .hi or .wide");
  bool saturates = decoder.accept("sat");
  if (saturates && (!high || type != Type::S32))
    return decoder.fail(".sat needs .hi and .s32");
  if (!takeOperands(decoder, type, {type, type, type}))
    return false;
  if (saturates)
    return decoder.run(ternaryLanes<MultiplyAddHighSaturated, int32_t, int32_t>);
  return runOf(decoder,
               high ? ternaryInteger<MultiplyAddHigh>(type) : ternaryInteger<MultiplyAddLow>(type));
}

bool decodeDivide(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  return isFloat(decoder.op.type) ? decodeFloatDivide(decoder) : decodeQuotient<Divide>(decoder);
}

bool decodeRemainder(Decoder &decoder) {
  return takeOwnType(decoder) && decodeQuotient<Remainder>(decoder);
}

bool decodeAbsolute(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  if (isFloat(type))
    return decodeFloatSign(decoder, true);
  if (!isSigned(type))
    return decoder.fail("'abs' needs a signed type");
  return takeOperands(decoder, type, {type}) && runOf(decoder, unaryInteger<Absolute>(type));
}

bool decodeNegate(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  if (isFloat(type))
    return decodeFloatSign(decoder, false);
  if (!isSigned(type))
    return decoder.fail("'neg' needs a signed type");
  return takeOperands(decoder, type, {type}) && runOf(decoder, unaryInteger<Negate>(type));
}

bool decodeMinMax(Decoder &decoder) {
  return decoder.opcode() == "max" ? decodeChoose<true>(decoder) : decodeChoose<false>(decoder);
}

bool decodeSad(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  return takeOperands(decoder, type, {type, type, type}) &&
         runOf(decoder, ternaryInteger<SumOfDifferences>(type));
}

} // namespace pianola::ptx
