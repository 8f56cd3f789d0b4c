//===- Pipeline.h - From the transformer dialect to a proven schedule *- C++ -*-===//
#ifndef PIANOLA_LIB_DRIVER_PIPELINE_H
#define PIANOLA_LIB_DRIVER_PIPELINE_H

#include "dialects/tile/Tile.h"
#include "mlir/IR/BuiltinOps.h"

namespace pianola {

/// How far to go.
enum class Phase { Tile, Schedule };

/// Compiles an imported module for `machine`, one program for each number of slots.
mlir::LogicalResult runPipeline(mlir::ModuleOp module, tile::MachineAttr machine,
                                llvm::ArrayRef<int64_t> slots, Phase until = Phase::Schedule);

} // namespace pianola

#endif
