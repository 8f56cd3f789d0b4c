//===- HostCode.h - From stages to machine code -----------------*- C++ -*-===//
//
// Each part of a stage (its prologue, each of its sections) becomes a function that the runtime
// calls with a PianolaHostCall (pianola/roll.h). All functions of a module make one image: machine
// code and its constants, position-independent, without relocations and without calls to anything
// outside, to be mapped and entered.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_HOST_HOSTCODE_H
#define PIANOLA_TARGETS_HOST_HOSTCODE_H

#include "mlir/IR/BuiltinOps.h"
#include "targets/host/HostCpu.h"
#include "llvm/Support/raw_ostream.h"

namespace pianola {

struct HostImage {
  struct Part {
    std::string name; // "<stage>.prologue", "<stage>.0", "<stage>.1", ...
    uint64_t entry;   // byte of the code
  };
  std::vector<uint8_t> code;
  std::vector<Part> parts;
  uint64_t scratch = 0; // bytes that a worker needs, at most
  /// What the code needs of the CPU: all that it was compiled for, but for tiles that it does not
  /// use.
  std::vector<std::string> features;
};

/// Compiles every tile.stage of the module. Errors: scratch that the machine does not have, and
/// code that would not stand by itself (a bug, named by symbol).
llvm::Expected<HostImage> compileHost(mlir::ModuleOp module, const HostCpu &cpu);

/// The same code as text: optimised LLVM IR, or assembly.
llvm::Error emitHostLlvm(mlir::ModuleOp module, const HostCpu &cpu, llvm::raw_ostream &out);
llvm::Error emitHostAssembly(mlir::ModuleOp module, const HostCpu &cpu, llvm::raw_ostream &out);

namespace host {

/// Functions in the LLVM dialect for all stages, and how much scratch they need.
struct LoweredStages {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  uint64_t scratch = 0;
};
llvm::Expected<LoweredStages> lowerStages(mlir::ModuleOp module, const HostCpu &cpu);

/// Lays the sections of an ELF object out as one image and resolves its relocations.
llvm::Expected<HostImage> makeImage(llvm::StringRef object, llvm::ArrayRef<std::string> parts);

} // namespace host
} // namespace pianola

#endif
