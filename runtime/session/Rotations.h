// Rotations.h - tables of cosines and sines, one row for each position.
#ifndef PIANOLA_RUNTIME_SESSION_ROTATIONS_H
#define PIANOLA_RUNTIME_SESSION_ROTATIONS_H

#include "runtime/roll/Manifest.h"

namespace pianola {

/// Bytes of one position.
inline uint64_t rotationBytes(const RollRotation &rotation) {
  return 2 * rotation.invFreq.size() * sizeof(float);
}

/// Fills the rows of positions begin .. end-1; `table` is the row of position `begin`.
void fillRotation(const RollRotation &rotation, uint64_t begin, uint64_t end, float *table);

} // namespace pianola

#endif
