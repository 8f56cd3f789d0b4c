//===- CheckTapes.h - Prove that tapes are consumed as they come *- C++ -*-===//
#ifndef PIANOLA_DIALECTS_SCHEDULE_CHECKTAPES_H
#define PIANOLA_DIALECTS_SCHEDULE_CHECKTAPES_H

#include "dialects/schedule/Schedule.h"

namespace pianola::schedule {

/// Refuses two programs that take different bytes from the tapes.
mlir::LogicalResult compareTapes(ProgramOp a, ProgramOp b, int64_t workers);

/// On a machine with a ring: refuses a program in which a worker and the loader that fills its ring
/// might wait for each other. The loader fills slot after slot with the tape and waits for nothing
/// but the oldest slot; so it is enough that the worker takes bytes in the order of the tape and
/// never needs two slots at a time.
mlir::LogicalResult checkRing(ProgramOp program, tile::MachineAttr machine);

} // namespace pianola::schedule

#endif
