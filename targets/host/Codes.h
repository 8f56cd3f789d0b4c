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

/// Codes of floats become f32 by moving their bits: the exponent's become the last of an f32's
/// exponent, the mantissa's the first of its mantissa, and what that gives times a power of two is
/// the number. So numbers without a leading bit are such in f32 too, and exact.
float tinyTimes(encoding::Code code);
/// A code of floats, an i32 whose upper bits it is, as the number that it means.
Value floatOf(Emitter &emit, encoding::Code code, Value upper);
/// Four codes of e4m3 in each of 16 i32, as four vectors of f32 that are to be multiplied by
/// tinyTimes.
llvm::SmallVector<Value> tinyFloatsOf(Emitter &emit, Value fours);

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
