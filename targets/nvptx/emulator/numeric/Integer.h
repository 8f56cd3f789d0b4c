// Integer.h - arithmetic of integers: what the C++ operators do not do, or do not define.
//
// T is the type of the instruction: int16_t, uint16_t, int32_t, uint32_t, int64_t or uint64_t for
// .s16 to .u64. Every result wraps, nothing traps. Bits, shifts, permutations: BitFields.h.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_INTEGER_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_INTEGER_H

#include "targets/nvptx/emulator/numeric/Exact.h"

#include <limits>
#include <type_traits>

namespace pianola::ptx {

template <typename T> using UnsignedOf = std::make_unsigned_t<T>;
/// The type of twice as many bits and the same sign; of 64 bits, that of 128.
template <typename T>
using WideOf = std::conditional_t<
    sizeof(T) == 8, std::conditional_t<std::is_signed_v<T>, Int128, Uint128>,
    std::conditional_t<
        sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
        std::conditional_t<sizeof(T) == 2,
                           std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
                           std::conditional_t<std::is_signed_v<T>, int16_t, uint16_t>>>>;
template <typename T> inline constexpr int bitsIn = int(sizeof(T) * 8);

template <typename T> constexpr T wrapAdd(T a, T b) {
  return T(UnsignedOf<T>(UnsignedOf<T>(a) + UnsignedOf<T>(b)));
}
template <typename T> constexpr T wrapSub(T a, T b) {
  return T(UnsignedOf<T>(UnsignedOf<T>(a) - UnsignedOf<T>(b)));
}

//===-- Products ----------------------------------------------------------------------------===//

template <typename T> constexpr T mulLo(T a, T b) {
  return T(uint64_t(UnsignedOf<T>(a)) * UnsignedOf<T>(b));
}
template <typename T> constexpr WideOf<T> mulWide(T a, T b) {
  return WideOf<T>(WideOf<T>(a) * WideOf<T>(b)); // of u16 both fit an int: no overflow
}
template <> constexpr uint32_t mulWide(uint16_t a, uint16_t b) { return uint32_t(a) * b; }
template <typename T> constexpr T mulHi(T a, T b) { return T(mulWide(a, b) >> bitsIn<T>); }

template <typename T> constexpr T madLo(T a, T b, T c) { return wrapAdd(mulLo(a, b), c); }
template <typename T> constexpr T madHi(T a, T b, T c) { return wrapAdd(mulHi(a, b), c); }
template <typename T> constexpr WideOf<T> madWide(T a, T b, WideOf<T> c) {
  return wrapAdd(mulWide(a, b), c);
}

/// T is int32_t or uint32_t; of each operand 24 bits count. .lo is bits 31 to 0 of the product of
/// 48 bits, .hi is bits 47 to 16.
template <typename T> constexpr int64_t product24(T a, T b) {
  return std::is_signed_v<T>
             ? int64_t(int32_t(uint32_t(a) << 8) >> 8) * (int32_t(uint32_t(b) << 8) >> 8)
             : int64_t(uint64_t(a & 0xffffff) * uint64_t(b & 0xffffff));
}
template <typename T> constexpr T mul24Lo(T a, T b) { return T(product24(a, b)); }
template <typename T> constexpr T mul24Hi(T a, T b) { return T(product24(a, b) >> 16); }
template <typename T> constexpr T mad24Lo(T a, T b, T c) { return wrapAdd(mul24Lo(a, b), c); }
template <typename T> constexpr T mad24Hi(T a, T b, T c) { return wrapAdd(mul24Hi(a, b), c); }

//===-- Saturated, and with carry -----------------------------------------------------------===//

constexpr int32_t saturate32(int64_t x) {
  return x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : int32_t(x);
}
/// add.sat.s32, sub.sat.s32, mad.hi.sat.s32, mad24.hi.sat.s32.
constexpr int32_t addSat(int32_t a, int32_t b) { return saturate32(int64_t(a) + b); }
constexpr int32_t subSat(int32_t a, int32_t b) { return saturate32(int64_t(a) - b); }
constexpr int32_t madHiSat(int32_t a, int32_t b, int32_t c) { return addSat(mulHi(a, b), c); }
constexpr int32_t mad24HiSat(int32_t a, int32_t b, int32_t c) { return addSat(mul24Hi(a, b), c); }

/// A result and the condition code: carry out of an addition, borrow out of a subtraction.
template <typename T> struct WithCarry {
  T value;
  bool carry;
};
/// add.cc (carry: false) and addc{.cc}; T is unsigned, .s32 and .s64 are the same.
template <typename T> constexpr WithCarry<T> addCarry(T a, T b, bool carry) {
  T partial = T(a + b), value = T(partial + carry);
  return {value, partial < a || value < partial};
}
/// sub.cc (borrow: false) and subc{.cc}.
template <typename T> constexpr WithCarry<T> subBorrow(T a, T b, bool borrow) {
  T partial = T(a - b), value = T(partial - borrow);
  return {value, a < b || partial < T(borrow)};
}
/// mad.{lo,hi}.cc (carry: false) and madc.{lo,hi}{.cc}. Here the sign of T matters, for .hi.
template <typename T> constexpr WithCarry<T> madCarry(T a, T b, T c, bool high, bool carry) {
  using U = UnsignedOf<T>;
  auto sum = addCarry<U>(U(high ? mulHi(a, b) : mulLo(a, b)), U(c), carry);
  return {T(sum.value), sum.carry};
}

//===-- Quotients ---------------------------------------------------------------------------===//

/// Dividing by zero leaves the result open; here it is all ones, and the remainder is the dividend.
/// The most negative number by -1 is itself, remainder 0.
template <typename T> constexpr T div(T a, T b) {
  static_assert(std::is_integral_v<T>);
  if (b == 0)
    return T(-1);
  if (std::is_signed_v<T> && b == T(-1))
    return wrapSub(T(0), a);
  return T(a / b);
}
template <typename T> constexpr T rem(T a, T b) {
  static_assert(std::is_integral_v<T>);
  if (b == 0)
    return a;
  if (std::is_signed_v<T> && b == T(-1))
    return 0;
  return T(a % b);
}

//===-- Signs and order ---------------------------------------------------------------------===//

template <typename T> constexpr T negInt(T a) { return wrapSub(T(0), a); }
template <typename T> constexpr T absInt(T a) { return a < 0 ? negInt(a) : a; }
template <typename T> constexpr T minInt(T a, T b) { return b < a ? b : a; }
template <typename T> constexpr T maxInt(T a, T b) { return a < b ? b : a; }
/// {min,max}.relu.{s32,s16x2}: at least 0.
template <typename T> constexpr T reluInt(T a) { return a < 0 ? T(0) : a; }
/// c + |a - b|.
template <typename T> constexpr T sad(T a, T b, T c) {
  return wrapAdd(c, a < b ? wrapSub(b, a) : wrapSub(a, b));
}

/// .u16x2 and .s16x2, T being uint16_t or int16_t: `op` on the upper and on the lower halves.
template <typename T, typename Op> constexpr uint32_t by16x2(uint32_t a, uint32_t b, Op op) {
  uint16_t upper = uint16_t(op(T(uint16_t(a >> 16)), T(uint16_t(b >> 16))));
  uint16_t lower = uint16_t(op(T(uint16_t(a)), T(uint16_t(b))));
  return uint32_t(upper) << 16 | lower;
}
constexpr uint32_t add16x2(uint32_t a, uint32_t b) {
  return by16x2<uint16_t>(a, b, [](uint16_t x, uint16_t y) { return uint16_t(x + y); });
}
template <typename T> constexpr uint32_t min16x2(uint32_t a, uint32_t b, bool relu = false) {
  return by16x2<T>(a, b, [=](T x, T y) { return relu ? reluInt(minInt(x, y)) : minInt(x, y); });
}
template <typename T> constexpr uint32_t max16x2(uint32_t a, uint32_t b, bool relu = false) {
  return by16x2<T>(a, b, [=](T x, T y) { return relu ? reluInt(maxInt(x, y)) : maxInt(x, y); });
}

//===-- Dot products ------------------------------------------------------------------------===//

/// The byte of that index as a number.
constexpr int32_t byteOf(uint32_t x, int index, bool isSigned) {
  uint8_t byte = uint8_t(x >> (8 * index));
  return isSigned ? int32_t(int8_t(byte)) : int32_t(byte);
}
constexpr int32_t wordOf(uint32_t x, int index, bool isSigned) {
  uint16_t word = uint16_t(x >> (16 * index));
  return isSigned ? int32_t(int16_t(word)) : int32_t(word);
}
/// dp4a.atype.btype d, a, b, c: four products of bytes.
constexpr uint32_t dp4a(uint32_t a, uint32_t b, uint32_t c, bool signedA, bool signedB) {
  for (int i = 0; i != 4; ++i)
    c += uint32_t(byteOf(a, i, signedA) * byteOf(b, i, signedB));
  return c;
}
/// dp2a.{lo,hi}: two products of a's 16 bits with two bytes of b, the lower or the upper ones.
constexpr uint32_t dp2a(uint32_t a, uint32_t b, uint32_t c, bool signedA, bool signedB, bool high) {
  for (int i = 0; i != 2; ++i)
    c += uint32_t(wordOf(a, i, signedA) * byteOf(b, i + (high ? 2 : 0), signedB));
  return c;
}

} // namespace pianola::ptx

#endif
