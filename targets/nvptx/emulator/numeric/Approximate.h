// Approximate.h - what PTX calls approximate: ex2, lg2, sin, cos, tanh, rcp, rsqrt, sqrt, div.
//
// Special values are those of the ISA's tables. Everywhere else the result is, but for rare ties,
// the correctly rounded one: a device may differ from it by the bound that stands beside each
// function, and a program must not depend on more.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_APPROXIMATE_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_APPROXIMATE_H

#include "targets/nvptx/emulator/numeric/HalfArithmetic.h"

namespace pianola::ptx {

/// What the ISA promises: an error in units in the last place of the result (ulp), relative to it,
/// or absolute.
struct ErrorBound {
  enum Kind : uint8_t { Ulp, Relative, Absolute } kind;
  double most;
};

/// 2 to the x, to 1e-10: no table, no branch, for loops over lanes.
inline double exp2Of(double x) {
  x = x < -1000 ? -1000 : x > 1000 ? 1000 : x;
  constexpr double shift = 0x1.8p52; // the sum's last bits are x rounded to the nearest integer
  double shifted = x + shift, y = (x - (shifted - shift)) * 0.693147180559945309417;
  double y2 = y * y, y4 = y2 * y2;
  double low = (1 + y) + y2 * (0.5 + y * (1. / 6));
  double high = (1. / 24 + y * (1. / 120)) + y2 * (1. / 720 + y * (1. / 5040)) + y4 * (1. / 40320);
  double power = f64Of((bitsOf(shifted) + 1023) << 52);
  return (low + y4 * high) * power;
}

/// The logarithm of x to base 2, to 1e-11; x is positive and finite.
inline double log2Of(double x) {
  uint64_t bits = bitsOf(x) - 0x3fe6a09e667f3bcd; // sqrt(1/2): the significand lies about 1
  int64_t exponent = int64_t(bits) >> 52;
  double m = f64Of(bitsOf(x) - (uint64_t(exponent) << 52));
  double s = (m - 1) / (m + 1), z = s * s;
  double series =
      1 + z * (1. / 3 + z * (1. / 5 + z * (1. / 7 + z * (1. / 9 + z * (1. / 11 + z / 13)))));
  return double(exponent) + s * series * 2.88539008177792681472;
}

template <typename Mode = FloatMode> inline float ex2Approx(float x, const Mode &mode = {}) {
  x = flushedInput(x, mode);
  float r = float(exp2Of(x));
  return finished(isNaN(x) ? x : r, mode);
}
inline constexpr ErrorBound ex2Bound{ErrorBound::Ulp, 2};

template <typename Mode = FloatMode> inline float lg2Approx(float x, const Mode &mode = {}) {
  x = flushedInput(x, mode);
  float r = float(log2Of(x > 0 ? x : 1.f));
  r = x == 0 ? -INFINITY : x < 0 || isNaN(x) ? NAN : std::isinf(x) ? x : r;
  return finished(r, mode);
}
/// Absolute in (0.5, 2), relative elsewhere.
inline constexpr ErrorBound lg2Bound{ErrorBound::Absolute, 0x1p-22};
inline constexpr ErrorBound lg2BoundOutside{ErrorBound::Relative, 0x1p-22};

template <typename Mode = FloatMode> inline float sinApprox(float x, const Mode &mode = {}) {
  return finished(float(std::sin(double(flushedInput(x, mode)))), mode);
}
template <typename Mode = FloatMode> inline float cosApprox(float x, const Mode &mode = {}) {
  return finished(float(std::cos(double(flushedInput(x, mode)))), mode);
}
inline constexpr ErrorBound sinCosBound{ErrorBound::Absolute, 0x1.6a09e6p-21}; // in [-2pi, 2pi]
inline constexpr ErrorBound sinCosBoundOutside{ErrorBound::Absolute, 0x1.3b2c47p-15}; // 100pi

inline float tanhApprox(float x) { return canonicalised(float(std::tanh(double(x)))); }
inline constexpr ErrorBound tanhBound{ErrorBound::Relative, 0x1p-11};

template <typename Mode = FloatMode> inline float rcpApprox(float x, const Mode &mode = {}) {
  return finished(1.f / flushedInput(x, mode), mode);
}
inline constexpr ErrorBound rcpBound{ErrorBound::Ulp, 1};

template <typename Mode = FloatMode> inline float rsqrtApprox(float x, const Mode &mode = {}) {
  return finished(float(1. / std::sqrt(double(flushedInput(x, mode)))), mode);
}
inline constexpr ErrorBound rsqrtBound{ErrorBound::Relative, 0x1.125fbep-23}; // 2^-22.9

template <typename Mode = FloatMode> inline float sqrtApprox(float x, const Mode &mode = {}) {
  return finished(std::sqrt(flushedInput(x, mode)), mode);
}
inline constexpr ErrorBound sqrtBound{ErrorBound::Relative, 0x1p-23};

/// a * (1 / b): where |b| is greater than 2^126 its reciprocal is 0, which times infinity is NaN.
template <typename Mode = FloatMode>
inline float divApprox(float a, float b, const Mode &mode = {}) {
  a = flushedInput(a, mode), b = flushedInput(b, mode);
  float magnitude = std::fabs(b);
  float r = magnitude > 0x1p126f && magnitude < INFINITY ? a * std::copysign(0.f, b) : a / b;
  return finished(r, mode);
}
inline constexpr ErrorBound divApproxBound{ErrorBound::Ulp, 2}; // |b| in [2^-126, 2^126]

template <typename Mode = FloatMode> inline float divFull(float a, float b, const Mode &mode = {}) {
  return finished(flushedInput(a, mode) / flushedInput(b, mode), mode);
}
inline constexpr ErrorBound divFullBound{ErrorBound::Ulp, 2};

//===-- f64 ---------------------------------------------------------------------------------===//

/// The upper 32 bits of the operand count, and of the result only they are not 0. Subnormal numbers
/// are zeros, NaN is 0x7fffffff00000000.
inline double upperWord(double x) {
  uint64_t bits = bitsOf(x) & 0xffffffff00000000;
  return f64Of((bits & 0x7ff0000000000000) != 0 ? bits : bits & 0x8000000000000000);
}
inline double upperWordResult(double x) {
  if (isNaN(x))
    return f64Of(0x7fffffff00000000);
  return std::isinf(x) ? x : upperWord(f64Of(bitsOf(x) + 0x80000000));
}
inline double rcpApproxFtz(double x) { return upperWordResult(isNaN(x) ? x : 1. / upperWord(x)); }
inline double rsqrtApproxFtz(double x) {
  return upperWordResult(isNaN(x) ? x : 1. / std::sqrt(upperWord(x)));
}
/// rsqrt.approx.f64.
inline double rsqrtApprox(double x) {
  return isNaN(x) ? quieted(x) : propagated(1. / std::sqrt(x), x, x);
}
inline constexpr ErrorBound f64ApproxBound{ErrorBound::Relative, 0x1p-20};

//===-- f16 and bf16 ------------------------------------------------------------------------===//

/// ex2.approx.f16, ex2.approx.ftz.bf16.
template <typename Format> inline uint16_t ex2Half(uint16_t x, bool ftz) {
  HalfMode mode{ftz, false, false};
  float a = halfOperand<Format>(x, mode);
  return isNaN(a) ? uint16_t(0x7fff) : halfResult<Format>(oddF32(exp2Of(a)), mode);
}
template <typename Format> inline uint16_t tanhHalf(uint16_t x) {
  return Format::encode(oddF32(std::tanh(double(Format::decode(x)))));
}
inline constexpr ErrorBound ex2F16Bound{ErrorBound::Relative, 0x1.125fbep-10}; // 2^-9.9
inline constexpr ErrorBound ex2BF16Bound{ErrorBound::Relative, 0x1p-7};
inline constexpr ErrorBound tanhF16Bound{ErrorBound::Absolute, 0x1.0253edp-11}; // 2^-10.987
inline constexpr ErrorBound tanhBF16Bound{ErrorBound::Absolute, 0x1p-8};

} // namespace pianola::ptx

#endif
