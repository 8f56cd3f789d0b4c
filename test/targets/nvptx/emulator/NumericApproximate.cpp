// The special values of the ISA's tables, and every error bound, against functions of the C++
// library in double.
#include "targets/nvptx/emulator/numeric/Approximate.h"
#include "gtest/gtest.h"

#include <random>

using namespace pianola::ptx;

namespace {

constexpr uint32_t nan32 = 0x7fffffff;

uint32_t ulpsBetween(float a, float b) {
  auto ordered = [](float x) {
    return int64_t(bitsOf(x) & 0x7fffffff) * (std::signbit(x) ? -1 : 1);
  };
  return uint32_t(std::abs(ordered(a) - ordered(b)));
}

TEST(Approximate, SpecialValues) {
  FloatMode ftz;
  ftz.ftz = true;
  EXPECT_EQ(bitsOf(ex2Approx(-INFINITY)), 0u);
  EXPECT_EQ(ex2Approx(-0.f), 1.f);
  EXPECT_EQ(ex2Approx(INFINITY), INFINITY);
  EXPECT_EQ(bitsOf(ex2Approx(-NAN)), nan32);
  EXPECT_EQ(ex2Approx(128.f), INFINITY);
  EXPECT_EQ(bitsOf(ex2Approx(-149.f)), 1u);
  EXPECT_EQ(bitsOf(ex2Approx(-149.f, ftz)), 0u);
  EXPECT_EQ(bitsOf(ex2Approx(-1e30f)), 0u);
  EXPECT_EQ(bitsOf(lg2Approx(-INFINITY)), nan32);
  EXPECT_EQ(bitsOf(lg2Approx(-1.f)), nan32);
  EXPECT_EQ(lg2Approx(-0.f), -INFINITY);
  EXPECT_EQ(lg2Approx(0.f), -INFINITY);
  EXPECT_EQ(lg2Approx(INFINITY), INFINITY);
  EXPECT_EQ(bitsOf(lg2Approx(NAN)), nan32);
  EXPECT_EQ(lg2Approx(0x1p-149f), -149.f);
  EXPECT_EQ(lg2Approx(0x1p-149f, ftz), -INFINITY);
  EXPECT_EQ(lg2Approx(-0x1p-149f, ftz), -INFINITY);
  EXPECT_EQ(bitsOf(sinApprox(INFINITY)), nan32);
  EXPECT_EQ(bitsOf(sinApprox(-0.f)), 0x80000000u);
  EXPECT_EQ(bitsOf(sinApprox(-0x1p-149f, ftz)), 0x80000000u);
  EXPECT_EQ(bitsOf(cosApprox(-INFINITY)), nan32);
  EXPECT_EQ(cosApprox(-0.f), 1.f);
  EXPECT_EQ(tanhApprox(-INFINITY), -1.f);
  EXPECT_EQ(bitsOf(tanhApprox(-0.f)), 0x80000000u);
  EXPECT_EQ(bitsOf(tanhApprox(0x1p-140f)), bitsOf(0x1p-140f)); // subnormal numbers pass
  EXPECT_EQ(bitsOf(tanhApprox(NAN)), nan32);
  EXPECT_EQ(bitsOf(rcpApprox(-INFINITY)), 0x80000000u);
  EXPECT_EQ(rcpApprox(-0.f), -INFINITY);
  EXPECT_EQ(rcpApprox(-0x1p-127f), -0x1p127f);
  EXPECT_EQ(rcpApprox(-0x1p-127f, ftz), -INFINITY);
  EXPECT_EQ(bitsOf(rcpApprox(0x1p127f, ftz)), 0u);
  EXPECT_EQ(rsqrtApprox(-0.f), -INFINITY);
  EXPECT_EQ(bitsOf(rsqrtApprox(-1.f)), nan32);
  EXPECT_EQ(bitsOf(rsqrtApprox(INFINITY)), 0u);
  EXPECT_EQ(rsqrtApprox(-0x1p-149f, ftz), -INFINITY);
  EXPECT_EQ(bitsOf(sqrtApprox(-0.f)), 0x80000000u);
  EXPECT_EQ(bitsOf(sqrtApprox(-1.f)), nan32);
  EXPECT_EQ(bitsOf(divApprox(INFINITY, 0x1.8p127f)), nan32);
  EXPECT_EQ(bitsOf(divApprox(3.f, -0x1.8p127f)), 0x80000000u);
  EXPECT_EQ(bitsOf(divApprox(3.f, 0x1.000002p126f)), 0u);
  EXPECT_EQ(divApprox(3.f, 0x1p126f), 0x1.8p-125f);
  EXPECT_EQ(divFull(3.f, 0x1.8p127f), 0x1p-126f);
  EXPECT_EQ(divApprox(1.f, 0.f), INFINITY);
  EXPECT_EQ(bitsOf(divApprox(1.f, INFINITY)), 0u);
}

TEST(Approximate, F64UpperWords) {
  auto rcp = [](uint64_t x) { return bitsOf(rcpApproxFtz(f64Of(x))); };
  auto rsqrt = [](uint64_t x) { return bitsOf(rsqrtApproxFtz(f64Of(x))); };
  EXPECT_EQ(rcp(0xfff0000000000000), 0x8000000000000000u);
  EXPECT_EQ(rcp(0x800fffffffffffff), 0xfff0000000000000u);
  EXPECT_EQ(rcp(0x0000000100000000), 0x7ff0000000000000u);
  EXPECT_EQ(rcp(0x7ff8000000000000), 0x7fffffff00000000u);
  EXPECT_EQ(rcp(0x7ff0000000000001), 0x7fffffff00000000u);
  EXPECT_EQ(rcp(0x4000000000000000), 0x3fe0000000000000u);
  EXPECT_EQ(rcp(0x7fe0000000000000), 0u); // 2^-1023 is subnormal
  EXPECT_EQ(rsqrt(0xfff0000000000000), 0x7fffffff00000000u);
  EXPECT_EQ(rsqrt(0x8000000000000001), 0xfff0000000000000u);
  EXPECT_EQ(rsqrt(0x4010000000000000), 0x3fe0000000000000u);
  EXPECT_EQ(rsqrt(0x7ff0000000000000), 0u);
  std::mt19937_64 random(1);
  for (int i = 0; i != 100000; ++i) {
    double x = std::ldexp(1 + double(random() >> 12) * 0x1p-52, int(random() % 1000) - 500);
    EXPECT_EQ(rcp(bitsOf(x)) & 0xffffffff, 0u);
    EXPECT_LE(std::fabs(rcpApproxFtz(x) * x - 1), f64ApproxBound.most * 2);
    EXPECT_LE(std::fabs(rsqrtApproxFtz(x) * std::sqrt(x) - 1), f64ApproxBound.most * 2);
  }
}

TEST(Approximate, WithinTheBounds) {
  std::mt19937_64 random(2);
  for (int i = 0; i != 400000; ++i) {
    float x = f32Of(uint32_t(random())), y = f32Of(uint32_t(random()));
    if (!std::isfinite(x) || !std::isfinite(y))
      continue;
    double near = (double(random() >> 11) * 0x1p-52 - 1) * 150; // in [-150, 150]
    float n = float(near);
    ASSERT_LE(ulpsBetween(ex2Approx(n), float(std::exp2(double(n)))), ex2Bound.most) << n;
    ASSERT_LE(std::fabs(sinApprox(n) - std::sin(double(n))), sinCosBound.most);
    ASSERT_LE(std::fabs(cosApprox(n) - std::cos(double(n))), sinCosBound.most);
    double t = std::tanh(double(n));
    ASSERT_LE(std::fabs(tanhApprox(n) - t), std::fabs(t) * tanhBound.most);
    float p = std::fabs(x);
    if (p > 0) {
      double l = std::log2(double(p));
      bool near1 = p > 0.5f && p < 2;
      ASSERT_LE(std::fabs(lg2Approx(p) - l),
                near1 ? lg2Bound.most : std::fabs(l) * lg2BoundOutside.most)
          << p;
      ASSERT_LE(ulpsBetween(rcpApprox(p), float(1 / double(p))), rcpBound.most);
      double r = 1 / std::sqrt(double(p)), s = std::sqrt(double(p));
      ASSERT_LE(std::fabs(rsqrtApprox(p) - r), r * rsqrtBound.most);
      ASSERT_LE(std::fabs(sqrtApprox(p) - s), s * sqrtBound.most);
    }
    if (std::fabs(y) >= 0x1p-126f && std::fabs(y) <= 0x1p126f) {
      ASSERT_LE(ulpsBetween(divApprox(x, y), float(double(x) / y)), divApproxBound.most);
    }
    if (y != 0) {
      ASSERT_LE(ulpsBetween(divFull(x, y), float(double(x) / y)), divFullBound.most);
    }
  }
}

TEST(Approximate, EveryHalf) {
  for (uint32_t i = 0; i != 0x10000; ++i) {
    uint16_t half = uint16_t(i);
    float x = decodeF16(half), z = decodeBF16(half);
    if (isNaN(x)) {
      ASSERT_EQ(ex2Half<F16>(half, false), 0x7fff);
      ASSERT_EQ(tanhHalf<F16>(half), 0x7fff);
    } else {
      double e = std::exp2(double(x));
      double got = decodeF16(ex2Half<F16>(half, false));
      if (e < 65504 && e >= 0x1p-14) {
        ASSERT_LE(std::fabs(got - e), e * ex2F16Bound.most) << x;
      }
      ASSERT_LE(std::fabs(decodeF16(tanhHalf<F16>(half)) - std::tanh(double(x))),
                tanhF16Bound.most);
    }
    if (!isNaN(z)) {
      double e = std::exp2(double(z)), got = decodeBF16(ex2Half<BF16>(half, true));
      if (e < 0x1p127 && e >= 0x1p-126) {
        ASSERT_LE(std::fabs(got - e), e * ex2BF16Bound.most) << z;
      } else if (e < 0x1p-127) {
        ASSERT_EQ(got, 0) << z;
      }
      ASSERT_LE(std::fabs(decodeBF16(tanhHalf<BF16>(half)) - std::tanh(double(z))),
                tanhBF16Bound.most);
    }
  }
  EXPECT_EQ(ex2Half<F16>(0xfc00, false), 0);
  EXPECT_EQ(ex2Half<F16>(0x7c00, false), 0x7c00);
  EXPECT_EQ(ex2Half<BF16>(0x8000, true), 0x3f80);
  EXPECT_EQ(tanhHalf<F16>(0x8000), 0x8000);
  EXPECT_EQ(tanhHalf<BF16>(0xff80), 0xbf80);
}

} // namespace
