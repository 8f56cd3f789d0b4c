//===- PackTile.h - From rows of a checkpoint to bytes of a tape *- C++ -*-===//
#ifndef PIANOLA_LIB_ENCODE_PACKTILE_H
#define PIANOLA_LIB_ENCODE_PACKTILE_H

#include "dialects/schedule/TapeOrder.h"
#include "lib/checkpoint/WeightSource.h"

namespace pianola {

/// Writes one piece of a tape, as `!tile.matrix` and `!tile.vector` say, to `out` (the piece's
/// bytes). The tensor is the checkpoint's: [rows, columns] for a matrix, [elements] for a vector.
llvm::Error packPiece(const schedule::TapeUse &use, const WeightSource &source,
                      const TensorInfo &tensor, llvm::MutableArrayRef<uint8_t> out);

/// Writes rows `first .. first + count - 1` of a row-major table to `out`, each padded with zeros.
llvm::Error packTableRows(tile::TableType table, int64_t first, int64_t count,
                          const WeightSource &source, const TensorInfo &tensor,
                          llvm::MutableArrayRef<uint8_t> out);

} // namespace pianola

#endif
