// Convert.h - cvt: between integers of every width and f16, bf16, f32 and f64.
//
// Packed and small formats (f16x2, fp8, tf32 ...) are encoded in SmallFloats.h.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_CONVERT_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_CONVERT_H

#include "targets/nvptx/emulator/numeric/Integer.h"
#include "targets/nvptx/emulator/numeric/SmallFloats.h"

namespace pianola::ptx {

//===-- Integer to integer ------------------------------------------------------------------===//

/// Truncates, or extends by the sign of From.
template <typename To, typename From> constexpr To convertInt(From x) { return To(x); }
/// .sat: the nearest number that To has.
template <typename To, typename From> constexpr To convertIntSat(From x) {
  using Limits = std::numeric_limits<To>;
  Int128 wide = x;
  return wide < Int128(Limits::min())   ? Limits::min()
         : wide > Int128(Limits::max()) ? Limits::max()
                                        : To(x);
}

//===-- To an integral value ----------------------------------------------------------------===//

/// .rni .rzi .rmi .rpi: a whole number as a float, of the same sign also where it is 0.
template <typename T> inline T roundToIntegral(T x, Rounding rounding) {
  constexpr T whole = std::is_same_v<T, float> ? T(0x1p23) : T(0x1p52); // all from here on are
  T magnitude = std::fabs(x);
  T nearest = std::copysign((magnitude + whole) - whole, x), rounded = nearest;
  if (rounding == Rounding::Zero)
    rounded = std::fabs(nearest) > magnitude ? nearest - std::copysign(T(1), x) : nearest;
  else if (rounding == Rounding::Down)
    rounded = nearest > x ? nearest - 1 : nearest;
  else if (rounding == Rounding::Up)
    rounded = nearest < x ? nearest + 1 : nearest;
  rounded = std::copysign(rounded, x);
  return magnitude < whole ? rounded : x;
}

/// cvt.rni.f32.f32 and its like.
template <typename Mode> inline float integralF32(float x, const Mode &mode) {
  return finished(roundToIntegral(flushedInput(x, mode), mode.rounding), mode);
}
template <typename Mode> inline double integralF64(double x, const Mode &mode) {
  x = isNaN(x) ? quieted(x) : roundToIntegral(x, mode.rounding);
  return mode.sat ? saturate01(x) : x;
}
template <typename Format, typename Mode>
inline uint16_t integralHalf(uint16_t x, const Mode &mode) {
  float value = roundToIntegral(Format::decode(x), mode.rounding);
  return Format::encode(mode.sat ? saturate01(value) : value);
}

//===-- Float to integer --------------------------------------------------------------------===//

/// Clamped to the range of To. NaN becomes 0, but from f64, or to 64 bits, the number of which only
/// the highest bit is 1.
template <typename To, typename From> inline To floatToInt(From x, Rounding rounding) {
  using Limits = std::numeric_limits<To>;
  constexpr bool highest = std::is_same_v<From, double> || sizeof(To) == 8;
  x = roundToIntegral(x, rounding);
  constexpr From beyond = From(uint64_t(1) << (bitsIn<To> - 1)) * (std::is_signed_v<To> ? 1 : 2);
  if (isNaN(x))
    return highest ? To(UnsignedOf<To>(uint64_t(1) << (bitsIn<To> - 1))) : To(0);
  if (x >= beyond)
    return Limits::max();
  if (x <= From(Limits::min())) // exact: 0 or a power of two
    return Limits::min();
  return To(x);
}
/// .ftz: a subnormal f32 counts as 0, which .rmi and .rpi can tell.
template <typename To> inline To floatToIntFlushed(float x, Rounding rounding) {
  return floatToInt<To>(flushDenormal(x), rounding);
}
template <typename To, typename Format> inline To halfToInt(uint16_t x, Rounding rounding) {
  return floatToInt<To>(Format::decode(x), rounding);
}

//===-- Integer to float --------------------------------------------------------------------===//

template <typename From> inline Exact exactOfInt(From x) {
  Exact exact;
  exact.negative = x < 0;
  exact.significand = exact.negative ? uint64_t(0) - uint64_t(x) : uint64_t(x);
  return exact;
}

template <typename From> inline float intToF32(From x, Rounding rounding) {
  if (rounding == Rounding::Nearest)
    return float(x);
  Exact exact = exactOfInt(x);
  return f32Of(uint32_t(encodeMagnitude(exact, f32Format, rounding)) | uint32_t(exact.negative)
                                                                           << 31);
}
template <typename From> inline double intToF64(From x, Rounding rounding) {
  if (rounding == Rounding::Nearest || sizeof(From) < 8)
    return double(x);
  return toF64(exactOfInt(x), rounding);
}
/// To f16 or bf16.
template <typename Format, typename From> inline uint16_t intToHalf(From x, Rounding rounding) {
  Exact exact = exactOfInt(x);
  return uint16_t(encodeMagnitude(exact, Format::format, rounding) | uint64_t(exact.negative)
                                                                         << 15);
}

//===-- Float to float ----------------------------------------------------------------------===//

/// cvt.rnd{.ftz}{.sat}.f32.f64.
template <typename Mode> inline float f64ToF32(double x, const Mode &mode) {
  float rounded = mode.rounding == Rounding::Nearest ? float(x) : roundedToF32(x, mode.rounding);
  return finished(rounded, mode);
}
/// cvt{.ftz}{.sat}.f64.f32.
template <typename Mode> inline double f32ToF64(float x, const Mode &mode) {
  double wide = canonicalised(flushedInput(x, mode));
  return mode.sat ? saturate01(wide) : wide;
}
/// cvt{.ftz}.sat.f32.f32, and without .sat what .ftz alone does.
template <typename Mode> inline float f32ToF32(float x, const Mode &mode) {
  return finished(flushedInput(x, mode), mode);
}
/// cvt.rnd{.ftz}{.sat}.{f16,bf16}.f32; .relu and .satfinite: encodeHalf.
template <typename Format, typename Mode> inline uint16_t f32ToHalf(float x, const Mode &mode) {
  x = flushedInput(x, mode);
  return encodeHalf<Format>(mode.sat ? saturate01(x) : x, EncodeMode{mode.rounding, false, false});
}
template <typename Format, typename Mode> inline uint16_t f64ToHalf(double x, const Mode &mode) {
  return encodeHalf<Format>(mode.sat ? saturate01(x) : x, EncodeMode{mode.rounding, false, false});
}
/// cvt{.ftz}{.sat}.f32.{f16,bf16}.
template <typename Format, typename Mode> inline float halfToF32(uint16_t x, const Mode &mode) {
  return finished(Format::decode(x), mode);
}
template <typename Format, typename Mode> inline double halfToF64(uint16_t x, const Mode &mode) {
  double wide = Format::decode(x);
  return mode.sat ? saturate01(wide) : wide;
}
/// From one format of 16 bits to the other, or to itself.
template <typename To, typename From, typename Mode>
inline uint16_t halfToHalf(uint16_t x, const Mode &mode) {
  return f32ToHalf<To>(From::decode(x), mode);
}

//===-- cvt.pack ----------------------------------------------------------------------------===//

/// Saturated to `bits` bits.
constexpr uint32_t saturateBits(int32_t x, int bits, bool isSigned) {
  int64_t least = isSigned ? -(int64_t(1) << (bits - 1)) : 0;
  int64_t most = (int64_t(1) << (isSigned ? bits - 1 : bits)) - 1;
  int64_t clamped = x < least ? least : x > most ? most : x;
  return uint32_t(clamped) & uint32_t((uint64_t(1) << bits) - 1);
}
/// cvt.pack.sat.<convertType>.s32{.b32} d, a, b{, c}: a above b, and above both the lowest bits of
/// c. `bits` is 16 (without c: 0), 8, 4 or 2.
constexpr uint32_t cvtPack(int32_t a, int32_t b, uint32_t c, int bits, bool isSigned) {
  uint32_t pair = saturateBits(a, bits, isSigned) << bits | saturateBits(b, bits, isSigned);
  return bits == 16 ? pair : pair | c << (2 * bits);
}

} // namespace pianola::ptx

#endif
