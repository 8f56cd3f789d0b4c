// LoadedRoll.h - what sessions of a roll share on a GPU: the weights and the kernels.
#ifndef PIANOLA_RUNTIME_CUDA_LOADEDROLL_H
#define PIANOLA_RUNTIME_CUDA_LOADEDROLL_H

#include "runtime/cuda/CudaMemory.h"
#include "runtime/roll/Roll.h"

namespace pianola::cuda {

class LoadedRoll {
public:
  /// The one for this roll and driver, or a new one, on which nothing is loaded yet. The first
  /// session plans it together with its own memory, and then loads it.
  static Result<std::shared_ptr<LoadedRoll>> open(const Roll &roll, const std::string &driver);
  ~LoadedRoll();

  void plan(MemoryPlan &plan);
  Status load();

  struct Kernels {
    CUfunction persistent = nullptr;
    std::vector<CUfunction> stages;
  };
  const Kernels &kernels(size_t program) const { return functions[program]; }
  CUdeviceptr tape() const { return tapes.address(); }
  CUdeviceptr constants() const { return constant.address(); }
  CUdeviceptr table(size_t index) const { return tables[index]; }

  const Roll &roll;
  const std::unique_ptr<Gpu> gpu;

private:
  LoadedRoll(const Roll &roll, std::unique_ptr<Gpu> gpu) : roll(roll), gpu(std::move(gpu)) {}
  Status upload(PianolaSectionKind kind, const DeviceMemory &to);
  Status placeTables();
  Status findKernels();
  Result<CUfunction> findKernel(const RollKernel &kernel, const std::string &entry);

  bool isLoaded = false;
  CUmodule module = nullptr;
  DeviceMemory tapes, rows, constant, tiles;
  std::vector<CUdeviceptr> tables; // row 0, or the array of tiles' addresses
  std::vector<Kernels> functions;  // of each program
};

} // namespace pianola::cuda

#endif
