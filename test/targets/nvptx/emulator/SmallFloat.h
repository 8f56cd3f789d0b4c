// SmallFloat.h - floats of 16 and 8 bits, computed the plain way: round a double, then encode it.
#ifndef PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_SMALLFLOAT_H
#define PIANOLA_TEST_TARGETS_NVPTX_EMULATOR_SMALLFLOAT_H

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace pianola::ptx {

struct SmallFloat {
  int exponentBits, mantissaBits;
  double largest; ///< finite

  int bias() const { return (1 << (exponentBits - 1)) - 1; }
  /// To nearest, ties to even; or towards zero.
  double round(double v, bool towardsZero = false) const {
    if (v == 0 || !std::isfinite(v))
      return v;
    int exponent;
    std::frexp(v, &exponent);
    const int step = std::max(exponent - 1 - mantissaBits, 1 - bias() - mantissaBits);
    const double scaled = std::ldexp(v, -step);
    return std::ldexp(towardsZero ? std::trunc(scaled) : std::nearbyint(scaled), step);
  }
  /// The bits of a number that round() returned; beyond the largest one it saturates.
  uint16_t encode(double v) const {
    const uint32_t sign = uint32_t(std::signbit(v)) << (exponentBits + mantissaBits);
    const double a = std::min(std::fabs(v), largest);
    int exponent;
    const double m = std::frexp(a, &exponent);
    const int field = exponent - 1 + bias();
    if (a == 0 || field <= 0)
      return uint16_t(sign | uint32_t(std::ldexp(a, bias() - 1 + mantissaBits)));
    return uint16_t(sign | uint32_t(field) << mantissaBits |
                    uint32_t(std::ldexp(2 * m - 1, mantissaBits)));
  }
  double decode(uint16_t bits) const {
    const int field = bits >> mantissaBits & ((1 << exponentBits) - 1);
    const int mantissa = bits & ((1 << mantissaBits) - 1);
    const double a =
        field == 0 ? std::ldexp(mantissa, 1 - bias() - mantissaBits)
                   : std::ldexp(mantissa + (1 << mantissaBits), field - bias() - mantissaBits);
    return bits >> (exponentBits + mantissaBits) & 1 ? -a : a;
  }
  uint16_t of(double v) const { return encode(round(v)); }
};

inline constexpr SmallFloat Half{5, 10, 65504}, Brain{8, 7, 3.3895313892515355e38}, E4M3{4, 3, 448},
    E5M2{5, 2, 57344};

} // namespace pianola::ptx

#endif
