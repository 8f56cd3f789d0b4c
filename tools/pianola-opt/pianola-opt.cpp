//===- pianola-opt.cpp - Run any pass on any stage's text -----------------===//

#include "dialects/schedule/Schedule.h"
#include "dialects/tile/Tile.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<pianola::schedule::ScheduleDialect, pianola::tile::TileDialect,
                  mlir::func::FuncDialect>();
  mlir::registerTransformsPasses();
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Pianola optimiser\n", registry));
}
