//===- Codes.h - Codes and scales of the tape in registers ------*- C++ -*-===//
#ifndef PIANOLA_TARGETS_HOST_CODES_H
#define PIANOLA_TARGETS_HOST_CODES_H

#include "dialects/encoding/Encoding.h"
#include "targets/host/Emitter.h"

namespace pianola::host {

/// A scale of the tape as f32.
Value loadScale(Emitter &emit, encoding::Scale type, Value pointer);
/// 16 scales of the tape as f32.
Value loadScales(Emitter &emit, encoding::Scale type, Value pointer);

/// Codes of floats as the f32 that they mean: of i32, or of 16 lanes of i32, whose upper bits are
/// the code's and whose others may be anything.
Value floatOf(Emitter &emit, encoding::Code code, Value upper);

/// Whether products take the code as an unsigned integer: e2m1 is that as well, being halves.
inline bool isCounted(encoding::ScaledType type) {
  return type.getCode() != encoding::Code::F8E4M3;
}
/// What is zero among the unsigned integers of a code, where there are no zero points.
int64_t middleOf(encoding::Code code);
/// Bytes whose lower halves are codes of e2m1 become unsigned integers: twice the number and 12.
Value countHalves(Emitter &emit, Value codes);

} // namespace pianola::host

#endif
