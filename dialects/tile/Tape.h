//===- Tape.h - In which order a stage consumes its weights -----*- C++ -*-===//
//
// The part of a worker's tape that belongs to one step is: every resident vector in argument order;
// then, for each tile that the worker computes, in its order, the matrices and per-tile vectors of
// the tile's section in the order of the ops that first consume them. Every piece is a multiple of
// 64 bytes, so every piece starts on a cache line.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_DIALECTS_TILE_TAPE_H
#define PIANOLA_DIALECTS_TILE_TAPE_H

#include "dialects/tile/Tile.h"

namespace pianola::tile {

/// A stage argument (a matrix or vector) and the byte at which it starts in its tile's part of the
/// tape, or in the resident part.
struct TapePiece {
  unsigned argument;
  int64_t offset;
  int64_t bytes;
};

/// The resident vectors of a stage.
llvm::SmallVector<TapePiece> getResidentPieces(StageOp stage);
/// What one tile of the section consumes.
llvm::SmallVector<TapePiece> getTilePieces(SectionOp section);
/// Bytes of pieces laid end to end.
int64_t getTapeBytes(llvm::ArrayRef<TapePiece> pieces);

/// Whether panels are the first operand of products with so many slots, 16 or twice 8 rows of them;
/// otherwise 8 rows are the second. See docs/gpu.md.
constexpr int64_t kMostSlotsBehindWeights = 4;
inline bool areWeightsFirst(int64_t rows, int64_t slots) {
  return slots <= std::min<int64_t>(rows / 4, kMostSlotsBehindWeights);
}

/// What registers take of a section's first tiles before the step's events have happened: so many
/// panels of a warp.
struct EarlyPanels {
  int64_t tiles = 0;
  llvm::SmallVector<int64_t, 2> panels; // of each matrix of a tile
};
/// For each section, with `room` registers of each lane: as many tiles as a worker has, or as fit;
/// of the first section at least part of one. At most `most` of a section.
llvm::SmallVector<EarlyPanels> planEarly(StageOp stage, int64_t workers, int64_t warps,
                                         int64_t room, llvm::function_ref<int64_t(SectionOp)> most);

} // namespace pianola::tile

#endif
