// Integer arithmetic and bit fields. Where the ISA gives the meaning as a loop over bits, the test
// is that loop.
#include "targets/nvptx/emulator/numeric/BitFields.h"
#include "gtest/gtest.h"

#include <random>

using namespace pianola::ptx;

namespace {

TEST(Integer, Products) {
  EXPECT_EQ(mulHi<int32_t>(INT32_MIN, INT32_MIN), 0x40000000);
  EXPECT_EQ(mulHi<uint32_t>(0xffffffff, 0xffffffff), 0xfffffffeu);
  EXPECT_EQ(mulHi<int64_t>(INT64_MIN, -1), 0);
  EXPECT_EQ(mulHi<uint64_t>(~0ull, ~0ull), ~0ull - 1);
  EXPECT_EQ(mulHi<int16_t>(-1, 1), -1);
  EXPECT_EQ(mulLo<uint16_t>(0xffff, 0xffff), 1);
  EXPECT_EQ(mulLo<int32_t>(INT32_MIN, -1), INT32_MIN);
  EXPECT_EQ(mulWide<uint16_t>(0xffff, 0xffff), 0xfffe0001u);
  EXPECT_EQ(mulWide<int16_t>(-32768, -32768), 0x40000000);
  EXPECT_EQ(mulWide<int32_t>(-1, 5), -5);
  EXPECT_EQ(madWide<int32_t>(-1, 5, 10), 5);
  EXPECT_EQ(madLo<int32_t>(INT32_MAX, 1, 1), INT32_MIN);
  EXPECT_EQ(madHi<uint32_t>(0x80000000, 2, 0xffffffff), 0u);
}

TEST(Integer, TwentyFourBits) {
  EXPECT_EQ(mul24Lo<uint32_t>(0xff000002, 3), 6u); // the upper 8 bits do not count
  EXPECT_EQ(mul24Lo<int32_t>(0x00ffffff, 3), -3);  // bit 23 is the sign
  EXPECT_EQ(mul24Hi<uint32_t>(0xffffff, 0xffffff), 0xfffffe00u);
  EXPECT_EQ(mul24Hi<int32_t>(0x800000, 0x800000), 0x40000000); // 2^46 >> 16
  EXPECT_EQ(mul24Hi<int32_t>(-1, 1), -1);
  EXPECT_EQ(mad24Lo<uint32_t>(2, 3, 0xffffffff), 5u);
  EXPECT_EQ(mad24HiSat(0x7fffff, 0x7fffff, INT32_MAX), INT32_MAX);
}

TEST(Integer, Saturated) {
  EXPECT_EQ(addSat(INT32_MAX, 1), INT32_MAX);
  EXPECT_EQ(addSat(INT32_MIN, -1), INT32_MIN);
  EXPECT_EQ(addSat(1, 2), 3);
  EXPECT_EQ(subSat(INT32_MIN, 1), INT32_MIN);
  EXPECT_EQ(subSat(0, INT32_MIN), INT32_MAX);
  EXPECT_EQ(madHiSat(INT32_MIN, INT32_MIN, INT32_MAX), INT32_MAX);
}

TEST(Integer, CarryRunsThrough128Bits) {
  std::mt19937_64 random(3);
  for (int i = 0; i != 100000; ++i) {
    uint64_t a[2] = {random(), random()}, b[2] = {random(), random()};
    if (i % 3 == 0)
      b[0] = ~a[0]; // a carry from far below
    Uint128 x = Uint128(a[1]) << 64 | a[0], y = Uint128(b[1]) << 64 | b[0];
    auto low = addCarry(a[0], b[0], i % 2), high = addCarry(a[1], b[1], low.carry);
    Uint128 total = x + y + i % 2;
    ASSERT_EQ(low.value, uint64_t(total));
    ASSERT_EQ(high.value, uint64_t(total >> 64));
    auto lowDifference = subBorrow(a[0], b[0], i % 2);
    auto highDifference = subBorrow(a[1], b[1], lowDifference.carry);
    Uint128 difference = x - y - i % 2;
    ASSERT_EQ(lowDifference.value, uint64_t(difference));
    ASSERT_EQ(highDifference.value, uint64_t(difference >> 64));
    ASSERT_EQ(highDifference.carry, x < y || (x == y && i % 2));
    // mad.lo.cc, madc.hi: a[0] * b[0] + y in 128 bits.
    auto product = madCarry(a[0], b[0], b[0], false, false);
    auto upper = madCarry(a[0], b[0], b[1], true, product.carry);
    Uint128 fused = Uint128(a[0]) * b[0] + y;
    ASSERT_EQ(product.value, uint64_t(fused));
    ASSERT_EQ(upper.value, uint64_t(fused >> 64));
  }
  EXPECT_TRUE(addCarry(0xffffffffu, 0u, true).carry);
  EXPECT_TRUE(addCarry(0xffffffffu, 0xffffffffu, true).carry);
  EXPECT_TRUE(subBorrow(0u, 0xffffffffu, true).carry);
  EXPECT_EQ(madCarry<int32_t>(-1, 1, 0, true, false).value, -1); // .hi of signed operands
}

TEST(Integer, QuotientsNeverTrap) {
  EXPECT_EQ(div<int32_t>(INT32_MIN, -1), INT32_MIN);
  EXPECT_EQ(rem<int32_t>(INT32_MIN, -1), 0);
  EXPECT_EQ(div<int64_t>(INT64_MIN, -1), INT64_MIN);
  EXPECT_EQ(div<int16_t>(-32768, -1), -32768);
  EXPECT_EQ(div<int32_t>(-7, 2), -3); // towards zero
  EXPECT_EQ(rem<int32_t>(-7, 2), -1);
  EXPECT_EQ(rem<int32_t>(7, -2), 1);
  EXPECT_EQ(div<uint32_t>(5, 0), 0xffffffffu);
  EXPECT_EQ(rem<uint64_t>(5, 0), 5u);
  EXPECT_EQ(div<uint16_t>(5, 0), 0xffff);
}

TEST(Integer, SignsAndOrder) {
  EXPECT_EQ(absInt<int32_t>(INT32_MIN), INT32_MIN);
  EXPECT_EQ(absInt<int16_t>(-32768), -32768);
  EXPECT_EQ(negInt<int64_t>(INT64_MIN), INT64_MIN);
  EXPECT_EQ(minInt<int32_t>(-1, 1), -1);
  EXPECT_EQ(minInt<uint32_t>(uint32_t(-1), 1), 1u);
  EXPECT_EQ(sad<int32_t>(-5, 3, 10), 18);
  EXPECT_EQ(sad<uint32_t>(3, 5, 0xffffffff), 1u);
  EXPECT_EQ(sad<int32_t>(INT32_MIN, INT32_MAX, 0), -1);
  EXPECT_EQ(add16x2(0x0001ffff, 0x00010001), 0x00020000u); // no carry between halves
  EXPECT_EQ(min16x2<int16_t>(0xffff0001, 0x00010002), 0xffff0001u);
  EXPECT_EQ(min16x2<uint16_t>(0xffff0001, 0x00010002), 0x00010001u);
  EXPECT_EQ(max16x2<int16_t>(0xffff8000, 0xfffeffff, true), 0x00000000u);
}

TEST(Integer, DotProducts) {
  EXPECT_EQ(dp4a(0x01020304, 0x01010101, 5, false, false), 15u);
  EXPECT_EQ(dp4a(0xffffffff, 0x01010101, 0, true, false), uint32_t(-4));
  EXPECT_EQ(dp4a(0xffffffff, 0xffffffff, 0, false, false), 4u * 255 * 255);
  EXPECT_EQ(dp4a(0xffffffff, 0xffffffff, 0, false, true), uint32_t(-4 * 255));
  EXPECT_EQ(dp4a(0x80808080, 0x80808080, 0, true, true), 4u * 128 * 128);
  EXPECT_EQ(dp2a(0x00020001, 0x40302010, 0, false, false, false), 0x10u + 2 * 0x20);
  EXPECT_EQ(dp2a(0x00020001, 0x40302010, 0, false, false, true), 0x30u + 2 * 0x40);
  EXPECT_EQ(dp2a(0xffff0001, 0x0000ff01, 7, true, true, false), 9u); // 1*1 + -1*-1 + 7
}

TEST(BitFields, Shifts) {
  EXPECT_EQ(shl<uint32_t>(1, 31), 0x80000000u);
  EXPECT_EQ(shl<uint32_t>(1, 32), 0u);
  EXPECT_EQ(shl<uint16_t>(0xffff, 16), 0);
  EXPECT_EQ(shl<uint64_t>(1, 0xffffffff), 0u);
  EXPECT_EQ(shr<uint32_t>(0x80000000, 32), 0u);
  EXPECT_EQ(shr<int32_t>(INT32_MIN, 32), -1);
  EXPECT_EQ(shr<int32_t>(INT32_MIN, 0x80000000), -1);
  EXPECT_EQ(shr<int16_t>(-2, 1), -1);
  EXPECT_EQ(shr<int64_t>(INT64_MAX, 64), 0);
  EXPECT_EQ(shfLeft(0x80000000, 0x00000001, 1, true), 3u);
  EXPECT_EQ(shfLeft(0xaaaaaaaa, 0xbbbbbbbb, 32, false), 0xaaaaaaaau);
  EXPECT_EQ(shfLeft(0xaaaaaaaa, 0xbbbbbbbb, 32, true), 0xbbbbbbbbu);
  EXPECT_EQ(shfLeft(0xaaaaaaaa, 0xbbbbbbbb, 1000, false), 0xaaaaaaaau);
  EXPECT_EQ(shfRight(0x00000001, 0x00000003, 1, true), 0x80000000u);
  EXPECT_EQ(shfRight(0xaaaaaaaa, 0xbbbbbbbb, 40, false), 0xbbbbbbbbu);
  EXPECT_EQ(shfRight(0xaaaaaaaa, 0xbbbbbbbb, 0, false), 0xaaaaaaaau);
}

TEST(BitFields, Lop3IsItsTable) {
  std::mt19937 random(5);
  for (uint32_t table = 0; table != 256; ++table) {
    uint32_t a = random(), b = random(), c = random(), d = lop3(a, b, c, table);
    for (int i = 0; i != 32; ++i) {
      uint32_t row = (a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1);
      ASSERT_EQ(d >> i & 1, table >> row & 1);
    }
  }
  EXPECT_EQ(lop3(0xff00, 0xf0f0, 0xcccc, 0xf0 & 0xcc & 0xaa), 0xff00u & 0xf0f0u & 0xccccu);
}

TEST(BitFields, Counting) {
  EXPECT_EQ(clz(0u), 32u);
  EXPECT_EQ(clz(uint64_t(0)), 64u);
  EXPECT_EQ(clz(1u), 31u);
  EXPECT_EQ(popc(uint64_t(-1)), 64u);
  EXPECT_EQ(brev(0x00000001u), 0x80000000u);
  EXPECT_EQ(brev(uint64_t(6)), 0x6000000000000000u);
  EXPECT_EQ(bfind<uint32_t>(0, false), 0xffffffffu);
  EXPECT_EQ(bfind<int32_t>(-1, false), 0xffffffffu);
  EXPECT_EQ(bfind<int32_t>(-1, true), 0xffffffffu);
  EXPECT_EQ(bfind<int32_t>(-2, false), 0u);
  EXPECT_EQ(bfind<int32_t>(INT32_MIN, false), 30u);
  EXPECT_EQ(bfind<uint32_t>(0x80000000, true), 0u);
  EXPECT_EQ(bfind<uint64_t>(1, true), 63u);
  EXPECT_EQ(bfind<int64_t>(int64_t(1) << 40, false), 40u);
  EXPECT_EQ(cnot<uint32_t>(0), 1u);
  EXPECT_EQ(cnot<uint16_t>(7), 0);
}

TEST(BitFields, FindNthSet) {
  EXPECT_EQ(fns(0x5, 0, 0), 0u);
  EXPECT_EQ(fns(0x4, 0, 0), 0xffffffffu);
  EXPECT_EQ(fns(0xaaaaaaaa, 0, 1), 1u);
  EXPECT_EQ(fns(0xaaaaaaaa, 0, 3), 5u);
  EXPECT_EQ(fns(0xaaaaaaaa, 1, 1), 1u); // from base on
  EXPECT_EQ(fns(0xaaaaaaaa, 31, -2), 29u);
  EXPECT_EQ(fns(0x1, 5, 1), 0xffffffffu);
  EXPECT_EQ(fns(0xffffffff, 0, INT32_MIN), 0xffffffffu);
}

template <typename T> void checkFields() {
  using U = std::make_unsigned_t<T>;
  constexpr uint32_t msb = sizeof(T) * 8 - 1;
  std::mt19937_64 random(9);
  for (int i = 0; i != 200000; ++i) {
    T a = T(random());
    U b = U(random());
    uint32_t position = uint32_t(random() % 80), length = uint32_t(random() % 80);
    if (i % 50 == 0)
      position += 0x100, length = 255; // only 8 bits count
    uint32_t pos = position & 0xff, len = length & 0xff;
    bool sign = std::is_signed_v<T> && len != 0 && (U(a) >> std::min(pos + len - 1, msb)) & 1;
    U extracted = 0, inserted = b;
    for (uint32_t k = 0; k <= msb; ++k) {
      bool bit = k < len && pos + k <= msb ? (U(a) >> (pos + k)) & 1 : sign;
      extracted |= U(bit) << k;
      if (k < len && pos + k <= msb)
        inserted = (inserted & ~(U(1) << (pos + k))) | (U(U(a) >> k) & 1) << (pos + k);
    }
    ASSERT_EQ(U(bfe<T>(a, position, length)), extracted) << position << " " << length;
    ASSERT_EQ(bfi<U>(U(a), b, position, length), inserted) << position << " " << length;
  }
}
TEST(BitFields, ExtractAndInsert) {
  checkFields<uint32_t>();
  checkFields<int32_t>();
  checkFields<uint64_t>();
  checkFields<int64_t>();
}

TEST(BitFields, MasksAndExtension) {
  for (uint32_t a = 0; a != 70; ++a)
    for (uint32_t b = 0; b != 70; ++b)
      for (bool wrap : {false, true}) {
        uint32_t want = 0, from = wrap ? a & 31 : a, count = wrap ? b & 31 : b;
        for (uint32_t k = 0; k != 32; ++k)
          want |= uint32_t(k >= from && k - from < count) << k;
        ASSERT_EQ(bmsk(a, b, wrap), want) << a << " " << b;
      }
  EXPECT_EQ(bmsk(1, 2, true), 6u);
  EXPECT_EQ(szext(0xffffffff, 0, true, false), 0u);
  EXPECT_EQ(szext(0x000000ff, 8, true, true), 0xffffffffu);
  EXPECT_EQ(szext(0x0000017f, 8, true, true), 0x7fu);
  EXPECT_EQ(szext(0x12345678, 32, false, true), 0x12345678u);
  EXPECT_EQ(szext(0x12345678, 36, true, false), 0x8u);
}

TEST(BitFields, Permute) {
  uint32_t a = 0x83828180, b = 0x87868584; // byte i is 0x80 + i
  EXPECT_EQ(prmt(a, b, 0x3210), a);
  EXPECT_EQ(prmt(a, b, 0x7654), b);
  EXPECT_EQ(prmt(a, b, 0x0527), 0x80858287u);
  EXPECT_EQ(prmt(0x7f, b, 0xc8c8), 0xff00ff00u); // bit 3 replicates the byte's sign
  EXPECT_EQ(prmt(a, b, 0xffff3210), a);          // only 16 bits count
  const uint32_t rows[6][4] = {{0x83828180, 0x84838281, 0x85848382, 0x86858483},  // f4e
                               {0x85868780, 0x86878081, 0x87808182, 0x80818283},  // b4e
                               {0x80808080, 0x81818181, 0x82828282, 0x83838383},  // rc8
                               {0x83828180, 0x83828181, 0x83828282, 0x83838383},  // ecl
                               {0x80808080, 0x81818180, 0x82828180, 0x83828180},  // ecr
                               {0x81808180, 0x83828382, 0x81808180, 0x83828382}}; // rc16
  for (int mode = 0; mode != 6; ++mode)
    for (uint32_t row = 0; row != 4; ++row)
      EXPECT_EQ(prmt(a, b, row | 0xfffffffc, Permute(mode + 1)), rows[mode][row])
          << mode << " " << row;
}

} // namespace
