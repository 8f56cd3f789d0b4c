// Conversion.h - the modifiers of a cvt, and the kinds of conversions that share its name.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_CONVERSION_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_FAMILIES_CONVERSION_H

#include "targets/nvptx/emulator/families/Arithmetic.h"

namespace pianola::ptx {

struct Conversion {
  Type to = Type::None, from = Type::None;
  bool rounds = false;   ///< .rn .rz .rm .rp .rna
  bool integral = false; ///< .rni .rzi .rmi .rpi
  bool relu = false, satfinite = false;
  FloatMode mode;
};

/// Each defines the result, uses the operands and sets the handler.
/// Convert.cpp:
bool decodeBetweenIntegers(Decoder &decoder, const Conversion &conversion);
/// ConvertFloats.cpp: f16, bf16, f32, f64 with each other.
bool decodeBetweenFloats(Decoder &decoder, const Conversion &conversion);
/// ConvertPacked.cpp: pairs, formats of 8 bits, tf32.
bool decodePackedFloats(Decoder &decoder, const Conversion &conversion);
bool decodePackedIntegers(Decoder &decoder);
/// ConvertMixed.cpp:
bool decodeFloatToInteger(Decoder &decoder, const Conversion &conversion);
bool decodeIntegerToFloat(Decoder &decoder, const Conversion &conversion);

/// Integers may lie in registers that are wider than their type. op.target keeps the registers'
/// sizes.
bool defineInteger(Decoder &decoder, Type type);
bool useInteger(Decoder &decoder, Type type);
inline uint32_t resultBytes(const Op &op) { return op.target & 0xff; }
inline uint32_t sourceBytes(const Op &op) { return op.target >> 8; }

/// The lowest bits of a register that are a type's, extended by its sign.
inline uint64_t extended(uint64_t bits, Type type) {
  uint32_t above = 64 - 8 * sizeOf(type);
  return isSigned(type) ? uint64_t(int64_t(bits << above) >> above) : bits << above >> above;
}
/// The slow way, for rare sizes: all integers as 64 bits.
uint64_t integerOf(const Warp &warp, const Op &op, Type type, uint32_t lane);
void setInteger(Warp &warp, const Op &op, Type type, uint32_t lane, uint64_t value);

inline bool isInteger(Type type) { return type >= Type::U8 && type <= Type::S64; }

} // namespace pianola::ptx

#endif
