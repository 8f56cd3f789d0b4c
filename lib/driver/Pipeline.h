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

struct ProgramOptions {
  llvm::SmallVector<int64_t> slots; // a program for each
  int64_t narrowFrom = 0;           // see TileStages, as for what follows
  bool hiddenStates = false;
};

/// Compiles an imported module for `machine`.
mlir::LogicalResult runPipeline(mlir::ModuleOp module, tile::MachineAttr machine,
                                const ProgramOptions &programs, Phase until = Phase::Schedule,
                                Proof proof = Proof::Wanted);

} // namespace pianola

#endif
