// abs neg min max copysign testp of f32 and f64.
#include "targets/nvptx/emulator/families/Arithmetic.h"

#include "targets/nvptx/emulator/numeric/Compare.h"

namespace pianola::ptx {

namespace {

template <bool Absolute, bool Ftz> struct Sign {
  float operator()(float a) const {
    FixedMode<Rounding::Nearest, Ftz> mode;
    return Absolute ? abs(a, mode) : neg(a, mode);
  }
  double operator()(double a) const { return Absolute ? abs(a) : neg(a); }
};

template <typename T, bool Absolute> Handler signOf(bool ftz) {
  return ftz ? unaryLanes<Sign<Absolute, true>, T, T> : unaryLanes<Sign<Absolute, false>, T, T>;
}

template <bool NaN, bool XorSign, bool Ftz> struct FixedMinMaxMode {
  static constexpr bool nan = NaN, xorsign = XorSign, ftz = Ftz;
};
template <bool Max, typename Mode> struct Choose {
  float operator()(float a, float b) const { return minMax(a, b, Max, Mode()); }
};
template <bool Max> struct ChooseDouble {
  double operator()(double a, double b) const { return Max ? max(a, b) : min(a, b); }
};

template <bool Max, bool NaN, bool XorSign> Handler choosing(bool ftz) {
  return ftz ? binaryLanes<Choose<Max, FixedMinMaxMode<NaN, XorSign, true>>, float, float>
             : binaryLanes<Choose<Max, FixedMinMaxMode<NaN, XorSign, false>>, float, float>;
}
template <bool Max> Handler choosing(const MinMaxMode &mode) {
  if (mode.nan)
    return mode.xorsign ? choosing<Max, true, true>(mode.ftz)
                        : choosing<Max, true, false>(mode.ftz);
  return mode.xorsign ? choosing<Max, false, true>(mode.ftz)
                      : choosing<Max, false, false>(mode.ftz);
}

struct SignOfFirst {
  template <typename T> T operator()(T a, T b) const { return copySign(a, b); }
};

/// op.mode: the property.
template <typename T> Step testProperty(Warp &warp, const Op &op, uint32_t mask) {
  const T *a = warp.in<T>(op.s[0]);
  auto property = Property(op.mode);
  uint32_t lanes = 0;
  forLanes(mask, [&](uint32_t lane) { lanes |= uint32_t(testp(property, a[lane])) << lane; });
  warp.setPredicate(op.d[0], mask, lanes);
  return Step::Next;
}

bool takeSingleOrDouble(Decoder &decoder) {
  if (!takeOwnType(decoder))
    return false;
  Type type = decoder.op.type;
  return type == Type::F32 || type == Type::F64 ||
         decoder.fail("'" + std::string(decoder.opcode()) + "' needs .f32 or .f64");
}

} // namespace

bool decodeFloatSign(Decoder &decoder, bool absolute) {
  Type type = decoder.op.type;
  if (type != Type::F32 && type != Type::F64)
    return decodeHalfSign(decoder, absolute);
  bool ftz = decoder.accept("ftz");
  if (ftz && type == Type::F64)
    return decoder.fail(".ftz needs .f32");
  if (!takeOperands(decoder, type, {type}))
    return false;
  if (type == Type::F32)
    return decoder.run(absolute ? signOf<float, true>(ftz) : signOf<float, false>(ftz));
  return decoder.run(absolute ? signOf<double, true>(false) : signOf<double, false>(false));
}

bool takeMinMaxMode(Decoder &decoder, MinMaxMode &mode) {
  mode.ftz = decoder.accept("ftz");
  mode.nan = decoder.accept("NaN");
  mode.xorsign = decoder.accept("xorsign");
  return decoder.accept("abs") == mode.xorsign || decoder.fail(".xorsign and .abs go together");
}

bool decodeFloatMinMax(Decoder &decoder, bool max) {
  Type type = decoder.op.type;
  if (type != Type::F32 && type != Type::F64)
    return decodeHalfMinMax(decoder, max);
  MinMaxMode mode;
  if (!takeMinMaxMode(decoder, mode) || !takeOperands(decoder, type, {type, type}))
    return false;
  if (type == Type::F32)
    return decoder.run(max ? choosing<true>(mode) : choosing<false>(mode));
  if (mode.ftz || mode.nan || mode.xorsign)
    return decoder.fail("minimum and maximum of .f64 have no modifiers");
  return decoder.run(max ? binaryLanes<ChooseDouble<true>, double, double>
                         : binaryLanes<ChooseDouble<false>, double, double>);
}

bool decodeCopySign(Decoder &decoder) {
  if (!takeSingleOrDouble(decoder))
    return false;
  Type type = decoder.op.type;
  return takeOperands(decoder, type, {type, type}) &&
         decoder.run(type == Type::F32 ? binaryLanes<SignOfFirst, float, float>
                                       : binaryLanes<SignOfFirst, double, double>);
}

bool decodeTestProperty(Decoder &decoder) {
  static const std::pair<const char *, Property> properties[] = {
      {"finite", Property::Finite}, {"infinite", Property::Infinite},
      {"number", Property::Number}, {"notanumber", Property::NotANumber},
      {"normal", Property::Normal}, {"subnormal", Property::Subnormal}};
  Op &op = decoder.op;
  bool found = false;
  for (auto [word, property] : properties)
    if (!found && decoder.accept(word))
      op.mode = uint16_t(property), found = true;
  if (!found)
    return decoder.fail("expected a property");
  return takeSingleOrDouble(decoder) && decoder.expectOperands(2) &&
         decoder.definePredicate(decoder.operands()[0], op.d[0]) &&
         decoder.use(1, op.type, op.s[0]) &&
         decoder.run(op.type == Type::F32 ? testProperty<float> : testProperty<double>);
}

} // namespace pianola::ptx
