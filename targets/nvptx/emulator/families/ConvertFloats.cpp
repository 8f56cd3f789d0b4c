// cvt between f16, bf16, f32 and f64, and to whole numbers of the same type.
#include "targets/nvptx/emulator/families/Conversion.h"

#include "targets/nvptx/emulator/numeric/Convert.h"

namespace pianola::ptx {

namespace {

// F::of converts in a mode; D and A are what the registers hold.
struct DoubleToSingle {
  using D = float;
  using A = double;
  template <typename Mode> static D of(A x, const Mode &mode) { return f64ToF32(x, mode); }
};
struct SingleToDouble {
  using D = double;
  using A = float;
  template <typename Mode> static D of(A x, const Mode &mode) { return f32ToF64(x, mode); }
};
struct SingleToSingle {
  using D = float;
  using A = float;
  template <typename Mode> static D of(A x, const Mode &mode) { return f32ToF32(x, mode); }
};
struct DoubleToDouble {
  using D = double;
  using A = double;
  template <typename Mode> static D of(A x, const Mode &mode) {
    x = isNaN(x) ? quieted(x) : x;
    return mode.sat ? saturate01(x) : x;
  }
};
struct SingleToWhole {
  using D = float;
  using A = float;
  template <typename Mode> static D of(A x, const Mode &mode) { return integralF32(x, mode); }
};
struct DoubleToWhole {
  using D = double;
  using A = double;
  template <typename Mode> static D of(A x, const Mode &mode) { return integralF64(x, mode); }
};
template <typename Format> struct HalfToWhole {
  using D = uint16_t;
  using A = uint16_t;
  template <typename Mode> static D of(A x, const Mode &mode) {
    return integralHalf<Format>(x, mode);
  }
};
template <typename Format> struct SingleToHalf {
  using D = uint16_t;
  using A = float;
  template <typename Mode> static D of(A x, const Mode &mode) { return f32ToHalf<Format>(x, mode); }
};
template <typename Format> struct DoubleToHalf {
  using D = uint16_t;
  using A = double;
  template <typename Mode> static D of(A x, const Mode &mode) { return f64ToHalf<Format>(x, mode); }
};
template <typename Format> struct HalfToSingle {
  using D = float;
  using A = uint16_t;
  template <typename Mode> static D of(A x, const Mode &mode) { return halfToF32<Format>(x, mode); }
};
template <typename Format> struct HalfToDouble {
  using D = double;
  using A = uint16_t;
  template <typename Mode> static D of(A x, const Mode &mode) { return halfToF64<Format>(x, mode); }
};
template <typename To, typename From> struct HalfToHalf {
  using D = uint16_t;
  using A = uint16_t;
  template <typename Mode> static D of(A x, const Mode &mode) {
    return halfToHalf<To, From>(x, mode);
  }
};

template <typename F, typename Mode> struct InMode {
  typename F::D operator()(typename F::A x) const { return F::of(x, Mode()); }
};
template <typename F> Handler converting(const FloatMode &mode) {
  Handler handler = nullptr;
  withFixed(mode, [&](auto fixed) {
    handler = unaryLanes<InMode<F, decltype(fixed)>, typename F::D, typename F::A>;
  });
  return handler;
}

constexpr uint16_t reluBit = 1, satfiniteBit = 2;

/// .relu and .satfinite, of f32: op.mode.
template <typename Format> Step convertClamped(Warp &warp, const Op &op, uint32_t mask) {
  const auto *a = warp.in<float>(op.s[0]);
  EncodeMode mode{op.rounding, (op.mode & reluBit) != 0, (op.mode & satfiniteBit) != 0};
  computeEach(warp.out<uint16_t>(op.d[0]), mask, [&](uint32_t lane) {
    return encodeHalf<Format>(op.ftz ? flushDenormal(a[lane]) : a[lane], mode);
  });
  return Step::Next;
}

template <typename Format> Handler toHalf(Type from, const FloatMode &mode) {
  using Other = std::conditional_t<std::is_same_v<Format, F16>, BF16, F16>;
  if (from == Type::F32)
    return converting<SingleToHalf<Format>>(mode);
  if (from == Type::F64)
    return converting<DoubleToHalf<Format>>(mode);
  bool same = (from == Type::F16) == std::is_same_v<Format, F16>;
  return same ? converting<HalfToHalf<Format, Format>>(mode)
              : converting<HalfToHalf<Format, Other>>(mode);
}

Handler toWhole(Type type, const FloatMode &mode) {
  switch (type) {
  case Type::F32:
    return converting<SingleToWhole>(mode);
  case Type::F64:
    return converting<DoubleToWhole>(mode);
  case Type::F16:
    return converting<HalfToWhole<F16>>(mode);
  default:
    return converting<HalfToWhole<BF16>>(mode);
  }
}

Handler toFloat(Type to, Type from, const FloatMode &mode) {
  switch (to) {
  case Type::F16:
    return toHalf<F16>(from, mode);
  case Type::BF16:
    return toHalf<BF16>(from, mode);
  case Type::F32:
    return from == Type::F32   ? converting<SingleToSingle>(mode)
           : from == Type::F64 ? converting<DoubleToSingle>(mode)
           : from == Type::F16 ? converting<HalfToSingle<F16>>(mode)
                               : converting<HalfToSingle<BF16>>(mode);
  default:
    return from == Type::F32   ? converting<SingleToDouble>(mode)
           : from == Type::F64 ? converting<DoubleToDouble>(mode)
           : from == Type::F16 ? converting<HalfToDouble<F16>>(mode)
                               : converting<HalfToDouble<BF16>>(mode);
  }
}

} // namespace

bool decodeBetweenFloats(Decoder &decoder, const Conversion &conversion) {
  Op &op = decoder.op;
  Type to = conversion.to, from = conversion.from;
  bool narrows = sizeOf(to) < sizeOf(from) || (sizeOf(to) == sizeOf(from) && to != from);
  if (conversion.integral && to != from)
    return decoder.fail("a rounding to an integer needs the same type twice");
  bool fromOtherHalf = sizeOf(to) == 2 && sizeOf(from) == 2; // .rn where nothing is said
  if (narrows && !fromOtherHalf && !conversion.rounds)
    return decoder.fail("expected a rounding");
  if (!narrows && conversion.rounds && (from != Type::BF16 || to == from))
    return decoder.fail("nothing is rounded here");
  if (!takeOperands(decoder, to, {from}))
    return false;
  op.rounding = conversion.mode.rounding;
  if (!conversion.relu && !conversion.satfinite)
    return decoder.run(conversion.integral ? toWhole(to, conversion.mode)
                                           : toFloat(to, from, conversion.mode));
  bool fits = narrows && sizeOf(to) == 2 && from == Type::F32 && !conversion.mode.sat &&
              (op.rounding == Rounding::Nearest || op.rounding == Rounding::Zero);
  if (!fits)
    return decoder.fail(
        ".relu and .satfinite are for .f16 and .bf16 from .f32, by .rn or .rz, without .sat");
  op.ftz = conversion.mode.ftz;
  op.mode = uint16_t((conversion.relu ? reluBit : 0) | (conversion.satfinite ? satfiniteBit : 0));
  return decoder.run(to == Type::F16 ? convertClamped<F16> : convertClamped<BF16>);
}

} // namespace pianola::ptx
