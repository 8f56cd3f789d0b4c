//===- KernelFunctions.h - Functions that all parts share -------*- C++ -*-===//
#ifndef PIANOLA_TARGETS_HOST_KERNELFUNCTIONS_H
#define PIANOLA_TARGETS_HOST_KERNELFUNCTIONS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "targets/host/Emitter.h"
#include <map>

namespace pianola::host {

/// The kernels of a module, by name, made when first called.
class KernelFunctions {
public:
  KernelFunctions(mlir::ModuleOp module, const HostCpu &cpu) : module(module), cpu(cpu) {}

  /// Calls the kernel. `write` writes its body, with the arguments as they are inside.
  void call(Emitter &emit, const std::string &name, mlir::ValueRange arguments,
            llvm::function_ref<void(Emitter &inside, mlir::ValueRange arguments)> write);

private:
  mlir::ModuleOp module;
  const HostCpu &cpu;
  std::map<std::string, mlir::func::FuncOp> functions;
};

} // namespace pianola::host

#endif
