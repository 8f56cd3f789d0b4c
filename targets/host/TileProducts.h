//===- TileProducts.h - Inner products through tiles of AMX -----*- C++ -*-===//
#ifndef PIANOLA_TARGETS_HOST_TILEPRODUCTS_H
#define PIANOLA_TARGETS_HOST_TILEPRODUCTS_H

#include "targets/host/Products.h"

namespace pianola::host {

/// Writes the kernel of a kind with `tiles`, which have TileShape::Full.
void emitTileKernel(Emitter &emit, const ProductKind &kind, const Products &of);

} // namespace pianola::host

#endif
