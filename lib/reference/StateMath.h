// StateMath.h - the arithmetic of layers that remember, on rows of f32.
#ifndef PIANOLA_LIB_REFERENCE_STATEMATH_H
#define PIANOLA_LIB_REFERENCE_STATEMATH_H

#include "lib/reference/RowMath.h"

namespace pianola::reference {

/// Rows from position `base` on of the convolution of `history`, which has those of positions 0, 1,
/// ...; see transformer.convolve.
Rows convolve(const Rows &history, const Rows &weight, int64_t base);

/// See transformer.delta. Changes `state`, of a key head x a value head for each value head, and
/// returns a row for each one of `value`.
Rows delta(const Rows &queryKey, const Rows &value, const Rows &gates, llvm::ArrayRef<float> rate,
           llvm::ArrayRef<float> offset, transformer::DeltaOp op,
           llvm::MutableArrayRef<float> state);

} // namespace pianola::reference

#endif
