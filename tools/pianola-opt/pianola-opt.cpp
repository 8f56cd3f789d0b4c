// pianola-opt.cpp - reads IR of any stage, runs the passes it is told to, prints IR.
#include "dialects/schedule/Schedule.h"
#include "dialects/tile/Tile.h"
#include "dialects/transformer/Transformer.h"
#include "passes/Passes.h"
#include "tools/pianola-opt/EmitPtx.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::arith::ArithDialect, mlir::func::FuncDialect,
                  pianola::schedule::ScheduleDialect, pianola::tile::TileDialect,
                  pianola::transformer::TransformerDialect>();
  pianola::registerPianolaPasses();
  pianola::registerEmitPtx();
  mlir::registerTransformsPasses();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Pianola's compiler, a pass at a time\n", registry));
}
