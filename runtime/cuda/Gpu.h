// Gpu.h - one GPU, opened: the driver, a context of its own, and what the device is.
#ifndef PIANOLA_RUNTIME_CUDA_GPU_H
#define PIANOLA_RUNTIME_CUDA_GPU_H

#include "runtime/cuda/Driver.h"
#include "runtime/roll/Manifest.h"

#include <memory>

namespace pianola::cuda {

class Gpu {
public:
  /// The first GPU that `driver` (see openDriver) has. Refuses one that cannot play a roll for
  /// `target`: another capability, or fewer SMs than workers.
  static Result<std::unique_ptr<Gpu>> open(const std::string &driver, const RollTarget &target);
  ~Gpu();
  Gpu(const Gpu &) = delete;
  Gpu &operator=(const Gpu &) = delete;

  /// Every thread must, before it calls the driver.
  Status enter() const;
  Status check(const char *call, CUresult result) const {
    return result == CUDA_SUCCESS ? Status() : driver.failure(call, result);
  }

  const Driver &driver;
  std::string name;
  int capability = 0; // 90
  int sms = 0, sharedPerBlock = 0, driverVersion = 0;

private:
  explicit Gpu(const Driver &driver) : driver(driver) {}
  Status describe(CUdevice device);
  Status suits(const RollTarget &target) const;

  CUcontext context = nullptr;
};

} // namespace pianola::cuda

#endif
