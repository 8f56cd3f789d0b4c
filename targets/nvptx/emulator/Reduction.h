// Reduction.h - the operations of atom, red and cp.reduce.async.bulk on one element.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_REDUCTION_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_REDUCTION_H

#include "targets/nvptx/emulator/Types.h"

#include <string_view>

namespace pianola::ptx {

enum class Reduction : uint8_t { None, And, Or, Xor, Add, Inc, Dec, Min, Max, Exchange };

Reduction reductionNamed(std::string_view word);
/// Whether the ISA has the operation for the type.
bool reductionExists(Reduction reduction, Type type);

/// What replaces `old` when it meets `value`, both as their bits.
uint64_t reduced(Reduction reduction, Type type, bool ftz, uint64_t old, uint64_t value);

/// For bulk copies: reduction and type in one number, never 0.
constexpr uint16_t packReduction(Reduction reduction, Type type) {
  return uint16_t(uint16_t(reduction) << 8 | uint16_t(type));
}
/// Element by element.
void reduceBytes(uint16_t packed, uint8_t *target, const uint8_t *source, uint32_t bytes);

} // namespace pianola::ptx

#endif
