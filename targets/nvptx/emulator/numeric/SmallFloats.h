// SmallFloats.h - f16, bf16, tf32 and the formats of 8, 6 and 4 bits: decoding and encoding.
//
// Values are their bits in unsigned integers. decodeX gives the float exactly, every NaN as
// 0x7fffffff. encodeX rounds a float once; encodeX of a double does too, through a float whose last
// bit is odd where it is not exact. Packed results put the first source operand into the upper
// part, as cvt does.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_SMALLFLOATS_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_SMALLFLOATS_H

#include "targets/nvptx/emulator/numeric/Rounding.h"

namespace pianola::ptx {

/// How cvt encodes: .relu makes what is negative +0; .satfinite gives the greatest finite number
/// instead of anything greater, infinity included.
struct EncodeMode {
  Rounding rounding = Rounding::Nearest;
  bool relu = false, satfinite = false;
};
template <Rounding R = Rounding::Nearest, bool Relu = false, bool Satfinite = false>
struct FixedEncodeMode {
  static constexpr Rounding rounding = R;
  static constexpr bool relu = Relu, satfinite = Satfinite;
};

/// Rounds the magnitude of a float that is no NaN to a small format: its encoding without the sign,
/// or `limit` beyond the greatest number (`limit - 1` where the rounding stays below).
inline uint32_t narrowMagnitude(float x, const FloatFormat &format, Rounding rounding) {
  uint32_t bits = bitsOf(x), magnitude = bits & 0x7fffffff;
  bool negative = bits >> 31;
  int field = int(magnitude >> 23), minField = format.minExponent + 127;
  uint32_t significand = (magnitude & 0x7fffff) | (field != 0 ? 0x800000 : 0);
  field = field != 0 ? field : 1;
  int above = field > minField ? field - minField : 0; // 0 for what becomes subnormal
  int shift = 24 - format.precision + (field < minField ? minField - field : 0);
  shift = shift > 26 ? 26 : shift;
  uint32_t kept = significand >> shift, cut = significand & ((1u << shift) - 1);
  uint32_t middle = 1u << shift >> 1;
  int half = shift == 0 || cut < middle ? -1 : cut > middle ? 1 : 0;
  kept += roundsAway(rounding, negative, kept & 1, half, cut != 0);
  uint32_t encoded = kept + (uint32_t(above) << (format.precision - 1));
  uint32_t limit = uint32_t(format.limit);
  if (encoded < limit)
    return encoded;
  bool stays = rounding == Rounding::Zero || (rounding == Rounding::Up && negative) ||
               (rounding == Rounding::Down && !negative);
  return stays && magnitude != 0x7f800000 ? limit - 1 : limit;
}

/// A double as the float next to it with an odd last bit, or as itself: rounding that to a format
/// of at most 22 bits gives what rounding the double would.
inline float oddF32(double x) {
  float nearest = float(x);
  uint32_t bits = bitsOf(nearest);
  double back = nearest;
  bool moves = back != x && x == x && (bits & 1) == 0;
  bool outwards = std::fabs(back) < std::fabs(x);
  return f32Of(moves ? (outwards ? bits + 1 : bits - 1) : bits);
}

//===-- f16 ---------------------------------------------------------------------------------===//

inline float decodeF16(uint16_t half) {
  uint32_t magnitude = half & 0x7fffu, sign = uint32_t(half & 0x8000) << 16;
  uint32_t normal = (magnitude << 13) + (112u << 23);
  uint32_t subnormal = bitsOf(float(int32_t(magnitude)) * 0x1p-24f);
  uint32_t bits = magnitude < 0x400 ? subnormal : normal;
  bits = magnitude >= 0x7c00 ? 0x7f800000u : bits;
  return f32Of(magnitude > 0x7c00 ? canonicalNaN32 : bits | sign);
}

/// To nearest, ties to even, without branches.
inline uint16_t encodeF16(float x) {
  uint32_t bits = bitsOf(x), magnitude = bits & 0x7fffffff, sign = (bits >> 16) & 0x8000;
  uint32_t normal = (magnitude - (112u << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  // A sum with 0.5 has its last bit where that of a subnormal f16 is.
  uint32_t subnormal = bitsOf(f32Of(magnitude) + 0.5f) - bitsOf(0.5f);
  uint32_t half = magnitude < 0x38800000 ? subnormal : normal;
  half = magnitude >= 0x477ff000 ? 0x7c00 : half;
  return uint16_t(magnitude > 0x7f800000 ? 0x7fff : half | sign);
}

//===-- bf16 --------------------------------------------------------------------------------===//

inline float decodeBF16(uint16_t half) { return canonicalised(f32Of(uint32_t(half) << 16)); }

inline uint16_t encodeBF16(float x) {
  uint32_t bits = bitsOf(x), rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return uint16_t((bits & 0x7fffffff) > 0x7f800000 ? 0x7fff : rounded);
}

/// The two formats of 16 bits, for what is written once for both.
struct F16 {
  static constexpr FloatFormat format = f16Format;
  static float decode(uint16_t half) { return decodeF16(half); }
  static uint16_t encode(float x) { return encodeF16(x); }
};
struct BF16 {
  static constexpr FloatFormat format = bf16Format;
  static float decode(uint16_t half) { return decodeBF16(half); }
  static uint16_t encode(float x) { return encodeBF16(x); }
};

template <typename Format, typename Mode> inline uint16_t encodeHalf(float x, const Mode &mode) {
  uint16_t half;
  if (mode.rounding == Rounding::Nearest)
    half = Format::encode(x);
  else if (isNaN(x))
    half = 0x7fff;
  else
    half =
        uint16_t(narrowMagnitude(x, Format::format, mode.rounding) | ((bitsOf(x) >> 16) & 0x8000));
  if (mode.satfinite && (half & 0x7fff) == Format::format.limit)
    --half;
  if (mode.relu && (half & 0x8000) != 0)
    half = 0;
  return half;
}
template <typename Format, typename Mode> inline uint16_t encodeHalf(double x, const Mode &mode) {
  return encodeHalf<Format>(oddF32(x), mode);
}
template <typename Mode> inline uint16_t encodeF16(float x, const Mode &mode) {
  return encodeHalf<F16>(x, mode);
}
template <typename Mode> inline uint16_t encodeBF16(float x, const Mode &mode) {
  return encodeHalf<BF16>(x, mode);
}

inline uint32_t pack16(uint16_t upper, uint16_t lower) { return uint32_t(upper) << 16 | lower; }
inline uint16_t lower16(uint32_t pair) { return uint16_t(pair); }
inline uint16_t upper16(uint32_t pair) { return uint16_t(pair >> 16); }

/// cvt.{f16x2,bf16x2}.f32 d, a, b.
template <typename Format, typename Mode>
inline uint32_t encodeHalves(float a, float b, const Mode &mode) {
  return pack16(encodeHalf<Format>(a, mode), encodeHalf<Format>(b, mode));
}

//===-- tf32 --------------------------------------------------------------------------------===//

/// cvt.{rn,rz,rna}.tf32.f32: a float whose 13 last bits are 0.
template <typename Mode> inline uint32_t encodeTF32(float x, const Mode &mode) {
  uint32_t bits = bitsOf(x);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return canonicalNaN32;
  uint32_t rounded = mode.rounding == Rounding::Zero   ? bits
                     : mode.rounding == Rounding::Away ? bits + 0x1000
                                                       : bits + 0xfff + ((bits >> 13) & 1);
  rounded &= 0xffffe000;
  if (mode.satfinite && (rounded & 0x7fffffff) == 0x7f800000)
    rounded = (rounded & 0x80000000) | 0x7f7fe000;
  return mode.relu && rounded >> 31 ? 0 : rounded;
}

/// What the tensor core reads of a register that holds tf32: the last 13 bits do not count.
inline float decodeTF32(uint32_t bits) { return f32Of(bits & 0xffffe000); }

//===-- 8 bits ------------------------------------------------------------------------------===//

/// A format of at most 8 bits with `fraction` bits of fraction and that exponent bias; no NaN or
/// infinity here.
inline float decodeTiny(uint32_t magnitude, bool negative, int fraction, int bias) {
  uint32_t normal = (magnitude << (23 - fraction)) + (uint32_t(127 - bias) << 23);
  float subnormal = float(int32_t(magnitude)) * f32Of(uint32_t(128 - bias - fraction) << 23);
  uint32_t bits = magnitude >> fraction ? normal : bitsOf(subnormal);
  return f32Of(bits | uint32_t(negative) << 31);
}

/// .e4m3 has no infinity; its NaN are 0x7f and 0xff.
inline float decodeE4M3(uint8_t x) {
  return (x & 0x7f) == 0x7f ? f32Of(canonicalNaN32) : decodeTiny(x & 0x7f, x >> 7, 3, 7);
}
inline float decodeE5M2(uint8_t x) { return decodeF16(uint16_t(x << 8)); }

/// cvt.rn.satfinite{.relu}.e4m3x2.f32, one of both. NaN is 0x7f.
inline uint8_t encodeE4M3(float x, bool relu = false) {
  if (isNaN(x))
    return 0x7f;
  uint32_t magnitude = narrowMagnitude(x, e4m3Format, Rounding::Nearest);
  if (magnitude >= 0x7f)
    magnitude = 0x7e;
  return bitsOf(x) >> 31 ? (relu ? 0 : uint8_t(magnitude | 0x80)) : uint8_t(magnitude);
}
inline uint8_t encodeE5M2(float x, bool relu = false) {
  if (isNaN(x))
    return 0x7f;
  uint32_t magnitude = narrowMagnitude(x, e5m2Format, Rounding::Nearest);
  if (magnitude >= 0x7c)
    magnitude = 0x7b;
  return bitsOf(x) >> 31 ? (relu ? 0 : uint8_t(magnitude | 0x80)) : uint8_t(magnitude);
}

inline uint16_t pack8(uint8_t upper, uint8_t lower) { return uint16_t(upper << 8 | lower); }

/// cvt.rn.satfinite{.relu}.{e4m3x2,e5m2x2}.f32 d, a, b, and from f16x2.
inline uint16_t encodeE4M3x2(float a, float b, bool relu = false) {
  return pack8(encodeE4M3(a, relu), encodeE4M3(b, relu));
}
inline uint16_t encodeE5M2x2(float a, float b, bool relu = false) {
  return pack8(encodeE5M2(a, relu), encodeE5M2(b, relu));
}
inline uint16_t encodeE4M3x2(uint32_t halves, bool relu = false) {
  return encodeE4M3x2(decodeF16(upper16(halves)), decodeF16(lower16(halves)), relu);
}
inline uint16_t encodeE5M2x2(uint32_t halves, bool relu = false) {
  return encodeE5M2x2(decodeF16(upper16(halves)), decodeF16(lower16(halves)), relu);
}
/// cvt.rn{.relu}.f16x2.{e4m3x2,e5m2x2}: exact.
inline uint32_t f16x2OfE4M3x2(uint16_t pair, bool relu = false) {
  EncodeMode mode{Rounding::Nearest, relu, false};
  return encodeHalves<F16>(decodeE4M3(uint8_t(pair >> 8)), decodeE4M3(uint8_t(pair)), mode);
}
inline uint32_t f16x2OfE5M2x2(uint16_t pair, bool relu = false) {
  EncodeMode mode{Rounding::Nearest, relu, false};
  return encodeHalves<F16>(decodeE5M2(uint8_t(pair >> 8)), decodeE5M2(uint8_t(pair)), mode);
}

/// .ue8m0, a power of two without a sign; 0xff is NaN.
inline float decodeUE8M0(uint8_t x) {
  return f32Of(x == 0xff ? canonicalNaN32 : x == 0 ? 0x00400000u : uint32_t(x) << 23);
}
/// cvt.{rz,rp}{.satfinite}.ue8m0x2.f32, one of both: of the magnitude, whatever the sign.
inline uint8_t encodeUE8M0(float x, bool up, bool satfinite) {
  uint32_t magnitude = bitsOf(x) & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return 0xff;
  uint32_t exponent = magnitude >> 23;
  if (up && magnitude < 0x7f800000 && (magnitude & 0x7fffff) != 0 && magnitude > 0x00400000)
    ++exponent;
  return uint8_t(satfinite && exponent == 0xff ? 0xfe : exponent);
}

//===-- 6 and 4 bits ------------------------------------------------------------------------===//

inline float decodeE2M3(uint8_t x) { return decodeTiny(x & 0x1f, (x >> 5) & 1, 3, 1); }
inline float decodeE3M2(uint8_t x) { return decodeTiny(x & 0x1f, (x >> 5) & 1, 2, 3); }
inline float decodeE2M1(uint8_t x) { return decodeTiny(x & 7, (x >> 3) & 1, 1, 1); }

/// These formats have neither NaN nor infinity: always .satfinite, and NaN becomes the greatest
/// number, positive.
inline uint8_t encodeTiny(float x, const FloatFormat &format, bool relu) {
  uint32_t limit = uint32_t(format.limit);
  if (isNaN(x))
    return uint8_t(limit - 1);
  uint32_t magnitude = narrowMagnitude(x, format, Rounding::Nearest);
  magnitude = magnitude < limit ? magnitude : limit - 1;
  return bitsOf(x) >> 31 ? (relu ? 0 : uint8_t(magnitude | limit)) : uint8_t(magnitude);
}
inline uint8_t encodeE2M3(float x, bool relu = false) { return encodeTiny(x, e2m3Format, relu); }
inline uint8_t encodeE3M2(float x, bool relu = false) { return encodeTiny(x, e3m2Format, relu); }
inline uint8_t encodeE2M1(float x, bool relu = false) { return encodeTiny(x, e2m1Format, relu); }
/// cvt.rn.satfinite{.relu}.e2m1x2.f32 d, a, b: one byte.
inline uint8_t encodeE2M1x2(float a, float b, bool relu = false) {
  return uint8_t(encodeE2M1(a, relu) << 4 | encodeE2M1(b, relu));
}

} // namespace pianola::ptx

#endif
