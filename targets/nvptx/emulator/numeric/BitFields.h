// BitFields.h - logic, shifts, bit fields and permutations of bytes.
//
// Shift amounts are unsigned 32-bit numbers, whatever is shifted, and clamp at the width.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_BITFIELDS_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_NUMERIC_BITFIELDS_H

#include "targets/nvptx/emulator/numeric/Integer.h"

namespace pianola::ptx {

//===-- Shifts ------------------------------------------------------------------------------===//

template <typename T> constexpr T shl(T a, uint32_t amount) {
  return amount >= uint32_t(bitsIn<T>) ? T(0)
                                       : T(UnsignedOf<T>(uint64_t(UnsignedOf<T>(a)) << amount));
}
/// Of a signed T the sign is shifted in.
template <typename T> constexpr T shr(T a, uint32_t amount) {
  uint32_t most = uint32_t(bitsIn<T>) - 1;
  if (std::is_signed_v<T>)
    return T(a >> (amount > most ? most : amount));
  return amount > most ? T(0) : T(a >> amount);
}
/// shf: the 64 bits b:a shifted. .wrap takes the amount modulo 32, .clamp stops at 32.
constexpr uint32_t funnelAmount(uint32_t c, bool wrap) { return wrap ? c & 31 : c > 32 ? 32 : c; }
constexpr uint32_t shfLeft(uint32_t a, uint32_t b, uint32_t c, bool wrap) {
  return uint32_t(((uint64_t(b) << 32 | a) << funnelAmount(c, wrap)) >> 32);
}
constexpr uint32_t shfRight(uint32_t a, uint32_t b, uint32_t c, bool wrap) {
  return uint32_t((uint64_t(b) << 32 | a) >> funnelAmount(c, wrap));
}

//===-- Logic -------------------------------------------------------------------------------===//

/// cnot: 1 where a is 0, else 0.
template <typename T> constexpr T cnot(T a) { return a == 0 ? T(1) : T(0); }
/// Each bit of the table is the result for one combination: a is 0xf0, b 0xcc, c 0xaa.
constexpr uint32_t lop3(uint32_t a, uint32_t b, uint32_t c, uint32_t table) {
  uint32_t d = 0;
  for (uint32_t i = 0; i != 8; ++i) {
    uint32_t minterm = (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
    d |= (table >> i) & 1 ? minterm : 0;
  }
  return d;
}

//===-- Counting and finding ----------------------------------------------------------------===//

inline uint32_t popc(uint32_t a) { return uint32_t(__builtin_popcount(a)); }
inline uint32_t popc(uint64_t a) { return uint32_t(__builtin_popcountll(a)); }
inline uint32_t clz(uint32_t a) { return a == 0 ? 32 : uint32_t(__builtin_clz(a)); }
inline uint32_t clz(uint64_t a) { return a == 0 ? 64 : uint32_t(__builtin_clzll(a)); }

/// The highest bit that is not a copy of the sign (unsigned: that is 1), 0xffffffff where there is
/// none; .shiftamt: how far left it could be shifted instead.
template <typename T> inline uint32_t bfind(T a, bool shiftAmount) {
  UnsignedOf<T> bits = UnsignedOf<T>(a < 0 ? ~a : a);
  if (bits == 0)
    return 0xffffffff;
  uint32_t leading = clz(bits);
  return shiftAmount ? leading : uint32_t(bitsIn<T>) - 1 - leading;
}

inline uint32_t brev(uint32_t a) {
  a = (a >> 1 & 0x55555555) | (a & 0x55555555) << 1;
  a = (a >> 2 & 0x33333333) | (a & 0x33333333) << 2;
  a = (a >> 4 & 0x0f0f0f0f) | (a & 0x0f0f0f0f) << 4;
  return __builtin_bswap32(a);
}
inline uint64_t brev(uint64_t a) {
  return uint64_t(brev(uint32_t(a))) << 32 | brev(uint32_t(a >> 32));
}

/// fns: the place of the |offset|-th 1 from `base` on, upwards or downwards; offset 0 asks for
/// `base` itself. 0xffffffff where there is none.
inline uint32_t fns(uint32_t mask, uint32_t base, int32_t offset) {
  if (base > 31)
    return 0xffffffff;
  if (offset == 0)
    return (mask >> base) & 1 ? base : 0xffffffff;
  uint32_t left = offset > 0 ? uint32_t(offset) : 0u - uint32_t(offset);
  for (int32_t at = int32_t(base); at >= 0 && at < 32; at += offset > 0 ? 1 : -1)
    if ((mask >> at) & 1 && --left == 0)
      return uint32_t(at);
  return 0xffffffff;
}

//===-- Bit fields --------------------------------------------------------------------------===//

/// The lowest `count` bits, all of them from the width on.
template <typename U> constexpr U lowBits(uint32_t count) {
  return count >= uint32_t(bitsIn<U>) ? U(~U(0)) : U((U(1) << count) - 1);
}

/// Of position and length 8 bits count. What lies past the field is 0, or, T being signed, the
/// field's highest bit, which is at most that of a.
template <typename T> constexpr T bfe(T a, uint32_t position, uint32_t length) {
  using U = UnsignedOf<T>;
  position &= 0xff, length &= 0xff;
  constexpr uint32_t top = uint32_t(bitsIn<T>) - 1;
  U field = position > top ? U(0) : U(U(a) >> position);
  U kept = lowBits<U>(length);
  bool sign = false;
  if (std::is_signed_v<T> && length != 0) {
    uint32_t last = position + length - 1;
    sign = (U(a) >> (last > top ? top : last)) & 1;
    if (position > top)
      kept = 0;
    else if (length > top - position)
      kept = lowBits<U>(top - position + 1);
  }
  return T(U((field & kept) | (sign ? U(~kept) : U(0))));
}

/// a's lowest `length` bits in place of b's from `position` on.
template <typename U> constexpr U bfi(U a, U b, uint32_t position, uint32_t length) {
  position &= 0xff, length &= 0xff;
  if (position >= uint32_t(bitsIn<U>))
    return b;
  U mask = U(lowBits<U>(length) << position);
  return U((b & ~mask) | (U(a << position) & mask));
}

/// bmsk.{clamp,wrap}: b ones from place a on.
constexpr uint32_t bmsk(uint32_t a, uint32_t b, bool wrap) {
  if (wrap)
    a &= 31, b &= 31;
  return a > 31 ? 0 : lowBits<uint32_t>(b) << a;
}
/// szext.{clamp,wrap}: a's lowest b bits, extended with zeros or with their sign.
constexpr uint32_t szext(uint32_t a, uint32_t b, bool wrap, bool isSigned) {
  if (wrap)
    b &= 31;
  if (b > 31)
    return a;
  uint32_t kept = lowBits<uint32_t>(b);
  bool sign = isSigned && b != 0 && (a >> (b - 1)) & 1;
  return (a & kept) | (sign ? ~kept : 0);
}

//===-- Bytes -------------------------------------------------------------------------------===//

enum class Permute : uint8_t {
  Index,
  Forward4,
  Backward4,
  Replicate8,
  ClampLeft,
  ClampRight,
  Replicate16
}; // none, .f4e .b4e .rc8 .ecl .ecr .rc16

/// prmt: bytes of b:a, numbered from 0 at a's lowest. Without a mode each four bits of c choose
/// one, the highest of them to replicate its sign; with a mode the two lowest bits of c choose a
/// row.
constexpr uint32_t prmt(uint32_t a, uint32_t b, uint32_t c, Permute mode = Permute::Index) {
  uint32_t row = c & 3, chosen = c;
  switch (mode) {
  case Permute::Index:
    break;
  case Permute::Forward4:
    chosen = 0x3210 + row * 0x1111;
    break;
  case Permute::Backward4: // every byte modulo 8
    chosen = (0x5670 + row * 0x1111) & 0x7777;
    break;
  case Permute::Replicate8:
    chosen = row * 0x1111;
    break;
  case Permute::ClampLeft:
    chosen = row == 0 ? 0x3210 : row == 1 ? 0x3211 : row == 2 ? 0x3222 : 0x3333;
    break;
  case Permute::ClampRight:
    chosen = row == 0 ? 0x0000 : row == 1 ? 0x1110 : row == 2 ? 0x2210 : 0x3210;
    break;
  case Permute::Replicate16:
    chosen = row & 1 ? 0x3232 : 0x1010;
    break;
  }
  uint64_t bytes = uint64_t(b) << 32 | a;
  uint32_t d = 0;
  for (int i = 0; i != 4; ++i) {
    uint32_t select = chosen >> (4 * i);
    uint8_t byte = uint8_t(bytes >> (8 * (select & 7)));
    if (select & 8)
      byte = byte & 0x80 ? 0xff : 0;
    d |= uint32_t(byte) << (8 * i);
  }
  return d;
}

} // namespace pianola::ptx

#endif
