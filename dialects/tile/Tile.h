//===- Tile.h - What one tile of a stage does -------------------*- C++ -*-===//
#ifndef PIANOLA_DIALECTS_TILE_TILE_H
#define PIANOLA_DIALECTS_TILE_TILE_H

#include "dialects/encoding/Encoding.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/tile/TileDialect.h.inc"
#include "dialects/tile/TileEnums.h.inc"

namespace pianola::tile {
class PrologueOp;
class SectionOp;
class ExpertsOp;

/// Lanes that columns of buffers and rows of weight tiles are padded to.
constexpr int64_t kLanes = 16;
inline int64_t padToLanes(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }
} // namespace pianola::tile

#define GET_ATTRDEF_CLASSES
#include "dialects/tile/TileAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/tile/TileTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/tile/Tile.h.inc"

namespace pianola::tile {
/// The machine that `module` is compiled for; emits an error and returns null if it states none.
MachineAttr getMachine(mlir::Operation *module);

/// Whether a map fits the tile coordinates that `op` can see: those of its section's grid, or none
/// in a prologue.
mlir::LogicalResult verifyMap(mlir::Operation *op, mlir::AffineMapAttr map, llvm::StringRef name);

/// Value of an affine map with one result at the given coordinates; 0 for a null map.
int64_t evaluate(mlir::AffineMapAttr map, llvm::ArrayRef<int64_t> coordinates);
} // namespace pianola::tile

#endif
