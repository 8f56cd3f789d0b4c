//===- TileProducts.h - Inner products through tiles of AMX -----*- C++ -*-===//
#ifndef PIANOLA_TARGETS_HOST_TILEPRODUCTS_H
#define PIANOLA_TARGETS_HOST_TILEPRODUCTS_H

#include "targets/host/Products.h"

namespace pianola::host {

/// Writes the kernel of a kind with `tiles`.
void emitTileKernel(Emitter &emit, const ProductKind &kind, const Products &of);

/// Tiles have their shapes from the first to the second; in between all kernels with `tiles` may be
/// called.
void configureTiles(Emitter &emit);
void releaseTiles(Emitter &emit);

} // namespace pianola::host

#endif
