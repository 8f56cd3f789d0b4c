// cvt: clamping, NaN, and every rounding against the machine's own modes.
#include "targets/nvptx/emulator/numeric/Convert.h"
#include "gtest/gtest.h"

#include <cfenv>
#include <random>

using namespace pianola::ptx;

namespace {

constexpr int machineModes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};

TEST(Convert, IntegersNarrowOrSaturate) {
  EXPECT_EQ((convertInt<int8_t, int32_t>(0x180)), -128);
  EXPECT_EQ((convertInt<int64_t, int32_t>(-1)), -1);
  EXPECT_EQ((convertInt<uint64_t, uint32_t>(0xffffffff)), 0xffffffffu);
  EXPECT_EQ((convertIntSat<uint8_t, int32_t>(-5)), 0);
  EXPECT_EQ((convertIntSat<uint8_t, int32_t>(300)), 255);
  EXPECT_EQ((convertIntSat<int16_t, uint64_t>(~0ull)), 32767);
  EXPECT_EQ((convertIntSat<int32_t, int64_t>(INT64_MIN)), INT32_MIN);
  EXPECT_EQ((convertIntSat<uint64_t, int64_t>(-1)), 0u);
  EXPECT_EQ((convertIntSat<int64_t, uint64_t>(1ull << 63)), INT64_MAX);
}

TEST(Convert, FloatToIntClamps) {
  EXPECT_EQ((floatToInt<int32_t>(3e9f, Rounding::Zero)), INT32_MAX);
  EXPECT_EQ((floatToInt<int32_t>(-3e9f, Rounding::Zero)), INT32_MIN);
  EXPECT_EQ((floatToInt<uint32_t>(-1.f, Rounding::Zero)), 0u);
  EXPECT_EQ((floatToInt<uint32_t>(INFINITY, Rounding::Zero)), UINT32_MAX);
  EXPECT_EQ((floatToInt<int8_t>(1000.f, Rounding::Zero)), 127);
  EXPECT_EQ((floatToInt<uint8_t>(255.5f, Rounding::Nearest)), 255);
  EXPECT_EQ((floatToInt<int64_t>(0x1p63f, Rounding::Zero)), INT64_MAX);
  EXPECT_EQ((floatToInt<uint64_t>(0x1p64, Rounding::Zero)), UINT64_MAX);
  EXPECT_EQ((floatToInt<uint64_t>(0x1p63, Rounding::Zero)), 1ull << 63);
  EXPECT_EQ((floatToInt<int32_t>(2147483647.5, Rounding::Nearest)), INT32_MAX);
  EXPECT_EQ((floatToInt<int32_t>(2147483646.5, Rounding::Nearest)), INT32_MAX - 1);
}

TEST(Convert, NaNToInt) {
  EXPECT_EQ((floatToInt<int32_t>(NAN, Rounding::Zero)), 0);
  EXPECT_EQ((floatToInt<uint32_t>(NAN, Rounding::Zero)), 0u);
  EXPECT_EQ((floatToInt<int64_t>(NAN, Rounding::Zero)), INT64_MIN); // 64 bits
  EXPECT_EQ((floatToInt<uint64_t>(NAN, Rounding::Zero)), 1ull << 63);
  EXPECT_EQ((floatToInt<int32_t>(double(NAN), Rounding::Zero)), INT32_MIN); // f64
  EXPECT_EQ((floatToInt<uint32_t>(double(NAN), Rounding::Zero)), 0x80000000u);
  EXPECT_EQ((floatToInt<int64_t>(double(NAN), Rounding::Zero)), INT64_MIN);
}

TEST(Convert, IntegralRoundings) {
  const float x[] = {2.5f, 3.5f, -2.5f, -0.5f, 0.5f, 1.5f, -1.2f, 8388607.5f, 0x1p-149f};
  const float want[4][9] = {{2, 4, -2, -0.f, 0, 2, -1, 8388608, 0},
                            {2, 3, -2, -0.f, 0, 1, -1, 8388607, 0},
                            {2, 3, -3, -1, 0, 1, -2, 8388607, 0},
                            {3, 4, -2, -0.f, 1, 2, -1, 8388608, 1}};
  for (int mode = 0; mode != 4; ++mode)
    for (int i = 0; i != 9; ++i) {
      EXPECT_EQ(bitsOf(roundToIntegral(x[i], Rounding(mode))), bitsOf(want[mode][i])) << x[i];
      EXPECT_EQ(bitsOf(roundToIntegral(double(x[i]), Rounding(mode))),
                bitsOf(double(want[mode][i])));
      EXPECT_EQ(floatToInt<int32_t>(x[i], Rounding(mode)), int32_t(want[mode][i]));
    }
  FloatMode up{Rounding::Up, false, false}, flushed{Rounding::Up, true, false};
  EXPECT_EQ(integralF32(0x1p-149f, up), 1.f);
  EXPECT_EQ(integralF32(0x1p-149f, flushed), 0.f);
  EXPECT_EQ(floatToIntFlushed<int32_t>(0x1p-149f, Rounding::Up), 0);
  EXPECT_EQ(bitsOf(integralF32(-NAN, up)), 0x7fffffffu);
  EXPECT_EQ(integralHalf<F16>(0x3e00, up), 0x4000); // 1.5
}

TEST(Convert, RandomFloatsRoundAsTheMachine) {
  std::mt19937_64 random(13);
  for (int i = 0; i != 1000000; ++i) {
    volatile float x = f32Of(uint32_t(random()));
    volatile double y = f64Of((random() & 0x800fffffffffffff) | (900 + random() % 200) << 52);
    for (int mode = 0; mode != 4; ++mode) {
      std::fesetround(machineModes[mode]);
      volatile float wantX = std::nearbyint(float(x));
      volatile double wantY = std::nearbyint(double(y));
      volatile float narrowed = float(double(y));
      std::fesetround(FE_TONEAREST);
      if (x == x) {
        ASSERT_EQ(bitsOf(roundToIntegral(float(x), Rounding(mode))), bitsOf(float(wantX))) << x;
      }
      ASSERT_EQ(bitsOf(roundToIntegral(double(y), Rounding(mode))), bitsOf(double(wantY))) << y;
      FloatMode m;
      m.rounding = Rounding(mode);
      ASSERT_EQ(bitsOf(f64ToF32(double(y), m)), bitsOf(float(narrowed))) << y;
    }
  }
}

template <typename From> void checkIntToFloat() {
  std::mt19937_64 random(17);
  for (int i = 0; i != 300000; ++i) {
    volatile From x = From(random() >> random() % 60);
    if (i % 3 == 0)
      x = From(-x);
    for (int mode = 0; mode != 4; ++mode) {
      std::fesetround(machineModes[mode]);
      volatile float narrow = float(From(x));
      volatile double wide = double(From(x));
      std::fesetround(FE_TONEAREST);
      ASSERT_EQ(intToF32(From(x), Rounding(mode)), narrow) << x;
      ASSERT_EQ(intToF64(From(x), Rounding(mode)), wide) << x;
    }
  }
}
TEST(Convert, IntToFloatInEveryMode) {
  checkIntToFloat<int32_t>();
  checkIntToFloat<uint32_t>();
  checkIntToFloat<int64_t>();
  // Compilers take u64 through s64 by halving, which directed modes do not survive.
  EXPECT_EQ(intToF32(uint64_t(-1), Rounding::Nearest), 0x1p64f);
  EXPECT_EQ(intToF32(uint64_t(-1), Rounding::Zero), 0x1.fffffep63f);
  EXPECT_EQ(intToF64(uint64_t(-1), Rounding::Down), 0x1.fffffffffffffp63);
}

TEST(Convert, IntToHalf) {
  EXPECT_EQ((intToHalf<F16>(2049, Rounding::Nearest)), 0x6800); // tie: 2048
  EXPECT_EQ((intToHalf<F16>(2051, Rounding::Nearest)), 0x6802); // tie: 2052
  EXPECT_EQ((intToHalf<F16>(65519, Rounding::Nearest)), 0x7bff);
  EXPECT_EQ((intToHalf<F16>(65520, Rounding::Nearest)), 0x7c00);
  EXPECT_EQ((intToHalf<F16>(INT64_MIN, Rounding::Zero)), 0xfbff);
  EXPECT_EQ((intToHalf<F16>(uint64_t(-1), Rounding::Up)), 0x7c00);
  EXPECT_EQ((intToHalf<BF16>(-3, Rounding::Nearest)), 0xc040);
  EXPECT_EQ((intToHalf<BF16>(257, Rounding::Up)), 0x4381);
  EXPECT_EQ((intToHalf<F16>(0, Rounding::Down)), 0);
}

TEST(Convert, FloatToFloat) {
  FloatMode plain, sat, ftz;
  sat.sat = ftz.ftz = true;
  EXPECT_EQ(bitsOf(f64ToF32(f64Of(0xfff8000000000001), plain)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(f64ToF32(0x1p-140, ftz)), 0u);
  EXPECT_EQ(bitsOf(f64ToF32(-0x1p-140, ftz)), 0x80000000u);
  EXPECT_EQ(f64ToF32(1.5, sat), 1.f);
  EXPECT_EQ(f32ToF64(-0.5f, sat), 0.);
  EXPECT_EQ(f32ToF64(0x1p-149f, plain), 0x1p-149);
  EXPECT_EQ(f32ToF64(0x1p-149f, ftz), 0.);
  EXPECT_EQ(bitsOf(f32ToF32(NAN, sat)), 0u);
  EXPECT_EQ((f32ToHalf<F16>(2.f, sat)), 0x3c00);
  EXPECT_EQ((f64ToHalf<F16>(1 + 0x1p-11 + 0x1p-40, plain)), 0x3c01); // no tie in f64
  EXPECT_EQ((f64ToHalf<F16>(1 + 0x1p-11, plain)), 0x3c00);
  EXPECT_EQ(bitsOf(halfToF32<F16>(0xfe01, plain)), 0x7fffffffu);
  EXPECT_EQ((halfToHalf<BF16, F16>(0x3c01, plain)), 0x3f80);
  EXPECT_EQ((halfToHalf<F16, BF16>(0x7f7f, plain)), 0x7c00);
}

TEST(Convert, Pack) {
  EXPECT_EQ(cvtPack(70000, -5, 0, 16, false), 0xffff0000u);
  EXPECT_EQ(cvtPack(-70000, 7, 0, 16, true), 0x80000007u);
  EXPECT_EQ(cvtPack(1, 2, 0x3040506, 8, false), 0x05060102u);
  EXPECT_EQ(cvtPack(-200, 200, 0xabcd, 8, true), 0xabcd807fu);
  EXPECT_EQ(cvtPack(16, 3, 0xabcdef, 4, false), 0xabcdeff3u);
  EXPECT_EQ(cvtPack(-3, 1, 0xf, 2, true), 0xf9u);
}

} // namespace
