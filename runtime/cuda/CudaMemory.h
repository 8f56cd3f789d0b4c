// CudaMemory.h - memory of a GPU, and memory of the host that a GPU sees.
#ifndef PIANOLA_RUNTIME_CUDA_CUDAMEMORY_H
#define PIANOLA_RUNTIME_CUDA_CUDAMEMORY_H

#include "runtime/cuda/Gpu.h"

namespace pianola::cuda {

class DeviceMemory {
public:
  DeviceMemory() = default;
  DeviceMemory(DeviceMemory &&other) noexcept { *this = std::move(other); }
  DeviceMemory &operator=(DeviceMemory &&other) noexcept;
  ~DeviceMemory();

  CUdeviceptr address() const { return begin; }
  uint64_t size() const { return bytes; }
  Status write(uint64_t at, const void *data, uint64_t count) const;
  Status read(uint64_t at, void *data, uint64_t count) const;
  Status clear(uint64_t at, uint64_t count) const; // zeros; waits

private:
  friend class MemoryPlan;
  const Gpu *gpu = nullptr;
  CUdeviceptr begin = 0;
  uint64_t bytes = 0;
};

/// Pinned and zero.
class HostMemory {
public:
  HostMemory() = default;
  HostMemory(const HostMemory &) = delete;
  HostMemory &operator=(const HostMemory &) = delete;
  ~HostMemory();
  Status allocate(const Gpu &gpu, uint64_t bytes);

  void *data() const { return memory; }
  CUdeviceptr address() const { return onDevice; }

private:
  const Gpu *gpu = nullptr;
  void *memory = nullptr;
  CUdeviceptr onDevice = 0;
};

/// All the memory that somebody needs, added up before any is taken.
class MemoryPlan {
public:
  /// No bytes: no memory, address 0. `what` is for the message.
  void add(const char *what, uint64_t bytes, DeviceMemory &to) {
    needs.push_back({what, bytes, &to});
  }
  /// Takes it all, or says how much is missing, having taken nothing.
  Status allocate(const Gpu &gpu) const;

private:
  struct Need {
    const char *what;
    uint64_t bytes;
    DeviceMemory *to;
  };
  std::vector<Need> needs;
};

} // namespace pianola::cuda

#endif
