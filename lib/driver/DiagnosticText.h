//===- DiagnosticText.h - Diagnostics as an error ---------------*- C++ -*-===//
#ifndef PIANOLA_LIB_DRIVER_DIAGNOSTICTEXT_H
#define PIANOLA_LIB_DRIVER_DIAGNOSTICTEXT_H

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Error.h"

namespace pianola {

/// What MLIR says while it fails becomes the error.
class DiagnosticText {
public:
  explicit DiagnosticText(mlir::MLIRContext &context)
      : handler(&context, [this](mlir::Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
            llvm::raw_string_ostream(text)
                << (text.empty() ? "" : "\n") << diagnostic.getLocation() << ": " << diagnostic;
          return mlir::success();
        }) {}

  llvm::Error take(const llvm::Twine &doing) {
    return llvm::createStringError(text.empty() ? doing : doing + ": " + text);
  }

private:
  std::string text;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace pianola

#endif
