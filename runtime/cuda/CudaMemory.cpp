// CudaMemory.cpp - memory of a GPU, and memory of the host that a GPU sees.
#include "runtime/cuda/CudaMemory.h"

#include <cstring>

namespace pianola::cuda {

DeviceMemory &DeviceMemory::operator=(DeviceMemory &&other) noexcept {
  std::swap(gpu, other.gpu);
  std::swap(begin, other.begin);
  std::swap(bytes, other.bytes);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (begin && gpu->enter().ok())
    gpu->driver.cuMemFree_v2(begin);
}

Status DeviceMemory::write(uint64_t at, const void *data, uint64_t count) const {
  if (count == 0)
    return Status();
  return gpu->check("cuMemcpyHtoD", gpu->driver.cuMemcpyHtoD_v2(begin + at, data, count));
}

Status DeviceMemory::read(uint64_t at, void *data, uint64_t count) const {
  return gpu->check("cuMemcpyDtoH", gpu->driver.cuMemcpyDtoH_v2(data, begin + at, count));
}

Status DeviceMemory::clear(uint64_t at, uint64_t count) const {
  if (count == 0)
    return Status();
  CUresult result = gpu->driver.cuMemsetD8Async(begin + at, 0, count, nullptr);
  if (result == CUDA_SUCCESS)
    result = gpu->driver.cuStreamSynchronize(nullptr);
  return gpu->check("cuMemsetD8", result);
}

HostMemory::~HostMemory() {
  if (memory && gpu->enter().ok())
    gpu->driver.cuMemFreeHost(memory);
}

Status HostMemory::allocate(const Gpu &on, uint64_t bytes) {
  gpu = &on;
  if (Status status =
          gpu->check("cuMemHostAlloc", gpu->driver.cuMemHostAlloc(&memory, bytes, HostDeviceMap));
      !status.ok())
    return status;
  std::memset(memory, 0, bytes);
  return gpu->check("cuMemHostGetDevicePointer",
                    gpu->driver.cuMemHostGetDevicePointer_v2(&onDevice, memory, 0));
}

Status MemoryPlan::allocate(const Gpu &gpu) const {
  size_t free = 0, total = 0;
  if (Status status = gpu.check("cuMemGetInfo", gpu.driver.cuMemGetInfo_v2(&free, &total));
      !status.ok())
    return status;
  uint64_t sum = 0;
  std::string list;
  for (const Need &need : needs) {
    sum += need.bytes;
    if (need.bytes)
      list +=
          (list.empty() ? "" : ", ") + std::string(need.what) + " " + std::to_string(need.bytes);
  }
  if (sum > free)
    return Status::error("not enough memory on " + gpu.name + ": " + std::to_string(sum) +
                         " bytes are needed (" + list + "), " + std::to_string(free) +
                         " are free, " + std::to_string(sum - free) + " are missing");
  for (const Need &need : needs) {
    if (need.bytes == 0)
      continue;
    DeviceMemory memory;
    memory.gpu = &gpu;
    if (CUresult result = gpu.driver.cuMemAlloc_v2(&memory.begin, need.bytes))
      return Status::error("no memory on " + gpu.name + " for " + need.what + ", " +
                           std::to_string(need.bytes) + " bytes: " + gpu.driver.describe(result));
    memory.bytes = need.bytes;
    *need.to = std::move(memory);
  }
  return Status();
}

} // namespace pianola::cuda
