//===- Pipeline.h - From the transformer dialect to a proven schedule *- C++ -*-===//
#ifndef PIANOLA_LIB_DRIVER_PIPELINE_H
#define PIANOLA_LIB_DRIVER_PIPELINE_H

#include "dialects/tile/Tile.h"
#include "mlir/IR/BuiltinOps.h"

namespace pianola {

/// How far to go.
enum class Phase { Tile, Schedule };

/// Whether the schedule is proven before it leaves. Not to be proven is for tests and for looking
/// at what was refused.
enum class Proof { Wanted, Skipped };

/// Compiles an imported module for `machine`, one program for each number of slots.
mlir::LogicalResult runPipeline(mlir::ModuleOp module, tile::MachineAttr machine,
                                llvm::ArrayRef<int64_t> slots, Phase until = Phase::Schedule,
                                Proof proof = Proof::Wanted);

} // namespace pianola

#endif
