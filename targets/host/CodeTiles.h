//===- CodeTiles.h - Inner products of codes through tiles of AMX *- C++ -*-===//
#ifndef PIANOLA_TARGETS_HOST_CODETILES_H
#define PIANOLA_TARGETS_HOST_CODETILES_H

#include "targets/host/CodeProducts.h"
#include "targets/host/TileRegisters.h"

namespace pianola::host {

/// Writes the kernel of a kind with `tiles`, which have the shape for its runs.
void emitCodeTileKernel(Emitter &emit, const CodeKind &kind, const CodeProducts &of);

inline TileShape tileShapeFor(int64_t run) { return run == 64 ? TileShape::Full : TileShape::Half; }

} // namespace pianola::host

#endif
