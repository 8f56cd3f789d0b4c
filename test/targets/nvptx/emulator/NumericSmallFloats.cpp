// The formats of 16 bits and fewer, over all of their values; expectations are built from the
// formats' definitions in double arithmetic, not from the code that is tested.
#include "targets/nvptx/emulator/numeric/HalfArithmetic.h"
#include "gtest/gtest.h"

#include <random>

using namespace pianola::ptx;

namespace {

/// A number of such a format by the definition: (-1)^s 2^(e-bias) 1.f, or 0.f where e is 0.
double defined(uint32_t bits, int exponentBits, int fractionBits, int bias) {
  uint32_t fraction = bits & ((1u << fractionBits) - 1);
  int exponent = int(bits >> fractionBits) & ((1 << exponentBits) - 1);
  double sign = bits >> (exponentBits + fractionBits) ? -1 : 1;
  double scale = std::ldexp(1., -fractionBits);
  return exponent == 0 ? sign * std::ldexp(fraction * scale, 1 - bias)
                       : sign * std::ldexp(1 + fraction * scale, exponent - bias);
}

TEST(SmallFloats, EveryF16DecodesAndEncodes) {
  for (uint32_t i = 0; i != 0x10000; ++i) {
    uint16_t half = uint16_t(i);
    if ((half & 0x7fff) > 0x7c00) {
      EXPECT_EQ(bitsOf(decodeF16(half)), 0x7fffffffu) << i;
      EXPECT_EQ(encodeF16(decodeF16(half)), 0x7fff) << i;
      continue;
    }
    double want =
        (half & 0x7fff) == 0x7c00 ? (half >> 15 ? -INFINITY : INFINITY) : defined(half, 5, 10, 15);
    ASSERT_EQ(double(decodeF16(half)), want) << i;
    ASSERT_EQ(std::signbit(decodeF16(half)), half >> 15) << i;
    ASSERT_EQ(encodeF16(decodeF16(half)), half) << i;
  }
}

TEST(SmallFloats, EveryBF16DecodesAndEncodes) {
  for (uint32_t i = 0; i != 0x10000; ++i) {
    uint16_t half = uint16_t(i);
    bool nan = (half & 0x7fff) > 0x7f80;
    ASSERT_EQ(bitsOf(decodeBF16(half)), nan ? 0x7fffffffu : i << 16);
    ASSERT_EQ(encodeBF16(decodeBF16(half)), nan ? 0x7fff : half);
  }
}

/// Between each two neighbours of a format: just below the middle, the middle, just above.
template <typename Format> void checkTies() {
  for (uint32_t i = 0; i + 1 < Format::format.limit; ++i) {
    uint16_t low = uint16_t(i), high = uint16_t(i + 1);
    double middle = (double(Format::decode(low)) + double(Format::decode(high))) / 2;
    float tie = float(middle);
    bool hasTie = double(tie) == middle; // the last subnormal f32 cannot tell
    if (!hasTie)
      continue;
    float below = f32Of(bitsOf(tie) - 1), above = f32Of(bitsOf(tie) + 1);
    uint16_t even = low & 1 ? high : low;
    ASSERT_EQ(Format::encode(tie), even) << i;
    ASSERT_EQ(Format::encode(-tie), even | 0x8000) << i;
    ASSERT_EQ(Format::encode(below), low) << i;
    ASSERT_EQ(Format::encode(above), high) << i;
    for (float x : {below, tie, above}) {
      auto encode = [](float y, Rounding rounding) {
        return encodeHalf<Format>(y, EncodeMode{rounding, false, false});
      };
      ASSERT_EQ(encode(x, Rounding::Zero), low) << i;
      ASSERT_EQ(encode(-x, Rounding::Zero), low | 0x8000) << i;
      ASSERT_EQ(encode(x, Rounding::Down), low) << i;
      ASSERT_EQ(encode(-x, Rounding::Down), high | 0x8000) << i;
      ASSERT_EQ(encode(x, Rounding::Up), high) << i;
      ASSERT_EQ(encode(-x, Rounding::Up), low | 0x8000) << i;
    }
    // From f64, what lies closer to the middle than any f32 must not be taken for a tie.
    ASSERT_EQ(encodeHalf<Format>(middle * (1 + 0x1p-50), EncodeMode{}), high) << i;
    ASSERT_EQ(encodeHalf<Format>(middle * (1 - 0x1p-50), EncodeMode{}), low) << i;
  }
}
TEST(SmallFloats, TiesOfF16) { checkTies<F16>(); }
TEST(SmallFloats, TiesOfBF16) { checkTies<BF16>(); }

TEST(SmallFloats, OverflowAndSatfinite) {
  EncodeMode plain, finite, zero{Rounding::Zero, false, false};
  finite.satfinite = true;
  EXPECT_EQ(encodeF16(65519.f, plain), 0x7bff);
  EXPECT_EQ(encodeF16(65520.f, plain), 0x7c00); // the tie goes to the even infinity
  EXPECT_EQ(encodeF16(65520.f, finite), 0x7bff);
  EXPECT_EQ(encodeF16(-INFINITY, finite), 0xfbff);
  EXPECT_EQ(encodeF16(NAN, finite), 0x7fff);
  EXPECT_EQ(encodeF16(1e9f, zero), 0x7bff);
  EXPECT_EQ(encodeF16(INFINITY, zero), 0x7c00);
  EXPECT_EQ(encodeBF16(0x1.fffffep127f, plain), 0x7f80);
  EXPECT_EQ(encodeBF16(0x1.fffffep127f, zero), 0x7f7f);
  EXPECT_EQ(encodeBF16(0x1.fffffep127f, finite), 0x7f7f);
  EXPECT_EQ(encodeBF16(f32Of(0xff800001), plain), 0x7fff);
}

TEST(SmallFloats, ReluMakesPositiveZero) {
  EncodeMode relu;
  relu.relu = true;
  EXPECT_EQ(encodeF16(-1.f, relu), 0);
  EXPECT_EQ(encodeF16(-0.f, relu), 0);
  EXPECT_EQ(encodeF16(2.f, relu), 0x4000);
  EXPECT_EQ(encodeF16(-NAN, relu), 0x7fff);
  EXPECT_EQ(encodeBF16(-INFINITY, relu), 0);
  EXPECT_EQ(encodeE4M3(-2.f, true), 0);
  EXPECT_EQ(encodeE4M3(NAN, true), 0x7f);
}

TEST(SmallFloats, FirstOperandIsPackedAbove) {
  EXPECT_EQ((encodeHalves<BF16>(1.f, 2.f, EncodeMode{})), 0x3f804000u);
  EXPECT_EQ((encodeHalves<F16>(1.f, 2.f, EncodeMode{})), 0x3c004000u);
  EXPECT_EQ(encodeE4M3x2(1.f, 2.f), 0x3840);
  EXPECT_EQ(encodeE5M2x2(1.f, 2.f), 0x3c40);
  EXPECT_EQ(encodeE4M3x2(0x3c004000u), 0x3840);
  EXPECT_EQ(f16x2OfE4M3x2(0x3840), 0x3c004000u);
  EXPECT_EQ(f16x2OfE5M2x2(0x3c40), 0x3c004000u);
  EXPECT_EQ(encodeE2M1x2(1.f, 6.f), 0x27);
}

TEST(SmallFloats, TF32) {
  EncodeMode rn, rna{Rounding::Away, false, false}, rz{Rounding::Zero, false, false};
  auto of = [](uint32_t bits, const EncodeMode &mode) { return encodeTF32(f32Of(bits), mode); };
  EXPECT_EQ(of(0x3f801000, rna), 0x3f802000u); // ties away from zero
  EXPECT_EQ(of(0xbf801000, rna), 0xbf802000u);
  EXPECT_EQ(of(0x3f801000, rn), 0x3f800000u); // and to even
  EXPECT_EQ(of(0x3f803000, rn), 0x3f804000u);
  EXPECT_EQ(of(0x3f800fff, rna), 0x3f800000u);
  EXPECT_EQ(of(0x3f801fff, rz), 0x3f800000u);
  EXPECT_EQ(of(0x7f7fffff, rna), 0x7f800000u);
  EXPECT_EQ(of(0x7f7fffff, EncodeMode{Rounding::Away, false, true}), 0x7f7fe000u);
  EXPECT_EQ(of(0x7f800001, rna), 0x7fffffffu);
  EXPECT_EQ(of(0xff800000, rna), 0xff800000u);
  EXPECT_EQ(of(0xbf800000, EncodeMode{Rounding::Nearest, true, false}), 0u);
}

/// Every value of a format decodes by definition, and every float between two of them encodes to
/// the nearer, a tie to the even one.
void checkTiny(int exponentBits, int fractionBits, int bias, uint32_t numbers,
               float (*decode)(uint8_t), uint8_t (*encode)(float, bool)) {
  uint32_t sign = 1u << (exponentBits + fractionBits);
  for (uint32_t i = 0; i != numbers; ++i) {
    double value = defined(i, exponentBits, fractionBits, bias);
    ASSERT_EQ(double(decode(uint8_t(i))), value) << i;
    ASSERT_EQ(double(decode(uint8_t(i | sign))), -value) << i;
    ASSERT_EQ(encode(float(value), false), i);
    ASSERT_EQ(encode(-float(value), false), i | sign);
    if (i + 1 == numbers)
      break;
    float tie = float((value + defined(i + 1, exponentBits, fractionBits, bias)) / 2);
    uint32_t even = i & 1 ? i + 1 : i;
    ASSERT_EQ(encode(tie, false), even);
    ASSERT_EQ(encode(-tie, false), even | sign);
    ASSERT_EQ(encode(f32Of(bitsOf(tie) - 1), false), i);
    ASSERT_EQ(encode(f32Of(bitsOf(tie) + 1), false), i + 1);
  }
  ASSERT_EQ(encode(1e30f, false), numbers - 1); // satfinite
  ASSERT_EQ(encode(-INFINITY, false), (numbers - 1) | sign);
  ASSERT_EQ(encode(0x1p-149f, false), 0);
  ASSERT_EQ(encode(-0x1p-149f, false), sign);
}
TEST(SmallFloats, E4M3) {
  checkTiny(4, 3, 7, 0x7f, decodeE4M3, encodeE4M3);
  EXPECT_EQ(decodeE4M3(0x7e), 448.f);
  EXPECT_EQ(bitsOf(decodeE4M3(0x7f)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(decodeE4M3(0xff)), 0x7fffffffu);
  EXPECT_EQ(encodeE4M3(-NAN), 0x7f);
}
TEST(SmallFloats, E5M2) {
  checkTiny(5, 2, 15, 0x7c, decodeE5M2, encodeE5M2);
  EXPECT_EQ(decodeE5M2(0x7b), 57344.f);
  EXPECT_EQ(decodeE5M2(0xfc), -INFINITY);
  EXPECT_TRUE(isNaN(decodeE5M2(0x7d)));
  EXPECT_EQ(encodeE5M2(NAN), 0x7f);
}
TEST(SmallFloats, SixAndFourBits) {
  checkTiny(2, 3, 1, 0x20, decodeE2M3, encodeE2M3);
  checkTiny(3, 2, 3, 0x20, decodeE3M2, encodeE3M2);
  checkTiny(2, 1, 1, 8, decodeE2M1, encodeE2M1);
  EXPECT_EQ(decodeE2M3(0x1f), 7.5f);
  EXPECT_EQ(decodeE3M2(0x1f), 28.f);
  EXPECT_EQ(decodeE2M1(7), 6.f);
  EXPECT_EQ(encodeE2M1(NAN), 7); // no NaN: the greatest number
}
TEST(SmallFloats, UE8M0) {
  for (uint32_t i = 0; i != 255; ++i) {
    EXPECT_EQ(double(decodeUE8M0(uint8_t(i))), std::ldexp(1., int(i) - 127));
    EXPECT_EQ(encodeUE8M0(decodeUE8M0(uint8_t(i)), false, true), i);
    EXPECT_EQ(encodeUE8M0(decodeUE8M0(uint8_t(i)), true, true), i);
  }
  EXPECT_TRUE(isNaN(decodeUE8M0(0xff)));
  EXPECT_EQ(encodeUE8M0(1.5f, false, true), 127);
  EXPECT_EQ(encodeUE8M0(1.5f, true, true), 128);
  EXPECT_EQ(encodeUE8M0(NAN, true, true), 0xff);
  EXPECT_EQ(encodeUE8M0(INFINITY, true, true), 0xfe);
}

/// f16 and bf16 arithmetic against exact arithmetic: a sum of two products of small numbers is
/// exact in 128 bits, and Exact.h rounds it once.
template <typename Format> void checkFma(int count) {
  std::mt19937_64 random(11);
  auto round = [](const Exact &x) {
    return uint16_t(encodeMagnitude(x, Format::format, Rounding::Nearest) | uint64_t(x.negative)
                                                                                << 15);
  };
  for (int i = 0; i != count; ++i) {
    uint16_t h[3];
    for (uint16_t &x : h) {
      x = uint16_t(random());
      if (random() % 3 == 0) // towards subnormal
        x &= 0x8000 | (Format::format.limit >> 3) | 0x3f;
    }
    if (random() % 4 == 0)
      h[2] = Format::encode(-Format::decode(h[0]) * Format::decode(h[1]));
    double a = Format::decode(h[0]), b = Format::decode(h[1]), c = Format::decode(h[2]);
    if (!std::isfinite(a) || !std::isfinite(b) || !std::isfinite(c))
      continue;
    Exact x = exactOf(a), y = exactOf(b), z = exactOf(c);
    auto want = round(sum(multiply(x, y), z, Rounding::Nearest));
    ASSERT_EQ(fmaHalf<Format>(h[0], h[1], h[2]), want) << a << " " << b << " " << c;
    ASSERT_EQ(addHalf<Format>(h[0], h[1]), round(sum(x, y, Rounding::Nearest))) << a << " " << b;
    ASSERT_EQ(mulHalf<Format>(h[0], h[1]), round(multiply(x, y))) << a << " " << b;
    y.negative = !y.negative;
    ASSERT_EQ(subHalf<Format>(h[0], h[1]), round(sum(x, y, Rounding::Nearest))) << a << " " << b;
  }
}
TEST(HalfArithmetic, F16IsRoundedOnce) { checkFma<F16>(2000000); }
TEST(HalfArithmetic, BF16IsRoundedOnce) { checkFma<BF16>(2000000); }

TEST(HalfArithmetic, Modes) {
  HalfMode ftz, sat, relu;
  ftz.ftz = sat.sat = relu.relu = true;
  EXPECT_EQ(addHalf<F16>(0x0001, 0x0001), 0x0002);
  EXPECT_EQ(addHalf<F16>(0x0001, 0x8000, ftz), 0x0000);
  EXPECT_EQ(mulHalf<F16>(0x0400, 0xb800, ftz), 0x8000); // 2^-14 * -0.5 is subnormal
  EXPECT_EQ(addHalf<F16>(0x3c00, 0x3c00, sat), 0x3c00);
  EXPECT_EQ(addHalf<F16>(0x7c00, 0xfc00, sat), 0x0000);
  EXPECT_EQ(addHalf<F16>(0x7c00, 0xfc00), 0x7fff);
  EXPECT_EQ(fmaHalf<F16>(0x3c00, 0xbc00, 0x0000, relu), 0x0000);
  EXPECT_EQ(fmaHalf<F16>(0x7e00, 0xbc00, 0x0000, relu), 0x7fff);
  EXPECT_EQ(fmaHalf<BF16>(0x3f80, 0xbf80, 0x0000, relu), 0x0000);
  EXPECT_EQ(negHalf<F16>(0x0001, true), 0x8000);
  EXPECT_EQ(absHalf<BF16>(0x8001), 0x0001);
  EXPECT_EQ(
      byHalves(0x3c000000, 0x3c003c00, [](uint16_t a, uint16_t b) { return addHalf<F16>(a, b); }),
      0x40003c00u);
}

TEST(HalfArithmetic, MinMax) {
  MinMaxMode nan, xorsign, ftz;
  nan.nan = xorsign.xorsign = ftz.ftz = true;
  EXPECT_EQ(minHalf<F16>(0x0000, 0x8000), 0x8000);
  EXPECT_EQ(minHalf<F16>(0x8000, 0x0000), 0x8000);
  EXPECT_EQ(maxHalf<F16>(0x8000, 0x0000), 0x0000);
  EXPECT_EQ(minHalf<F16>(0x7e00, 0x3c00), 0x3c00);
  EXPECT_EQ(minHalf<F16>(0x3c00, 0xfe00), 0x3c00);
  EXPECT_EQ(minHalf<F16>(0x3c00, 0xfe00, nan), 0x7fff);
  EXPECT_EQ(minHalf<F16>(0x7d00, 0xfe00), 0x7fff);
  EXPECT_EQ(maxHalf<F16>(0xc000, 0x3c00, xorsign), 0xc000); // |-2| > |1|, signs differ
  EXPECT_EQ(minHalf<BF16>(0xc000, 0xbf80, xorsign), 0x3f80);
  EXPECT_EQ(maxHalf<F16>(0x8001, 0x8002, ftz), 0x8000);
  for (uint32_t i = 0; i < 0x10000; i += 7)
    for (uint32_t j = 0; j < 0x10000; j += 1021) {
      float a = decodeF16(uint16_t(i)), b = decodeF16(uint16_t(j));
      if (isNaN(a) || isNaN(b) || a == b)
        continue;
      ASSERT_EQ(minHalf<F16>(uint16_t(i), uint16_t(j)), a < b ? i : j);
      ASSERT_EQ(maxHalf<F16>(uint16_t(i), uint16_t(j)), a < b ? j : i);
    }
}

} // namespace
