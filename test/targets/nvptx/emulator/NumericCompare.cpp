// Comparisons, min, max, testp, copysign.
#include "targets/nvptx/emulator/numeric/Compare.h"
#include "gtest/gtest.h"

using namespace pianola::ptx;

namespace {

constexpr Comparison all[] = {Comparison::Eq,  Comparison::Ne,  Comparison::Lt,  Comparison::Le,
                              Comparison::Gt,  Comparison::Ge,  Comparison::Lo,  Comparison::Ls,
                              Comparison::Hi,  Comparison::Hs,  Comparison::Equ, Comparison::Neu,
                              Comparison::Ltu, Comparison::Leu, Comparison::Gtu, Comparison::Geu,
                              Comparison::Num, Comparison::Nan};

TEST(Compare, FloatsByTheTable) {
  // In the order of `all`: what holds for a < b, a == b, a > b, and where either is NaN.
  const char *want[] = {"011100110001110010", "100101010110010110", "010011001101001110",
                        "000000000011111101"};
  const float pairs[4][2] = {{1, 2}, {-0.f, 0.f}, {INFINITY, 3}, {NAN, 1}};
  for (int row = 0; row != 4; ++row)
    for (int i = 0; i != 18; ++i) {
      float a = pairs[row][0], b = pairs[row][1];
      EXPECT_EQ(compare(all[i], a, b), want[row][i] == '1') << row << " " << i;
      EXPECT_EQ(compare(all[i], double(a), double(b)), want[row][i] == '1') << row << " " << i;
    }
}

TEST(Compare, Integers) {
  EXPECT_TRUE(compare(Comparison::Lt, int32_t(-1), int32_t(0)));
  EXPECT_FALSE(compare(Comparison::Lo, uint32_t(-1), uint32_t(0)));
  EXPECT_TRUE(compare(Comparison::Hs, uint64_t(-1), uint64_t(-1)));
  EXPECT_TRUE(compare(Comparison::Ne, int16_t(-1), int16_t(1)));
}

TEST(Compare, FlushedOperands) {
  EXPECT_TRUE(compare(Comparison::Gt, 0x1p-149f, 0.f));
  EXPECT_FALSE(compareFlushed(Comparison::Gt, 0x1p-149f, 0.f));
  EXPECT_TRUE(compareFlushed(Comparison::Eq, 0x1p-149f, -0x1p-130f));
  EXPECT_TRUE(compareHalf<F16>(Comparison::Eq, 0x0001, 0x8001, true));
  EXPECT_FALSE(compareHalf<F16>(Comparison::Eq, 0x0001, 0x8001));
  EXPECT_TRUE(compareHalf<BF16>(Comparison::Ltu, 0x7fc0, 0x3f80));
}

TEST(Compare, FixedComparisonsAreTheComparisons) {
  for (Comparison comparison : all) {
    int calls = 0;
    withFixed(comparison, [&](auto fixed) { calls += fixed == comparison; });
    EXPECT_EQ(calls, 1);
  }
}

TEST(Compare, Combining) {
  EXPECT_FALSE(combine(BoolOp::And, true, false));
  EXPECT_TRUE(combine(BoolOp::Or, true, false));
  EXPECT_FALSE(combine(BoolOp::Xor, true, true));
  EXPECT_EQ(setMask(true), 0xffffffffu);
  EXPECT_EQ(setF32(true), 0x3f800000u);
  EXPECT_TRUE(slctTakesFirst(0));
  EXPECT_FALSE(slctTakesFirst(-1));
  EXPECT_TRUE(slctTakesFirst(-0.f, false));
  EXPECT_FALSE(slctTakesFirst(NAN, false));
  EXPECT_FALSE(slctTakesFirst(-0x1p-149f, false));
  EXPECT_TRUE(slctTakesFirst(-0x1p-149f, true));
}

TEST(MinMax, ZerosAndNaN) {
  MinMaxMode nan, xorsign, ftz;
  nan.nan = xorsign.xorsign = ftz.ftz = true;
  EXPECT_EQ(bitsOf(min(0.f, -0.f)), 0x80000000u);
  EXPECT_EQ(bitsOf(min(-0.f, 0.f)), 0x80000000u);
  EXPECT_EQ(bitsOf(max(-0.f, 0.f)), 0u);
  EXPECT_EQ(bitsOf(max(0.f, -0.f)), 0u);
  EXPECT_EQ(bitsOf(max(-0.f, -0.f)), 0x80000000u);
  EXPECT_EQ(min(NAN, 2.f), 2.f);
  EXPECT_EQ(max(2.f, NAN), 2.f);
  EXPECT_EQ(bitsOf(min(-NAN, NAN)), 0x7fffffffu);
  EXPECT_EQ(bitsOf(min(NAN, 2.f, nan)), 0x7fffffffu);
  EXPECT_EQ(min(3.f, 2.f, nan), 2.f);
  EXPECT_EQ(max(-2.f, 1.f, xorsign), -2.f);
  EXPECT_EQ(min(-2.f, -1.f, xorsign), 1.f);
  EXPECT_EQ(min(-2.f, f32Of(0x7fc00000), xorsign), -2.f); // |-2| with the sign - xor +
  EXPECT_EQ(bitsOf(min(0x1p-149f, 0x1p-140f, ftz)), 0u);
  EXPECT_EQ(bitsOf(min(0x1p-149f, 0x1p-140f)), 1u);
  EXPECT_EQ(bitsOf(min(0., -0.)), 0x8000000000000000u);
  EXPECT_EQ(bitsOf(max(-0., 0.)), 0u);
  EXPECT_EQ(min(double(NAN), 2.), 2.);
  EXPECT_EQ(max(2., double(NAN)), 2.);
  EXPECT_TRUE(isNaN(max(double(NAN), double(NAN))));
}

TEST(Compare, Testp) {
  const float x[] = {0.f, 1.f, 0x1p-149f, INFINITY, NAN};
  const bool want[6][5] = {{true, true, true, false, false},  {false, false, false, true, false},
                           {true, true, true, true, false},   {false, false, false, false, true},
                           {true, true, false, false, false}, {false, false, true, false, false}};
  for (int property = 0; property != 6; ++property)
    for (int i = 0; i != 5; ++i)
      EXPECT_EQ(testp(Property(property), -x[i]), want[property][i]) << property << " " << x[i];
  EXPECT_TRUE(testp(Property::Subnormal, 0x1p-1074));
}

TEST(Compare, CopySign) {
  EXPECT_EQ(copySign(-1.f, 2.f), -2.f); // the sign of the first, the magnitude of the second
  EXPECT_EQ(copySign(1., -2.), 2.);
}

} // namespace
