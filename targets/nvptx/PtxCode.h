//===- PtxCode.h - From programs to PTX -------------------------*- C++ -*-===//
//
// Every program becomes one persistent kernel, and one kernel for each of its stages, all in one
// PTX module. include/pianola/cuda.h says what they are launched with, docs/gpu.md how they work.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_NVPTX_PTXCODE_H
#define PIANOLA_TARGETS_NVPTX_PTXCODE_H

#include "mlir/IR/BuiltinOps.h"
#include "targets/nvptx/Devices.h"
#include "targets/nvptx/Kernel.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace pianola {

struct PtxProgram {
  struct Stage {
    std::string name;  // of the tile.stage
    std::string entry; // its own kernel
  };
  std::string name;  // of the schedule.program
  std::string entry; // the persistent kernel
  int64_t threads, shared, chunk, slots;
  std::vector<Stage> stages; // numbered as cards do
};

struct PtxCode {
  std::string text;
  std::string chip; // the least that it asks for: sm_80 or sm_90
  std::vector<PtxProgram> programs;
};

/// An error: what a program's stages need of a block's memory leaves no room for a ring.
class NoRoomForRing : public llvm::ErrorInfo<NoRoomForRing, llvm::StringError> {
public:
  NoRoomForRing(int64_t slots, const llvm::Twine &message)
      : ErrorInfo(message, llvm::inconvertibleErrorCode()), slots(slots) {}
  int64_t slots; // of the program
  static char ID;
};

/// Compiles all programs of a module that has gone through the pipeline. Errors: what the target
/// cannot lower, and NoRoomForRing.
llvm::Expected<PtxCode> compilePtx(mlir::ModuleOp module, const DeviceRow &device);

/// The same code as optimised LLVM IR.
llvm::Error emitPtxLlvm(mlir::ModuleOp module, const DeviceRow &device, llvm::raw_ostream &out);

namespace nvptx {

/// What the kernels of a device look like.
KernelShape shapeFor(const DeviceRow &device);

/// Functions of the LLVM dialect for all kernels.
struct LoweredPrograms {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::vector<PtxProgram> programs;
};
llvm::Expected<LoweredPrograms> lowerPrograms(mlir::ModuleOp module, const KernelShape &shape);

} // namespace nvptx
} // namespace pianola

#endif
