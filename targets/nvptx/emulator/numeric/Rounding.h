// Rounding.h - f32 and f64 arithmetic in the roundings of PTX, with .ftz and .sat.
//
// To nearest is the C++ operator. The directed roundings never touch the mode of the machine: a
// result of f32 is first taken to f64 with its last bit made odd where it is inexact, from where
// one more rounding to f32 is exact in every mode; f64 goes through Exact.h.
//
// The mode of an instruction is either a FloatMode, looked at when the function runs, or a
// FixedMode, the same members known to the compiler. A loop over lanes wants the second:
//
//     withFixed(mode, [&](auto fixed) {
//       for (int lane = 0; lane != 32; ++lane)
//         d[lane] = add(a[lane], b[lane], fixed);
//     });
//
// A NaN of f32 always is 0x7fffffff. f64 keeps the first NaN operand's payload, made quiet; the NaN
// of an invalid operation is 0xfff8000000000000. None of this may be compiled with -ffast-math.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_ROUNDING_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_ROUNDING_H

#include "targets/nvptx/emulator/numeric/Exact.h"

#include <cmath>
#include <type_traits>

namespace pianola::ptx {

struct FloatMode {
  Rounding rounding = Rounding::Nearest;
  bool ftz = false; ///< f32 only: subnormal operands and results become zeros of their sign
  bool sat = false; ///< f32 and f16: the result is clamped to [0, 1], NaN becomes +0
};

template <Rounding R = Rounding::Nearest, bool Ftz = false, bool Sat = false> struct FixedMode {
  static constexpr Rounding rounding = R;
  static constexpr bool ftz = Ftz, sat = Sat;
};

/// Calls `body` with the FixedMode that equals `mode`.
template <typename Body> inline void withFixed(const FloatMode &mode, Body &&body) {
  auto withRounding = [&](auto ftz, auto sat) {
    constexpr bool f = decltype(ftz)::value, s = decltype(sat)::value;
    switch (mode.rounding) {
    case Rounding::Zero:
      return body(FixedMode<Rounding::Zero, f, s>());
    case Rounding::Down:
      return body(FixedMode<Rounding::Down, f, s>());
    case Rounding::Up:
      return body(FixedMode<Rounding::Up, f, s>());
    case Rounding::Nearest:
    case Rounding::Away:
      return body(FixedMode<Rounding::Nearest, f, s>());
    }
  };
  if (mode.ftz)
    mode.sat ? withRounding(std::true_type(), std::true_type())
             : withRounding(std::true_type(), std::false_type());
  else
    mode.sat ? withRounding(std::false_type(), std::true_type())
             : withRounding(std::false_type(), std::false_type());
}

inline constexpr uint32_t canonicalNaN32 = 0x7fffffff;
inline constexpr uint64_t invalidNaN64 = 0xfff8000000000000;

template <typename T> inline T canonicalNaN() {
  if constexpr (std::is_same_v<T, float>)
    return f32Of(canonicalNaN32);
  else
    return f64Of(invalidNaN64);
}

inline bool isNaN(float x) { return x != x; }
inline bool isNaN(double x) { return x != x; }

/// Subnormal numbers become zeros of their sign.
inline float flushDenormal(float x) {
  uint32_t bits = bitsOf(x);
  return f32Of((bits & 0x7f800000) != 0 ? bits : bits & 0x80000000);
}
inline float canonicalised(float x) { return x != x ? f32Of(canonicalNaN32) : x; }
inline float saturate01(float x) { return x > 0.f ? (x < 1.f ? x : 1.f) : 0.f; }
inline double saturate01(double x) { return x > 0. ? (x < 1. ? x : 1.) : 0.; }
inline double quieted(double x) { return f64Of(bitsOf(x) | uint64_t(1) << 51); }

template <typename Mode> inline float flushedInput(float x, const Mode &mode) {
  return mode.ftz ? flushDenormal(x) : x;
}
template <typename Mode> inline float finished(float x, const Mode &mode) {
  if (mode.ftz)
    x = flushDenormal(x);
  return mode.sat ? saturate01(x) : canonicalised(x);
}

/// f64 rounded to f32 in the directed mode `rounding`, which is not Nearest or Away. No NaN is made
/// canonical here.
inline float roundedToF32(double x, Rounding rounding) {
  float nearest = float(x);
  double back = nearest;
  uint32_t bits = bitsOf(nearest);
  // Neighbours in magnitude are neighbours as integers; the sign stays, also that of zero.
  bool tooGreat = std::fabs(back) > std::fabs(x), tooSmall = std::fabs(back) < std::fabs(x);
  bool away = (rounding == Rounding::Up && x > 0) || (rounding == Rounding::Down && x < 0);
  return f32Of(bits - (tooGreat && !away) + (tooSmall && away));
}

/// The f64 next to an exact value, with an odd last bit where it is not exact: `nearest` is the
/// value rounded to nearest and `error` what is left, of which only the sign counts.
inline double oddened(double nearest, double error) {
  uint64_t bits = bitsOf(nearest);
  bool inexact = error != 0, even = (bits & 1) == 0;
  bool outwards = (error > 0) == (nearest > 0);
  uint64_t moved = outwards ? bits + 1 : bits - 1;
  return f64Of(inexact && even ? moved : bits);
}

/// a + b, and what the rounding to nearest left out.
inline double twoSum(double a, double b, double &error) {
  double s = a + b, bb = s - a;
  error = (a - (s - bb)) + (b - bb);
  return s;
}

/// a + b of doubles whose sum is far from overflow, odd where inexact; infinities and NaN pass.
inline double oddSum(double a, double b) {
  double error, s = twoSum(a, b, error);
  return oddened(s, std::isfinite(s) ? error : 0);
}

/// -0 where a sum of zero has to be: of two operands -0, or of different signs when rounding down.
inline float signedZeroSum(float sum, bool negativeA, bool negativeB, Rounding rounding) {
  return sum == 0 && rounding == Rounding::Down && (negativeA || negativeB) ? -0.f : sum;
}

//===-- f32 ---------------------------------------------------------------------------------===//

template <typename Mode> inline float add(float a, float b, const Mode &mode) {
  a = flushedInput(a, mode), b = flushedInput(b, mode);
  if (mode.rounding == Rounding::Nearest)
    return finished(a + b, mode);
  double exact = oddSum(a, b);
  float rounded = exact == 0
                      ? signedZeroSum(float(exact), std::signbit(a), std::signbit(b), mode.rounding)
                      : roundedToF32(exact, mode.rounding);
  return finished(rounded, mode);
}

template <typename Mode> inline float sub(float a, float b, const Mode &mode) {
  return add(a, -b, mode);
}

template <typename Mode> inline float mul(float a, float b, const Mode &mode) {
  a = flushedInput(a, mode), b = flushedInput(b, mode);
  if (mode.rounding == Rounding::Nearest)
    return finished(a * b, mode);
  return finished(roundedToF32(double(a) * b, mode.rounding), mode); // 48 bits: exact
}

template <typename Mode> inline float fma(float a, float b, float c, const Mode &mode) {
  a = flushedInput(a, mode), b = flushedInput(b, mode), c = flushedInput(c, mode);
  if (mode.rounding == Rounding::Nearest)
    return finished(std::fma(a, b, c), mode);
  double product = double(a) * b, exact = oddSum(product, c);
  float rounded = exact == 0 ? signedZeroSum(float(exact), std::signbit(product), std::signbit(c),
                                             mode.rounding)
                             : roundedToF32(exact, mode.rounding);
  return finished(rounded, mode);
}

template <typename Mode> inline float div(float a, float b, const Mode &mode) {
  a = flushedInput(a, mode), b = flushedInput(b, mode);
  if (mode.rounding == Rounding::Nearest)
    return finished(a / b, mode);
  // A quotient of 24 bits by 24 is never so close to a number of f32, other than by being one, that
  // rounding to f64 could reach it.
  return finished(roundedToF32(double(a) / b, mode.rounding), mode);
}

template <typename Mode> inline float rcp(float a, const Mode &mode) { return div(1.f, a, mode); }

template <typename Mode> inline float sqrt(float a, const Mode &mode) {
  a = flushedInput(a, mode);
  if (mode.rounding == Rounding::Nearest)
    return finished(std::sqrt(a), mode);
  return finished(roundedToF32(std::sqrt(double(a)), mode.rounding), mode); // as in div
}

//===-- f64 ---------------------------------------------------------------------------------===//

/// The NaN that an operation with a NaN as its result gives.
inline double propagated(double r, double a, double b) {
  if (!isNaN(r))
    return r;
  return isNaN(a) ? quieted(a) : isNaN(b) ? quieted(b) : f64Of(invalidNaN64);
}
inline double propagated(double r, double a, double b, double c) {
  if (!isNaN(r))
    return r;
  return isNaN(a) || isNaN(b) ? propagated(r, a, b) : propagated(r, c, c);
}

template <typename Mode> inline double add(double a, double b, const Mode &mode) {
  double nearest = a + b;
  if (mode.rounding == Rounding::Nearest || !std::isfinite(a) || !std::isfinite(b))
    return propagated(nearest, a, b);
  return toF64(sum(exactOf(a), exactOf(b), mode.rounding), mode.rounding);
}

template <typename Mode> inline double sub(double a, double b, const Mode &mode) {
  double nearest = a - b;
  if (mode.rounding == Rounding::Nearest || !std::isfinite(a) || !std::isfinite(b))
    return propagated(nearest, a, b);
  return toF64(sum(exactOf(a), exactOf(-b), mode.rounding), mode.rounding);
}

template <typename Mode> inline double mul(double a, double b, const Mode &mode) {
  double nearest = a * b;
  if (mode.rounding == Rounding::Nearest || !std::isfinite(a) || !std::isfinite(b))
    return propagated(nearest, a, b);
  return toF64(multiply(exactOf(a), exactOf(b)), mode.rounding);
}

template <typename Mode> inline double fma(double a, double b, double c, const Mode &mode) {
  if (mode.rounding == Rounding::Nearest || !std::isfinite(a) || !std::isfinite(b) ||
      !std::isfinite(c))
    return propagated(std::fma(a, b, c), a, b, c);
  return toF64(sum(multiply(exactOf(a), exactOf(b)), exactOf(c), mode.rounding), mode.rounding);
}

template <typename Mode> inline double div(double a, double b, const Mode &mode) {
  double nearest = a / b;
  if (mode.rounding == Rounding::Nearest || !std::isfinite(a) || !std::isfinite(b) || a == 0 ||
      b == 0)
    return propagated(nearest, a, b);
  return toF64(quotient(exactOf(a), exactOf(b)), mode.rounding);
}

template <typename Mode> inline double rcp(double a, const Mode &mode) { return div(1., a, mode); }

template <typename Mode> inline double sqrt(double a, const Mode &mode) {
  double nearest = std::sqrt(a);
  if (mode.rounding == Rounding::Nearest || !(nearest > 0) || !std::isfinite(nearest))
    return propagated(nearest, a, a);
  // Scaled to [1, 4) nothing underflows: the rest is exact, and so is scaling back.
  int exponent;
  double scaled = std::frexp(a, &exponent) * 2;
  exponent -= 1;
  if (exponent & 1)
    scaled *= 2, exponent -= 1;
  double root = std::sqrt(scaled), rest = std::fma(-root, root, scaled);
  uint64_t bits = bitsOf(root);
  if (rest < 0 && mode.rounding != Rounding::Up)
    --bits;
  else if (rest > 0 && mode.rounding == Rounding::Up)
    ++bits;
  return std::ldexp(f64Of(bits), exponent / 2);
}

//===-- Either ------------------------------------------------------------------------------===//

/// neg and abs touch the sign alone, also that of a NaN, which PTX leaves open.
template <typename Mode> inline float neg(float a, const Mode &mode) {
  return -flushedInput(a, mode);
}
template <typename Mode> inline float abs(float a, const Mode &mode) {
  return std::fabs(flushedInput(a, mode));
}
inline double neg(double a) { return -a; }
inline double abs(double a) { return std::fabs(a); }

} // namespace pianola::ptx

#endif
