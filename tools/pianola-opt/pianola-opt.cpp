// pianola-opt.cpp - reads IR, runs the passes it is told to, prints IR.
#include "dialects/transformer/Transformer.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registry.insert<mlir::arith::ArithDialect, mlir::func::FuncDialect,
                  pianola::transformer::TransformerDialect>();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "Pianola's compiler, a pass at a time\n", registry));
}
