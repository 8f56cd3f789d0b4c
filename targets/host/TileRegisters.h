//===- TileRegisters.h - The eight tiles of AMX -----------------*- C++ -*-===//
//
// Four tiles hold sums, of which each is 16 slots of 16 rows; two hold weights, and two
// activations.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_HOST_TILEREGISTERS_H
#define PIANOLA_TARGETS_HOST_TILEREGISTERS_H

#include "targets/host/Emitter.h"

namespace pianola::host {

/// Rows of a tile of sums or of activations.
constexpr int64_t kTileSide = 16;

/// Which register is what. Sums are of two blocks of slots, or of two parts of activations.
inline int64_t sumsOf(int64_t block, int64_t rows) { return block * 2 + rows; }
inline int64_t weightsOf(int64_t rows) { return 4 + rows; }
inline int64_t activationsOf(int64_t block) { return 6 + block; }

/// How much of the depth a multiply takes: rows of activations of 64 bytes and 16 steps of weights,
/// or half of either.
enum class TileShape { Full, Half };
inline int64_t tileRowBytes(TileShape shape) { return shape == TileShape::Full ? 64 : 32; }

/// Where the module has the configuration of a shape; for the beginning of a function.
Value findConfiguration(Emitter &emit, TileShape shape);
/// Tiles have a shape from the first to the second, or until they get another one.
void configureTiles(Emitter &emit, Value configuration);
void releaseTiles(Emitter &emit);

void zeroTile(Emitter &emit, int64_t tile);
void loadTile(Emitter &emit, int64_t tile, Value from, Value stride);
/// The same of what passes by: a second cache will do for it.
void passTile(Emitter &emit, int64_t tile, Value from, Value stride);
void storeTile(Emitter &emit, int64_t tile, Value to, Value stride);
/// `name` is the instruction: sums += activations * weights.
void multiplyTiles(Emitter &emit, llvm::StringRef name, int64_t sums, int64_t activations,
                   int64_t weights);

} // namespace pianola::host

#endif
