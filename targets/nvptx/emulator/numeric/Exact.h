// Exact.h - a real number with a wide significand, and its one rounding to any binary format.
//
// The slow and certain way: used where the C++ operators cannot round as PTX asks (directed modes
// of f64, encoding into small formats), never for what rounds to nearest in f32 or f64.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_EXACT_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_EXACT_H

#include <cstdint>
#include <cstring>

namespace pianola::ptx {

/// How a result is rounded; .rna is Away (to nearest, ties away from zero). The integer roundings
/// .rni .rzi .rmi .rpi use the first four as well: the instruction says which is meant.
enum class Rounding : uint8_t { Nearest, Zero, Down, Up, Away };

template <typename To, typename From> inline To bitCast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
inline uint32_t bitsOf(float x) { return bitCast<uint32_t>(x); }
inline uint64_t bitsOf(double x) { return bitCast<uint64_t>(x); }
inline float f32Of(uint32_t bits) { return bitCast<float>(bits); }
inline double f64Of(uint64_t bits) { return bitCast<double>(bits); }

using Uint128 = unsigned __int128;
using Int128 = __int128;

/// The place of the highest set bit; `x` is not 0.
inline int topBit(uint64_t x) { return 63 - __builtin_clzll(x); }
inline int topBit(Uint128 x) {
  uint64_t high = uint64_t(x >> 64);
  return high != 0 ? 64 + topBit(high) : topBit(uint64_t(x));
}

/// A binary format with subnormals. `limit` is the first encoding that is no finite number: the
/// infinity where there is one.
struct FloatFormat {
  int precision;   ///< bits of the significand, the implicit one included
  int minExponent; ///< of the smallest normal number
  uint64_t limit;
};
inline constexpr FloatFormat f64Format{53, -1022, 0x7ff0000000000000};
inline constexpr FloatFormat f32Format{24, -126, 0x7f800000};
inline constexpr FloatFormat tf32Format{11, -126, 0x3fc00}; // shifted right by 13
inline constexpr FloatFormat f16Format{11, -14, 0x7c00};
inline constexpr FloatFormat bf16Format{8, -126, 0x7f80};
inline constexpr FloatFormat e4m3Format{4, -6, 0x7f};
inline constexpr FloatFormat e5m2Format{3, -14, 0x7c};
inline constexpr FloatFormat e2m3Format{4, 0, 0x20};
inline constexpr FloatFormat e3m2Format{3, -2, 0x20};
inline constexpr FloatFormat e2m1Format{2, 0, 0x8};

/// (significand + something in (0, 1) if sticky) * 2^exponent, negated if negative.
struct Exact {
  bool negative = false;
  int exponent = 0;
  Uint128 significand = 0;
  bool sticky = false;
};

/// Whether the magnitude is to grow by one unit. `half` compares what is cut off with half a unit:
/// negative, 0 or positive; `inexact`: it is not 0.
inline bool roundsAway(Rounding rounding, bool negative, bool odd, int half, bool inexact) {
  switch (rounding) {
  case Rounding::Nearest:
    return half > 0 || (half == 0 && odd);
  case Rounding::Away:
    return half >= 0;
  case Rounding::Down:
    return negative && inexact;
  case Rounding::Up:
    return !negative && inexact;
  case Rounding::Zero:
    break;
  }
  return false;
}

/// The magnitude rounded to a format, as its encoding without the sign bit. Beyond the greatest
/// finite number it is `limit`, or `limit - 1` where the rounding goes towards zero.
inline uint64_t encodeMagnitude(const Exact &x, const FloatFormat &format, Rounding rounding) {
  if (x.significand == 0 && !x.sticky)
    return 0;
  int exponent = x.significand == 0 ? format.minExponent : topBit(x.significand) + x.exponent;
  if (exponent < format.minExponent)
    exponent = format.minExponent;
  int shift = exponent - (format.precision - 1) - x.exponent;
  Uint128 kept;
  int half; // what is cut off against half a unit
  bool inexact;
  if (shift <= 0) {
    // As many bits as the format has or fewer: none is cut off. (Nothing sticky is this short.)
    kept = x.significand << -shift;
    half = -1;
    inexact = x.sticky;
  } else if (shift > 127) {
    kept = 0;
    half = -1;
    inexact = true;
  } else {
    kept = x.significand >> shift;
    Uint128 cut = x.significand & ((Uint128(1) << shift) - 1), middle = Uint128(1) << (shift - 1);
    half = cut < middle ? -1 : (cut > middle || x.sticky) ? 1 : 0;
    inexact = cut != 0 || x.sticky;
  }
  uint64_t magnitude =
      uint64_t(kept) + (roundsAway(rounding, x.negative, kept & 1, half, inexact) ? 1 : 0);
  // The implicit bit adds one to the exponent's field, and so does a carry out of the rounding.
  uint64_t field = uint64_t(exponent - format.minExponent);
  if (field > (format.limit >> (format.precision - 1)))
    magnitude = format.limit;
  else
    magnitude += field << (format.precision - 1);
  if (magnitude < format.limit)
    return magnitude;
  bool stays = rounding == Rounding::Zero || (rounding == Rounding::Up && x.negative) ||
               (rounding == Rounding::Down && !x.negative);
  return stays ? format.limit - 1 : format.limit;
}

/// The parts of a finite number.
inline Exact exactOf(double x) {
  uint64_t bits = bitsOf(x), fraction = bits & 0xfffffffffffff;
  int field = int(bits >> 52) & 0x7ff;
  Exact exact;
  exact.negative = bits >> 63;
  exact.significand = field != 0 ? fraction | (uint64_t(1) << 52) : fraction;
  exact.exponent = (field != 0 ? field : 1) - 1075;
  return exact;
}

inline double toF64(const Exact &x, Rounding rounding) {
  return f64Of(encodeMagnitude(x, f64Format, rounding) | uint64_t(x.negative) << 63);
}

/// Moves the highest bit to place 125, so that a sum still fits.
inline Exact normalised(Exact x) {
  if (x.significand == 0)
    return x;
  int shift = 125 - topBit(x.significand);
  x.significand <<= shift;
  x.exponent -= shift;
  return x;
}

/// a * b of significands of at most 64 bits.
inline Exact multiply(const Exact &a, const Exact &b) {
  Exact product;
  product.negative = a.negative != b.negative;
  product.exponent = a.exponent + b.exponent;
  product.significand = Uint128(uint64_t(a.significand)) * uint64_t(b.significand);
  return product;
}

/// a + b of significands of at most 106 bits, none sticky. A sum of zero is -0 where both are -0,
/// or, rounding down, where their signs differ.
inline Exact sum(Exact a, Exact b, Rounding rounding) {
  bool zeroSign = rounding == Rounding::Down ? a.negative || b.negative : a.negative && b.negative;
  if (a.significand == 0 && b.significand == 0)
    return {zeroSign, 0, 0, false};
  if (a.significand == 0)
    return b;
  if (b.significand == 0)
    return a;
  a = normalised(a), b = normalised(b);
  if (a.exponent < b.exponent || (a.exponent == b.exponent && a.significand < b.significand)) {
    Exact swapped = a;
    a = b, b = swapped;
  }
  int distance = a.exponent - b.exponent;
  Uint128 lesser = distance > 127 ? 0 : b.significand >> distance;
  a.sticky = distance > 127 || (lesser << distance) != b.significand;
  if (a.negative == b.negative)
    a.significand += lesser;
  else
    a.significand -= lesser + (a.sticky ? 1 : 0); // the sticky part is then what the unit lacks
  if (a.significand == 0 && !a.sticky)
    a.negative = rounding == Rounding::Down;
  return a;
}

/// a / b of numbers that are not 0, of at most 53 bits.
inline Exact quotient(const Exact &a, const Exact &b) {
  Exact top = normalised(a);
  Exact result;
  result.negative = a.negative != b.negative;
  result.exponent = top.exponent - b.exponent;
  result.significand = top.significand / b.significand;
  result.sticky = result.significand * b.significand != top.significand;
  return result;
}

} // namespace pianola::ptx

#endif
