//===- Footprint.h - What a program's tiles touch, buffer by buffer *- C++ -*-===//
#ifndef PIANOLA_DIALECTS_SCHEDULE_FOOTPRINT_H
#define PIANOLA_DIALECTS_SCHEDULE_FOOTPRINT_H

#include "dialects/schedule/Schedule.h"
#include "dialects/tile/Access.h"
#include "llvm/ADT/MapVector.h"

namespace pianola::schedule {

/// One access of one tile, or of a prologue (tile -1), on one worker. Slots and columns are
/// half-open ranges of the buffer or context; see tile::Access for a context's columns.
struct Touch {
  int64_t step, worker, tile;
  bool write;
  int64_t slot, slotEnd;
  int64_t column, columnEnd;
};

/// Extent of a buffer or context in slots and columns, and where its bytes lie.
struct Extent {
  int64_t slots, columns, elementBytes;
  std::optional<int64_t> at; // in the arena; none for a context

  static Extent of(mlir::Value value, int64_t slots);
  int64_t bytes() const { return slots * columns * elementBytes; }
  /// "bytes 128 to 191 of the arena", the first to the last byte of the touch.
  std::string describe(const Touch &touch) const;
};

/// Every touch of every buffer and context, writes and reads in program order.
struct Footprint {
  llvm::MapVector<mlir::Value, std::vector<Touch>> touches;

  static Footprint of(ProgramOp program, int64_t workers);
};

} // namespace pianola::schedule

#endif
