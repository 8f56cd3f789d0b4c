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
  bool past;               // reads what plays before this one have left
  int64_t chosen, choices; // of experts: see tile::Access
};

/// Extent of a buffer, a context or (a null value) the tokens, in slots and columns, and where its
/// bytes lie.
struct Extent {
  int64_t slots, columns, elementBytes;
  std::optional<int64_t> at; // in the arena
  const char *space = "the arena";

  static Extent of(mlir::Value value, int64_t slots);
  int64_t bytes() const { return slots * columns * elementBytes; }
  /// "bytes 128 to 191 of the arena", the first to the last byte of the touch.
  std::string describe(const Touch &touch) const;
};

/// The buffer or context that the step binds to what is accessed; null for the tokens.
mlir::Value getBound(StepOp step, const tile::Access &access);

/// Every touch of every buffer and context and (under a null value) of the tokens, writes and reads
/// in program order.
struct Footprint {
  llvm::MapVector<mlir::Value, std::vector<Touch>> touches;

  static Footprint of(ProgramOp program, int64_t workers);
};

} // namespace pianola::schedule

#endif
