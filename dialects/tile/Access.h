//===- Access.h - Which bytes a tile touches --------------------*- C++ -*-===//
#ifndef PIANOLA_DIALECTS_TILE_ACCESS_H
#define PIANOLA_DIALECTS_TILE_ACCESS_H

#include "dialects/tile/Tile.h"

namespace pianola::tile {

/// In place of a stage's argument: the tokens of the slots, one column. `tile.gather` reads what
/// was chosen in the play before, `tile.sample` writes what the next play gathers.
constexpr unsigned kTokens = ~0u;

/// A rectangle of a stage argument (a buffer or a context) that one tile, or the prologue, touches.
/// For a context, `column` counts in units of a head's lanes: keys of head h stand at
/// `h * size`, values at `(heads + h) * size`; only the current slots count.
struct Access {
  unsigned argument;
  bool write;
  int64_t slot, slots;
  int64_t column, columns;
  /// Reads what plays before this one have left; `slots` is 0.
  bool past = false;
  /// Happens only if there are more than so many chosen experts, of at most `choices` (see
  /// tile.experts), and then to some of its bytes: who of these tiles writes which, the choice
  /// says.
  int64_t chosen = -1, choices = 0;
};

/// What the stage's prologue touches; empty without a prologue.
llvm::SmallVector<Access> getPrologueAccesses(StageOp stage);

/// What tile `tile` (counted in its section) touches.
llvm::SmallVector<Access> getTileAccesses(SectionOp section, int64_t tile);

} // namespace pianola::tile

#endif
