// Layout.h - how a value of the model lies in memory once it is tiled.
//
// A row of N numbers is either plain, padded at its end, or heads one after the other, each padded:
// a tile that rotates or normalises a head, or attends with it, needs all of it and nothing else.
// What a slot's experts make of it is laid out like heads, one for each.
#ifndef PIANOLA_DIALECTS_TRANSFORMER_LAYOUT_H
#define PIANOLA_DIALECTS_TRANSFORMER_LAYOUT_H

#include "dialects/transformer/Transformer.h"

namespace pianola::transformer {

struct Layout {
  bool byHead = false;
  int64_t blocks = 1; // heads, or 1
  int64_t size = 0;   // numbers in a block
  int64_t pad = 0;    // columns of a block: a multiple of 16 for heads, of 32 for plain rows

  int64_t columns() const { return blocks * pad; }

  static Layout plain(int64_t size) { return {false, 1, size, (size + 31) / 32 * 32}; }
  static Layout heads(int64_t count, int64_t size) {
    return {true, count, size, (size + 15) / 16 * 16};
  }
};

/// Layout of a value inside of or between stages: heads if the ops that make it or read it treat it
/// so.
Layout layoutOf(mlir::Value value);

/// Padded rows of a tile: a head, or 32 rows, or 16 if 32 would leave much of the workers idle.
int64_t tileRows(Layout layout, int64_t workers);
/// The same where tiles need not be heads: `least` rows or twice as many, which cost less a row, if
/// the worker with the most of them has hardly more to do.
int64_t fineTileRows(Layout layout, int64_t workers, int64_t least);

/// Into how many parts attention splits the context so that all workers have tiles.
int64_t contextSplits(int64_t heads, int64_t slots, int64_t slotBlock, int64_t workers);
/// The same where each worker should have one tile, and `heads` workers append.
int64_t fineContextSplits(int64_t heads, int64_t slots, int64_t slotBlock, int64_t workers);

} // namespace pianola::transformer

#endif
