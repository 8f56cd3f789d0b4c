// Encoding.cpp - matrices whose numbers are codes that share scales, as a checkpoint has them.
#include "lib/checkpoint/Encoding.h"

#include "llvm/ADT/bit.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pianola {
namespace {

// The number that sign, exponent and mantissa are, the exponent having a bias.
float assemble(unsigned sign, int exponent, unsigned mantissa, int mantissaBits, int bias) {
  float magnitude =
      exponent ? std::ldexp(float(mantissa + (1u << mantissaBits)), exponent - bias - mantissaBits)
               : std::ldexp(float(mantissa), 1 - bias - mantissaBits);
  return sign ? -magnitude : magnitude;
}

// The magnitude in units of its last place, which is at least 2^least: an integer, ties to even.
float roundTo(float magnitude, int mantissaBits, int least) {
  int exponent;
  std::frexp(magnitude, &exponent);
  int last = std::max(exponent - 1 - mantissaBits, least);
  return std::ldexp(std::nearbyint(std::ldexp(magnitude, -last)), last);
}

constexpr float kF4Values[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

} // namespace

float fromBf16(uint16_t bits) { return llvm::bit_cast<float>(uint32_t(bits) << 16); }

float fromF16(uint16_t bits) {
  int exponent = (bits >> 10) & 31;
  unsigned mantissa = bits & 1023;
  if (exponent < 31)
    return assemble(bits >> 15, exponent, mantissa, 10, 15);
  float special =
      mantissa ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();
  return bits & 0x8000 ? -special : special;
}

float fromF8E4M3(uint8_t bits) {
  if ((bits & 0x7f) == 0x7f)
    return std::numeric_limits<float>::quiet_NaN();
  return assemble(bits >> 7, (bits >> 3) & 15, bits & 7, 3, 7);
}

float fromE8M0(uint8_t bits) {
  return bits == 0xff ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0f, bits - 127);
}

uint16_t toBf16(float value) {
  auto bits = llvm::bit_cast<uint32_t>(value);
  if (std::isnan(value))
    return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

uint16_t toF16(float value) {
  uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  float magnitude = roundTo(std::fabs(value), 10, -24);
  if (std::isnan(value))
    return sign | 0x7e00;
  if (magnitude > 65504)
    return sign | 0x7c00;
  if (magnitude < 0x1p-14f)
    return sign | uint16_t(std::ldexp(magnitude, 24));
  int exponent;
  float fraction = std::frexp(magnitude, &exponent); // 0.5 <= fraction < 1
  return sign | uint16_t((exponent + 14) << 10) | uint16_t(std::ldexp(fraction, 11) - 1024);
}

uint8_t toF8E4M3(float value) {
  uint8_t sign = std::signbit(value) ? 0x80 : 0;
  if (std::isnan(value))
    return sign | 0x7f;
  float magnitude = std::min(roundTo(std::min(std::fabs(value), 1024.0f), 3, -9), 448.0f);
  if (magnitude < 0x1p-6f)
    return sign | uint8_t(std::ldexp(magnitude, 9));
  int exponent;
  float fraction = std::frexp(magnitude, &exponent);
  return sign | uint8_t((exponent + 6) << 3) | uint8_t(std::ldexp(fraction, 4) - 8);
}

uint8_t toF4E2M1(float value) {
  float magnitude = std::fabs(value);
  uint8_t code = 0;
  // The middles between neighbours; one goes to the neighbour whose code is even.
  for (uint8_t i = 0; i < 7; ++i) {
    float middle = (kF4Values[i] + kF4Values[i + 1]) / 2;
    if (magnitude > middle || (magnitude == middle && i % 2 == 1))
      code = i + 1;
  }
  return std::signbit(value) && code ? code | 8 : code;
}

float codeValue(Code code, uint8_t bits) {
  switch (code) {
  case Code::I8:
  case Code::I4:
    return bits;
  case Code::F8E4M3:
    return fromF8E4M3(bits);
  case Code::F4E2M1:
    return bits & 8 ? -kF4Values[bits & 7] : kF4Values[bits & 7];
  }
  llvm_unreachable("unknown code");
}

EncodedRows EncodedRows::slice(int64_t first, int64_t count) const {
  auto part = [&](const auto &from, int64_t width) {
    auto begin = from.begin() + (from.empty() ? 0 : first * width);
    return std::decay_t<decltype(from)>(begin, begin + (from.empty() ? 0 : count * width));
  };
  return {count, columns, groups, part(codes, columns), part(scales, groups), part(zeros, groups)};
}

void decodeRow(const Scaling &scaling, const EncodedRows &rows, int64_t row,
               llvm::MutableArrayRef<float> out) {
  float values[256];
  for (int bits = 0; bits < 256; ++bits)
    values[bits] = codeValue(scaling.code, uint8_t(bits));
  int64_t group = scaling.groupOf(rows.columns);
  for (int64_t column = 0; column < rows.columns; ++column) {
    int64_t at = row * rows.groups + column / group;
    float zero = scaling.zeros ? rows.zeros[at] : impliedZero(scaling.code);
    float value = rows.scales[at] * (values[rows.codes[row * rows.columns + column]] - zero);
    out[scaling.order.empty() ? column : scaling.order[column]] = value;
  }
}

} // namespace pianola
