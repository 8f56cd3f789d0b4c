// Every rounding of f32 and f64 arithmetic against the machine's own modes, on operands drawn so
// that sums cancel, products underflow and results overflow.
#include "targets/nvptx/emulator/numeric/Rounding.h"
#include "gtest/gtest.h"

#include <cfenv>
#include <random>

using namespace pianola::ptx;

namespace {

constexpr int machineModes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};

template <typename T> class Operands {
public:
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  T draw() {
    constexpr int fraction = sizeof(T) == 4 ? 23 : 52;
    constexpr Bits exponents = sizeof(T) == 4 ? 255 : 2047;
    Bits bits = Bits(random()), field = exponents << fraction;
    switch (random() % 8) {
    case 0: // subnormal
      bits &= ~field;
      break;
    case 1: // about 1
      bits = (bits & ~field) | (exponents / 2 + random() % 4) << fraction;
      break;
    case 2: // few bits, for ties and exact results
      bits &= ~(((Bits(1) << fraction) - 1) >> 3);
      break;
    case 3: // about to overflow
      bits = (bits & ~field) | Bits(exponents - 1 - random() % 2) << fraction;
      break;
    case 4: // about to underflow
      bits = (bits & ~field) | Bits(random() % 60) << fraction;
      break;
    case 5: // zeros
      if (random() % 4 == 0)
        bits &= Bits(1) << (sizeof(T) * 8 - 1);
      break;
    default:
      break;
    }
    return bitCast<T>(bits);
  }
  std::mt19937_64 random{7};
};

/// NaN is NaN; anything else has to agree in every bit.
template <typename T> bool same(T a, T b) { return a != a ? b != b : bitsOf(a) == bitsOf(b); }

template <typename T> void compareWithMachine(int count) {
  Operands<T> operands;
  int wrong = 0;
  for (int i = 0; i != count && wrong < 8; ++i) {
    volatile T a = operands.draw(), b = operands.draw(), c = operands.draw();
    if (operands.random() % 5 == 0)
      c = -(a * b);
    if (operands.random() % 7 == 0)
      b = -a;
    for (int mode = 0; mode != 4; ++mode) {
      volatile T want[6], positive = std::fabs(T(a));
      std::fesetround(machineModes[mode]);
      want[0] = a + b, want[1] = a - b, want[2] = a * b;
      want[3] = std::fma(T(a), T(b), T(c));
      want[4] = a / b, want[5] = std::sqrt(T(positive));
      std::fesetround(FE_TONEAREST);
      FloatMode m;
      m.rounding = Rounding(mode);
      T got[6] = {add(T(a), T(b), m),       sub(T(a), T(b), m), mul(T(a), T(b), m),
                  fma(T(a), T(b), T(c), m), div(T(a), T(b), m), sqrt(T(positive), m)};
      for (int op = 0; op != 6; ++op)
        if (!same(T(want[op]), got[op])) {
          ++wrong;
          ADD_FAILURE() << "op " << op << " mode " << mode << std::hexfloat << ": " << a << ", "
                        << b << ", " << c << " gives " << got[op] << ", not " << want[op];
        }
    }
  }
}

TEST(Rounding, F32AgreesWithTheMachineInEveryMode) { compareWithMachine<float>(1500000); }
TEST(Rounding, F64AgreesWithTheMachineInEveryMode) { compareWithMachine<double>(1500000); }

TEST(Rounding, FixedModesAreTheModes) {
  for (int mode = 0; mode != 16; ++mode) {
    FloatMode runtime{Rounding(mode & 3), (mode & 4) != 0, (mode & 8) != 0};
    bool called = false;
    withFixed(runtime, [&](auto fixed) {
      called = true;
      EXPECT_EQ(fixed.rounding, runtime.rounding);
      EXPECT_EQ(fixed.ftz, runtime.ftz);
      EXPECT_EQ(fixed.sat, runtime.sat);
      for (float x : {0x1p-149f, 1.f, -3.f, 0.1f, INFINITY})
        for (float y : {0x1p-126f, 0.7f, -0x1.fp-127f, -INFINITY, 0.f})
          EXPECT_EQ(bitsOf(fma(x, y, 0.3f, fixed)), bitsOf(fma(x, y, 0.3f, runtime)));
    });
    EXPECT_TRUE(called);
  }
}

uint32_t addBits(uint32_t a, uint32_t b, FloatMode mode) {
  return bitsOf(add(f32Of(a), f32Of(b), mode));
}

TEST(Rounding, NaNOfF32IsCanonical) {
  FloatMode mode;
  EXPECT_EQ(addBits(0x7f800000, 0xff800000, mode), 0x7fffffffu); // inf - inf
  EXPECT_EQ(addBits(0xffc12345, 0x3f800000, mode), 0x7fffffffu); // no payload survives
  EXPECT_EQ(addBits(0x7f800001, 0x3f800000, mode), 0x7fffffffu); // signalling
  EXPECT_EQ(bitsOf(mul(0.f, INFINITY, mode)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(div(0.f, 0.f, mode)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(sqrt(-1.f, mode)), 0x7fffffffu);
  mode.rounding = Rounding::Down;
  EXPECT_EQ(addBits(0x7f800000, 0xff800000, mode), 0x7fffffffu);
  EXPECT_EQ(bitsOf(fma(INFINITY, 0.f, 1.f, mode)), 0x7fffffffu);
}

TEST(Rounding, NaNOfF64KeepsItsPayload) {
  FloatMode mode;
  double nan = f64Of(0xfff0000000001234), other = f64Of(0x7ff8000000000777);
  for (Rounding rounding : {Rounding::Nearest, Rounding::Up}) {
    mode.rounding = rounding;
    EXPECT_EQ(bitsOf(add(nan, 1., mode)), 0xfff8000000001234u);
    EXPECT_EQ(bitsOf(add(1., nan, mode)), 0xfff8000000001234u);
    EXPECT_EQ(bitsOf(add(other, nan, mode)), 0x7ff8000000000777u);
    EXPECT_EQ(bitsOf(fma(1., 2., nan, mode)), 0xfff8000000001234u);
    EXPECT_EQ(bitsOf(mul(0., double(INFINITY), mode)), 0xfff8000000000000u);
  }
}

TEST(Rounding, FlushKeepsTheSign) {
  FloatMode ftz;
  ftz.ftz = true;
  EXPECT_EQ(addBits(0x00000001, 0x80000000, ftz), 0x00000000u);
  EXPECT_EQ(addBits(0x80000001, 0x80000001, ftz), 0x80000000u);
  EXPECT_EQ(addBits(0x807fffff, 0x3f800000, ftz), 0x3f800000u);
  EXPECT_EQ(bitsOf(mul(0x1p-100f, -0x1p-40f, ftz)), 0x80000000u);  // a subnormal result
  EXPECT_EQ(bitsOf(fma(0x1p-100f, 0x1p-40f, 0x1p-130f, ftz)), 0u); // an operand and a result
  EXPECT_EQ(bitsOf(div(1.f, -0x1p-127f, ftz)), 0xff800000u);       // by a flushed zero
  EXPECT_EQ(bitsOf(sqrt(-0x1p-127f, ftz)), 0x80000000u);           // of -0
  FloatMode kept;
  EXPECT_EQ(bitsOf(sqrt(-0x1p-127f, kept)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(mul(0x1p-100f, -0x1p-40f, kept)), 0x80000200u);
}

TEST(Rounding, SaturationIsToUnitInterval) {
  FloatMode sat;
  sat.sat = true;
  EXPECT_EQ(bitsOf(add(0.75f, 0.5f, sat)), 0x3f800000u);
  EXPECT_EQ(bitsOf(add(-0.75f, 0.5f, sat)), 0u);
  EXPECT_EQ(bitsOf(add(0.25f, 0.5f, sat)), 0x3f400000u);
  EXPECT_EQ(bitsOf(add(INFINITY, -INFINITY, sat)), 0u);
  EXPECT_EQ(bitsOf(add(INFINITY, 1.f, sat)), 0x3f800000u);
}

TEST(Rounding, DirectedOverflowStopsAtTheGreatestNumber) {
  FloatMode mode;
  float most = 0x1.fffffep127f;
  mode.rounding = Rounding::Zero;
  EXPECT_EQ(add(most, most, mode), most);
  EXPECT_EQ(mul(-most, most, mode), -most);
  mode.rounding = Rounding::Up;
  EXPECT_EQ(add(most, most, mode), INFINITY);
  EXPECT_EQ(add(-most, -most, mode), -most);
  mode.rounding = Rounding::Down;
  EXPECT_EQ(bitsOf(add(1.f, -1.f, mode)), 0x80000000u); // a zero sum is -0 only here
  EXPECT_EQ(div(1.f, 0.f, mode), INFINITY);             // exact, not an overflow
}

} // namespace
