// Compare.h - setp, set, slct, testp, copysign, and min and max of f32 and f64.
//
// A comparison is either a Comparison, looked at when the function runs, or an integral_constant of
// one: withFixed(comparison, [&](auto fixed) { ... compare(fixed, a[lane], b[lane]) ... }).
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_COMPARE_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_COMPARE_H

#include "targets/nvptx/emulator/numeric/HalfArithmetic.h"

namespace pianola::ptx {

/// lo ls hi hs are lt le gt ge of unsigned integers; the type decides, not the name. Those with u
/// hold also where an operand is NaN.
enum class Comparison : uint8_t {
  Eq,
  Ne,
  Lt,
  Le,
  Gt,
  Ge,
  Lo,
  Ls,
  Hi,
  Hs,
  Equ,
  Neu,
  Ltu,
  Leu,
  Gtu,
  Geu,
  Num,
  Nan
};

template <typename Body> inline void withFixed(Comparison comparison, Body &&body) {
#define PIANOLA_CASE(NAME)                                                                         \
  case Comparison::NAME:                                                                           \
    return body(std::integral_constant<Comparison, Comparison::NAME>());
  switch (comparison) {
    PIANOLA_CASE(Eq)
    PIANOLA_CASE(Ne)
    PIANOLA_CASE(Lt)
    PIANOLA_CASE(Le)
    PIANOLA_CASE(Gt)
    PIANOLA_CASE(Ge)
    PIANOLA_CASE(Lo)
    PIANOLA_CASE(Ls)
    PIANOLA_CASE(Hi)
    PIANOLA_CASE(Hs)
    PIANOLA_CASE(Equ)
    PIANOLA_CASE(Neu)
    PIANOLA_CASE(Ltu)
    PIANOLA_CASE(Leu)
    PIANOLA_CASE(Gtu)
    PIANOLA_CASE(Geu)
    PIANOLA_CASE(Num)
    PIANOLA_CASE(Nan)
  }
#undef PIANOLA_CASE
}

/// T is an integer of the instruction's sign, float or double. For .b types take an unsigned one.
template <typename T> inline bool compare(Comparison comparison, T a, T b) {
  bool unordered = a != a || b != b; // never of integers
  switch (comparison) {
  case Comparison::Eq:
    return a == b;
  case Comparison::Ne:
    return a != b && !unordered;
  case Comparison::Lt:
  case Comparison::Lo:
    return a < b;
  case Comparison::Le:
  case Comparison::Ls:
    return a <= b;
  case Comparison::Gt:
  case Comparison::Hi:
    return a > b;
  case Comparison::Ge:
  case Comparison::Hs:
    return a >= b;
  case Comparison::Equ:
    return a == b || unordered;
  case Comparison::Neu:
    return a != b;
  case Comparison::Ltu:
    return !(a >= b);
  case Comparison::Leu:
    return !(a > b);
  case Comparison::Gtu:
    return !(a <= b);
  case Comparison::Geu:
    return !(a < b);
  case Comparison::Num:
    return !unordered;
  case Comparison::Nan:
    return unordered;
  }
  return false;
}
/// .ftz of f32: subnormal operands compare as zeros.
inline bool compareFlushed(Comparison comparison, float a, float b) {
  return compare(comparison, flushDenormal(a), flushDenormal(b));
}
template <typename Format>
inline bool compareHalf(Comparison comparison, uint16_t a, uint16_t b, bool ftz = false) {
  HalfMode mode{ftz, false, false};
  return compare(comparison, halfOperand<Format>(a, mode), halfOperand<Format>(b, mode));
}

/// How setp and set combine the comparison with their predicate operand.
enum class BoolOp : uint8_t { And, Or, Xor };
constexpr bool combine(BoolOp op, bool a, bool b) {
  return op == BoolOp::And ? a && b : op == BoolOp::Or ? a || b : a != b;
}
/// What set.{u32,s32} and set.f32 write.
constexpr uint32_t setMask(bool x) { return x ? 0xffffffff : 0; }
constexpr uint32_t setF32(bool x) { return x ? 0x3f800000 : 0; }
constexpr uint16_t setF16(bool x) { return x ? 0x3c00 : 0; }
constexpr uint16_t setBF16(bool x) { return x ? 0x3f80 : 0; }

/// slct d, a, b, c takes a: c >= 0. -0 is; NaN is not.
constexpr bool slctTakesFirst(int32_t c) { return c >= 0; }
inline bool slctTakesFirst(float c, bool ftz) { return (ftz ? flushDenormal(c) : c) >= 0; }

//===-- min, max ----------------------------------------------------------------------------===//

/// -0 is less than +0, and a NaN is no number to choose, except with .NaN.
template <typename Mode = MinMaxMode>
inline float minMax(float a, float b, bool max, const Mode &mode = {}) {
  if (mode.ftz)
    a = flushDenormal(a), b = flushDenormal(b);
  uint32_t sign = 0;
  if (mode.xorsign) {
    sign = (bitsOf(a) ^ bitsOf(b)) & 0x80000000;
    a = std::fabs(a), b = std::fabs(b);
  }
  uint32_t bitsA = bitsOf(a), bitsB = bitsOf(b);
  bool first = max ? a > b : a < b;
  uint32_t chosen = first ? bitsA : bitsB;
  if (a == b) // the same, or zeros
    chosen = max ? bitsA & bitsB : bitsA | bitsB;
  if (mode.xorsign)
    chosen = (chosen & 0x7fffffff) | sign;
  bool nanA = a != a, nanB = b != b;
  if (nanA || nanB) {
    if (mode.nan || (nanA && nanB))
      return f32Of(canonicalNaN32);
    chosen = nanA ? bitsB : bitsA;
    if (mode.xorsign)
      chosen = (chosen & 0x7fffffff) | sign;
  }
  return f32Of(chosen);
}
template <typename Mode = MinMaxMode> inline float min(float a, float b, const Mode &mode = {}) {
  return minMax(a, b, false, mode);
}
template <typename Mode = MinMaxMode> inline float max(float a, float b, const Mode &mode = {}) {
  return minMax(a, b, true, mode);
}
inline double min(double a, double b) {
  if (a == b)
    return f64Of(bitsOf(a) | bitsOf(b));
  return isNaN(a) ? (isNaN(b) ? quieted(a) : b) : b < a ? b : a;
}
inline double max(double a, double b) {
  if (a == b)
    return f64Of(bitsOf(a) & bitsOf(b));
  return isNaN(a) ? (isNaN(b) ? quieted(a) : b) : b > a ? b : a;
}

//===-- testp, copysign ---------------------------------------------------------------------===//

enum class Property : uint8_t { Finite, Infinite, Number, NotANumber, Normal, Subnormal };

/// Zeros count as normal.
template <typename T> inline bool testp(Property property, T x) {
  switch (property) {
  case Property::Finite:
    return std::isfinite(x);
  case Property::Infinite:
    return std::isinf(x);
  case Property::Number:
    return x == x;
  case Property::NotANumber:
    return x != x;
  case Property::Normal:
    return std::isnormal(x) || x == 0;
  case Property::Subnormal:
    return std::isfinite(x) && !std::isnormal(x) && x != 0;
  }
  return false;
}

/// copysign d, a, b: the magnitude of b with the sign of a, as PTX orders them.
inline float copySign(float a, float b) { return std::copysign(b, a); }
inline double copySign(double a, double b) { return std::copysign(b, a); }

} // namespace pianola::ptx

#endif
