// EmitPtx.cpp - PTX of a module that is given as text.
#include "tools/pianola-opt/EmitPtx.h"

#include "dialects/schedule/Schedule.h"
#include "targets/nvptx/PtxCode.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/Pass.h"

namespace pianola {

namespace {

class EmitPtx : public mlir::PassWrapper<EmitPtx, mlir::OperationPass<mlir::ModuleOp>> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(EmitPtx)

  EmitPtx() = default;
  EmitPtx(const EmitPtx &other) : PassWrapper(other) {}
  llvm::StringRef getArgument() const override { return "emit-ptx"; }
  llvm::StringRef getDescription() const override {
    return "Print the PTX of a scheduled module on standard output";
  }

private:
  void getDependentDialects(mlir::DialectRegistry &registry) const override {
    registry.insert<mlir::arith::ArithDialect, mlir::func::FuncDialect, mlir::LLVM::LLVMDialect,
                    mlir::NVVM::NVVMDialect, mlir::scf::SCFDialect>();
  }

  void runOnOperation() override {
    mlir::ModuleOp module = getOperation();
    const DeviceRow *row = findDevice(device.getValue());
    if (!row) {
      module.emitError("there is no device \"") << device << "\"";
      return signalPassFailure();
    }
    // What is wrong with an operation is said there; the summary is for those who hear nothing.
    bool heard = false;
    llvm::Expected<PtxCode> code = [&] {
      mlir::ScopedDiagnosticHandler handler(&getContext(), [&](mlir::Diagnostic &) {
        heard = true;
        return mlir::failure(); // others hear it, too
      });
      return compilePtx(module, *row);
    }();
    if (code) {
      llvm::outs() << code->text;
      return;
    }
    std::string message = llvm::toString(code.takeError());
    if (!heard)
      module.emitError(message);
    signalPassFailure();
  }

  Option<std::string> device{*this, "device", llvm::cl::desc("a name of the device table"),
                             llvm::cl::init("h200")};
};

} // namespace

void registerEmitPtx() { mlir::PassRegistration<EmitPtx>(); }

} // namespace pianola
