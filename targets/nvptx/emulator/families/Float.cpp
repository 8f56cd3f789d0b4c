// add sub mul fma mad div of f32 and f64, with their roundings.
#include "targets/nvptx/emulator/families/Arithmetic.h"

#include "targets/nvptx/emulator/numeric/Approximate.h"

namespace pianola::ptx {

namespace {

struct Sum {
  template <typename T, typename Mode> T operator()(T a, T b, const Mode &mode) const {
    return add(a, b, mode);
  }
};
struct Difference {
  template <typename T, typename Mode> T operator()(T a, T b, const Mode &mode) const {
    return sub(a, b, mode);
  }
};
struct Product {
  template <typename T, typename Mode> T operator()(T a, T b, const Mode &mode) const {
    return mul(a, b, mode);
  }
};
struct FusedMultiplyAdd {
  template <typename T, typename Mode> T operator()(T a, T b, T c, const Mode &mode) const {
    return fma(a, b, c, mode);
  }
};
struct Quotient {
  template <typename T, typename Mode> T operator()(T a, T b, const Mode &mode) const {
    return div(a, b, mode);
  }
};
struct ApproximateQuotient {
  template <typename Mode> float operator()(float a, float b, const Mode &mode) const {
    return divApprox(a, b, mode);
  }
};
struct FullRangeQuotient {
  template <typename Mode> float operator()(float a, float b, const Mode &mode) const {
    return divFull(a, b, mode);
  }
};

/// F in one mode.
template <typename F, typename Mode> struct InMode {
  template <typename... Operands> auto operator()(Operands... operands) const {
    return F()(operands..., Mode());
  }
};
/// F of a number of 16 bits and one or two more operands.
template <typename F, typename Mode, typename Format> struct Widening {
  float operator()(uint16_t a, float b) const { return F()(Format::decode(a), b, Mode()); }
  float operator()(uint16_t a, uint16_t b, float c) const {
    return F()(Format::decode(a), Format::decode(b), c, Mode());
  }
};

#if defined(__x86_64__) && !defined(__FMA__)
// Without this instruction std::fma is a call for each lane, and no operation of a model is more
// frequent.
#define PIANOLA_CHOOSES_FMA 1
template <typename T, typename Mode>
__attribute__((target("avx2,fma"))) Step fusedLanes(Warp &warp, const Op &op, uint32_t mask) {
  const T *a = warp.in<T>(op.s[0]), *b = warp.in<T>(op.s[1]), *c = warp.in<T>(op.s[2]);
  T *d = warp.out<T>(op.d[0]);
  T fresh[warpSize];
  for (uint32_t lane = 0; lane < warpSize; ++lane)
    fresh[lane] = fma(a[lane], b[lane], c[lane], Mode());
  for (uint32_t lane = 0; lane < warpSize; ++lane)
    d[lane] = mask >> lane & 1 ? fresh[lane] : d[lane];
  return Step::Next;
}
#endif

template <typename T, typename Mode> Handler fusedOf() {
#ifdef PIANOLA_CHOOSES_FMA
  if (Mode::rounding == Rounding::Nearest && __builtin_cpu_supports("avx2") &&
      __builtin_cpu_supports("fma"))
    return fusedLanes<T, Mode>;
#endif
  return ternaryLanes<InMode<FusedMultiplyAdd, Mode>, T, T>;
}

template <typename F> Handler singleOf(const FloatMode &mode) {
  Handler handler = nullptr;
  withFixed(mode, [&](auto fixed) {
    using Mode = decltype(fixed);
    if constexpr (std::is_same_v<F, FusedMultiplyAdd>)
      handler = fusedOf<float, Mode>();
    else
      handler = binaryLanes<InMode<F, Mode>, float, float>;
  });
  return handler;
}

template <typename F, Rounding R> Handler doubleIn() {
  using Mode = FixedMode<R>;
  if constexpr (std::is_same_v<F, FusedMultiplyAdd>)
    return fusedOf<double, Mode>();
  else if constexpr (R == Rounding::Nearest)
    return binaryLanes<InMode<F, Mode>, double, double>;
  else
    return binaryEach<InMode<F, Mode>, double, double>;
}
template <typename F> Handler doubleOf(Rounding rounding) {
  switch (rounding) {
  case Rounding::Zero:
    return doubleIn<F, Rounding::Zero>();
  case Rounding::Down:
    return doubleIn<F, Rounding::Down>();
  case Rounding::Up:
    return doubleIn<F, Rounding::Up>();
  default:
    return doubleIn<F, Rounding::Nearest>();
  }
}

template <typename F, typename Format> Handler wideningIn(const FloatMode &mode) {
  Handler handler = nullptr;
  withFixed(mode, [&](auto fixed) {
    using Mode = decltype(fixed);
    if constexpr (std::is_same_v<F, FusedMultiplyAdd>)
      handler = ternaryLanes<Widening<F, Mode, Format>, float, uint16_t, uint16_t, float>;
    else
      handler = binaryLanes<Widening<F, Mode, Format>, float, uint16_t, float>;
  });
  return handler;
}
template <typename F> Handler wideningOf(Type narrow, const FloatMode &mode) {
  return narrow == Type::F16 ? wideningIn<F, F16>(mode) : wideningIn<F, BF16>(mode);
}

/// add.f32.f16 and its like, which have no .ftz.
bool decodeWidening(Decoder &decoder, FloatOperation operation, const FloatMode &mode) {
  Op &op = decoder.op;
  if ((op.other != Type::F16 && op.other != Type::BF16) || mode.ftz)
    return decoder.unknown();
  if (operation == FloatOperation::MultiplyAdd)
    return takeOperands(decoder, Type::F32, {op.other, op.other, Type::F32}) &&
           decoder.run(wideningOf<FusedMultiplyAdd>(op.other, mode));
  if (operation == FloatOperation::Multiply)
    return decoder.unknown();
  return takeOperands(decoder, Type::F32, {op.other, Type::F32}) &&
         decoder.run(operation == FloatOperation::Add ? wideningOf<Sum>(op.other, mode)
                                                      : wideningOf<Difference>(op.other, mode));
}

Handler singleOf(FloatOperation operation, const FloatMode &mode) {
  switch (operation) {
  case FloatOperation::Add:
    return singleOf<Sum>(mode);
  case FloatOperation::Subtract:
    return singleOf<Difference>(mode);
  case FloatOperation::Multiply:
    return singleOf<Product>(mode);
  case FloatOperation::MultiplyAdd:
    return singleOf<FusedMultiplyAdd>(mode);
  }
  return nullptr;
}
Handler doubleOf(FloatOperation operation, Rounding rounding) {
  switch (operation) {
  case FloatOperation::Add:
    return doubleOf<Sum>(rounding);
  case FloatOperation::Subtract:
    return doubleOf<Difference>(rounding);
  case FloatOperation::Multiply:
    return doubleOf<Product>(rounding);
  case FloatOperation::MultiplyAdd:
    return doubleOf<FusedMultiplyAdd>(rounding);
  }
  return nullptr;
}

} // namespace

bool decodeFloat(Decoder &decoder, FloatOperation operation) {
  Op &op = decoder.op;
  if (op.type != Type::F32 && op.type != Type::F64)
    return decodeHalf(decoder, operation);
  FloatMode mode;
  bool rounds = decoder.takeRounding(mode.rounding);
  if (mode.rounding == Rounding::Away)
    return decoder.fail(".rna is no rounding of arithmetic");
  if (operation == FloatOperation::MultiplyAdd && !rounds)
    return decoder.fail("expected a rounding");
  mode.ftz = decoder.accept("ftz");
  mode.sat = decoder.accept("sat");
  if (op.type == Type::F64 && (mode.ftz || mode.sat))
    return decoder.fail(".f64 has neither .ftz nor .sat");
  if (decoder.takeType(op.other))
    return op.type == Type::F32 ? decodeWidening(decoder, operation, mode) : decoder.unknown();
  bool three = operation == FloatOperation::MultiplyAdd;
  if (three ? !takeOperands(decoder, op.type, {op.type, op.type, op.type})
            : !takeOperands(decoder, op.type, {op.type, op.type}))
    return false;
  return decoder.run(op.type == Type::F32 ? singleOf(operation, mode)
                                          : doubleOf(operation, mode.rounding));
}

bool decodeFma(Decoder &decoder) {
  return takeOwnType(decoder) && decodeFloat(decoder, FloatOperation::MultiplyAdd);
}

bool decodeFloatDivide(Decoder &decoder) {
  Type type = decoder.op.type;
  if (type != Type::F32 && type != Type::F64)
    return decoder.fail("'div' needs .f32, .f64 or an integer type");
  FloatMode mode;
  bool approximate = decoder.accept("approx"), full = !approximate && decoder.accept("full");
  if (!approximate && !full && !decoder.takeRounding(mode.rounding))
    return decoder.fail("expected a rounding, .approx or .full");
  if (mode.rounding == Rounding::Away)
    return decoder.fail(".rna is no rounding of arithmetic");
  mode.ftz = decoder.accept("ftz");
  if (type == Type::F64 && (mode.ftz || approximate || full))
    return decoder.fail("of .f64 there is only 'div' with a rounding");
  if (!takeOperands(decoder, type, {type, type}))
    return false;
  if (type == Type::F64)
    return decoder.run(doubleOf<Quotient>(mode.rounding));
  return decoder.run(approximate ? singleOf<ApproximateQuotient>(mode)
                     : full      ? singleOf<FullRangeQuotient>(mode)
                                 : singleOf<Quotient>(mode));
}

} // namespace pianola::ptx
