// HalfArithmetic.h - arithmetic of f16 and bf16, each result rounded once, to nearest.
//
// f32 has more than twice the bits of either and two more, so that a sum or product that is rounded
// to f32 first and to the format then is as if rounded once. (Products of bf16 that are subnormal
// in f32 have few enough bits to be exact where it matters.) A fused multiply-add goes through f64.
//
// byHalves applies any of these to both halves of .f16x2 and .bf16x2.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_HALFARITHMETIC_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_HALFARITHMETIC_H

#include "targets/nvptx/emulator/numeric/SmallFloats.h"

namespace pianola::ptx {

/// .ftz and .sat are f16's alone; .relu is that of fma.
struct HalfMode {
  bool ftz = false, sat = false, relu = false;
};
template <bool Ftz = false, bool Sat = false, bool Relu = false> struct FixedHalfMode {
  static constexpr bool ftz = Ftz, sat = Sat, relu = Relu;
};

template <typename Op> inline uint32_t byHalves(uint32_t a, Op op) {
  return pack16(op(upper16(a)), op(lower16(a)));
}
template <typename Op> inline uint32_t byHalves(uint32_t a, uint32_t b, Op op) {
  return pack16(op(upper16(a), upper16(b)), op(lower16(a), lower16(b)));
}
template <typename Op> inline uint32_t byHalves(uint32_t a, uint32_t b, uint32_t c, Op op) {
  return pack16(op(upper16(a), upper16(b), upper16(c)), op(lower16(a), lower16(b), lower16(c)));
}

inline bool isNaNHalf(uint16_t half, const FloatFormat &format) {
  return (half & 0x7fff) > format.limit;
}
template <typename Format> inline uint16_t flushHalf(uint16_t half) {
  constexpr uint16_t exponent = uint16_t(Format::format.limit);
  return (half & exponent) != 0 ? half : half & 0x8000;
}

template <typename Format, typename Mode>
inline float halfOperand(uint16_t half, const Mode &mode) {
  return Format::decode(mode.ftz ? flushHalf<Format>(half) : half);
}
template <typename Format, typename Mode> inline uint16_t halfResult(float x, const Mode &mode) {
  uint16_t half = Format::encode(mode.sat ? saturate01(x) : x);
  if (mode.ftz)
    half = flushHalf<Format>(half);
  return mode.relu && (half & 0x8000) != 0 ? 0 : half;
}

template <typename Format, typename Mode = HalfMode>
inline uint16_t addHalf(uint16_t a, uint16_t b, const Mode &mode = {}) {
  return halfResult<Format>(halfOperand<Format>(a, mode) + halfOperand<Format>(b, mode), mode);
}
template <typename Format, typename Mode = HalfMode>
inline uint16_t subHalf(uint16_t a, uint16_t b, const Mode &mode = {}) {
  return halfResult<Format>(halfOperand<Format>(a, mode) - halfOperand<Format>(b, mode), mode);
}
template <typename Format, typename Mode = HalfMode>
inline uint16_t mulHalf(uint16_t a, uint16_t b, const Mode &mode = {}) {
  return halfResult<Format>(halfOperand<Format>(a, mode) * halfOperand<Format>(b, mode), mode);
}
template <typename Format, typename Mode = HalfMode>
inline uint16_t fmaHalf(uint16_t a, uint16_t b, uint16_t c, const Mode &mode = {}) {
  double product = double(halfOperand<Format>(a, mode)) * halfOperand<Format>(b, mode);
  return halfResult<Format>(oddF32(oddSum(product, halfOperand<Format>(c, mode))), mode);
}

/// neg and abs touch the sign alone.
template <typename Format> inline uint16_t negHalf(uint16_t a, bool ftz = false) {
  return uint16_t((ftz ? flushHalf<Format>(a) : a) ^ 0x8000);
}
template <typename Format> inline uint16_t absHalf(uint16_t a, bool ftz = false) {
  return (ftz ? flushHalf<Format>(a) : a) & 0x7fff;
}

/// min and max: .NaN, .xorsign.abs and .ftz.
struct MinMaxMode {
  bool nan = false, xorsign = false, ftz = false;
};

/// -0 is less than +0. One NaN is no number to choose, except with .NaN, where it wins.
template <typename Format>
inline uint16_t minMaxHalf(uint16_t a, uint16_t b, bool max, const MinMaxMode &mode = {}) {
  if (mode.ftz)
    a = flushHalf<Format>(a), b = flushHalf<Format>(b);
  uint16_t sign = 0;
  if (mode.xorsign) {
    sign = (a ^ b) & 0x8000;
    a &= 0x7fff, b &= 0x7fff;
  }
  bool nanA = isNaNHalf(a, Format::format), nanB = isNaNHalf(b, Format::format);
  if ((nanA && nanB) || (mode.nan && (nanA || nanB)))
    return 0x7fff;
  // As integers that order like the numbers: those of negative numbers grow the other way.
  auto ordered = [](uint16_t x) { return int32_t(x & 0x7fff) ^ -int32_t(x >> 15); };
  bool less = ordered(a) < ordered(b);
  uint16_t chosen = nanA ? b : nanB ? a : less != max ? a : b;
  return mode.xorsign ? uint16_t((chosen & 0x7fff) | sign) : chosen;
}
template <typename Format>
inline uint16_t minHalf(uint16_t a, uint16_t b, const MinMaxMode &mode = {}) {
  return minMaxHalf<Format>(a, b, false, mode);
}
template <typename Format>
inline uint16_t maxHalf(uint16_t a, uint16_t b, const MinMaxMode &mode = {}) {
  return minMaxHalf<Format>(a, b, true, mode);
}

} // namespace pianola::ptx

#endif
