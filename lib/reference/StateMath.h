// StateMath.h - the arithmetic of layers that remember, on rows of f32.
#ifndef PIANOLA_LIB_REFERENCE_STATEMATH_H
#define PIANOLA_LIB_REFERENCE_STATEMATH_H

#include "lib/reference/RowMath.h"

namespace pianola::reference {

/// Rows from position `base` on of the convolution of `history`, which has those of positions 0, 1,
/// ...; see transformer.convolve.
Rows convolve(const Rows &history, const Rows &weight, int64_t base);

/// What transformer.delta reads, row by row.
struct DeltaInputs {
  Rows query, key, value, decay, strength;
  llvm::ArrayRef<float> rate, offset;
};

/// Changes `state`, of `keySize` x a value head for each head, and returns a row for each one read.
Rows delta(const DeltaInputs &inputs, int64_t keySize, llvm::MutableArrayRef<float> state);

} // namespace pianola::reference

#endif
