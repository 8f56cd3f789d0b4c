//===- TapeOrder.h - The bytes of one worker's tape, in order ---*- C++ -*-===//
#ifndef PIANOLA_DIALECTS_SCHEDULE_TAPEORDER_H
#define PIANOLA_DIALECTS_SCHEDULE_TAPEORDER_H

#include "dialects/schedule/Schedule.h"

namespace pianola::schedule {

/// One piece of a worker's tape: a tile of a matrix or per-tile vector, or a resident vector.
struct TapeUse {
  mlir::SymbolRefAttr weight;
  mlir::Type type;
  int64_t tile; // of the section; -1 for a resident vector
  int64_t step;
  int64_t offset, bytes;

  bool isSamePiece(const TapeUse &other) const {
    return weight == other.weight && type == other.type && tile == other.tile &&
           offset == other.offset;
  }
};

/// All pieces of the worker's tape, end to end.
std::vector<TapeUse> getTape(ProgramOp program, int64_t worker);

/// Bytes of a tape.
inline int64_t getTapeBytes(const std::vector<TapeUse> &tape) {
  return tape.empty() ? 0 : tape.back().offset + tape.back().bytes;
}

/// Bytes of a worker's ring in this program, in whole slots: what its scratch memory leaves of the
/// machine's. Scratch memory holds the greatest results of a prologue, 4 bytes a number, and what
/// stages need besides.
int64_t getRingBytes(ProgramOp program, tile::MachineAttr machine);

} // namespace pianola::schedule

#endif
