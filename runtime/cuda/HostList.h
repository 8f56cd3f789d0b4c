// HostList.h - what a running kernel and the host tell each other: tokens, a wish to end, and the
// watchdog's report.
#ifndef PIANOLA_RUNTIME_CUDA_HOSTLIST_H
#define PIANOLA_RUNTIME_CUDA_HOSTLIST_H

#include "pianola/cuda.h"
#include "runtime/cuda/CudaMemory.h"

#include <optional>

namespace pianola::cuda {

/// One entry of the list.
struct ChosenToken {
  int32_t token;
  PianolaCudaEnd end;
};

class HostList {
public:
  /// With room for `tokens`.
  Status allocate(const Gpu &gpu, uint64_t tokens);
  CUdeviceptr address() const { return memory.address(); }

  /// Before a launch that chooses `tokens` at most.
  void clear(uint64_t tokens);
  /// From any thread, any time after allocate().
  void cancel() const;

  /// Nothing as long as the kernel has not written it.
  std::optional<ChosenToken> token(uint64_t index) const;
  /// Waits for it; nothing if all that the stream was given ends without it.
  std::optional<ChosenToken> wait(uint64_t index, CUstream stream) const;

  /// What the watchdog said, as a message; empty: nothing.
  std::string report(const RollProgram &program, double watchdogSeconds) const;

private:
  PianolaCudaHost *host() const { return static_cast<PianolaCudaHost *>(memory.data()); }

  const Gpu *gpu = nullptr;
  HostMemory memory;
};

} // namespace pianola::cuda

#endif
