// Device memory, and what pointers point to.
#include "targets/nvptx/driver/State.h"

#include <algorithm>
#include <cstring>
#include <fstream>

namespace pianola::cuda {

namespace {

/// What this machine can still give, in bytes. An emulated device may have more memory than that.
uint64_t availableBytes() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  while (file >> word) {
    uint64_t kibibytes;
    if (word == "MemAvailable:" && file >> kibibytes)
      return kibibytes << 10;
  }
  return UINT64_MAX;
}

uint64_t usedBytes() {
  uint64_t used = 0;
  for (const auto &[handle, context] : library().contexts.objects())
    used += context->device.usedBytes();
  return used;
}

/// Variables of modules are memory of the device that nobody allocated.
bool isVariable(const Context &context, CUdeviceptr address) {
  for (const auto &[handle, module] : library().modules.objects())
    if (module->context == &context)
      for (auto [variable, begin] : module->module->addresses)
        if (begin == address)
          return true;
  return false;
}

template <typename T> CUresult answer(void *data, T value) {
  std::memcpy(data, &value, sizeof value);
  return CUDA_SUCCESS;
}

CUresult describe(Context &context, CUpointer_attribute attribute, CUdeviceptr address,
                  void *data) {
  uintptr_t hostBase = 0;
  const HostMemory *host = context.pinned(reinterpret_cast<void *>(address), &hostBase);
  // A registered memory's address on the device is another one.
  for (const auto &[base, memory] : context.hostMemory)
    if (!host && address - memory.address < memory.bytes)
      host = &memory, hostBase = base;
  auto extent = context.device.extent(host ? host->address : address);
  if (!extent)
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t offset = address - extent->first;
  if (host && address - hostBase < host->bytes)
    offset = address - hostBase;
  if (offset >= extent->second)
    return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
  case CU_POINTER_ATTRIBUTE_CONTEXT:
    return answer<CUcontext>(data, &context);
  case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    return answer<unsigned>(data, host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE);
  case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
    return answer<CUdeviceptr>(data, extent->first + offset);
  case CU_POINTER_ATTRIBUTE_HOST_POINTER:
    return host ? answer<uintptr_t>(data, hostBase + offset) : CUDA_ERROR_INVALID_VALUE;
  case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
  case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    return answer<uint8_t>(data, 0);
  case CU_POINTER_ATTRIBUTE_BUFFER_ID:
    return answer<unsigned long long>(data, extent->first >> 8);
  case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    return answer<int>(data, 0);
  case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    return answer<CUdeviceptr>(data, extent->first);
  case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
    return answer<size_t>(data, extent->second);
  case CU_POINTER_ATTRIBUTE_MAPPED:
    return answer<uint8_t>(data, 1);
  }
  return CUDA_ERROR_INVALID_VALUE;
}

} // namespace

extern "C" {

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (!address || !bytes)
    return CUDA_ERROR_INVALID_VALUE;
  const DeviceRow &row = call.context->device.row();
  if (bytes > row.memoryBytes - std::min(row.memoryBytes, usedBytes()))
    return CUDA_ERROR_OUT_OF_MEMORY;
  if (uint64_t available = availableBytes(); bytes > available) {
    complain("emulated " + std::string(row.name) + ": " + std::to_string(bytes) +
             " bytes are wanted, which the device would have, but this machine only has " +
             std::to_string(available));
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  auto allocated = call.context->device.allocate(bytes);
  if (!allocated)
    return CUDA_ERROR_OUT_OF_MEMORY;
  *address = *allocated;
  return CUDA_SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr address) {
  Call call(address ? Needs::HealthyContext : Needs::Context);
  if (call.wrong || !address)
    return call.wrong;
  auto extent = call.context->device.extent(address);
  bool isHosts = call.context->pinned(reinterpret_cast<void *>(address));
  if (!extent || extent->first != address || isHosts || isVariable(*call.context, address))
    return CUDA_ERROR_INVALID_VALUE;
  call.waitForAll();
  return call.context->device.release(address).ok() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
  Call call;
  if (call.wrong)
    return call.wrong;
  uint64_t all = call.context->device.row().memoryBytes;
  if (free)
    *free = all - std::min(all, usedBytes());
  if (total)
    *total = all;
  return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *size, CUdeviceptr address) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto extent = call.context->device.extent(address);
  if (!extent || address - extent->first >= extent->second)
    return CUDA_ERROR_NOT_FOUND;
  if (base)
    *base = extent->first;
  if (size)
    *size = extent->second;
  return CUDA_SUCCESS;
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr address) {
  Call call;
  if (call.wrong)
    return call.wrong;
  return data ? describe(*call.context, attribute, address, data) : CUDA_ERROR_INVALID_VALUE;
}

/// Unlike with one attribute, a pointer that is none of the driver's has no memory type, and is no
/// error.
CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes, void **data,
                                CUdeviceptr address) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (!count || !attributes || !data)
    return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; ++i) {
    if (!data[i])
      return CUDA_ERROR_INVALID_VALUE;
    if (describe(*call.context, attributes[i], address, data[i]) == CUDA_SUCCESS)
      continue;
    bool isWide = attributes[i] == CU_POINTER_ATTRIBUTE_CONTEXT ||
                  attributes[i] == CU_POINTER_ATTRIBUTE_DEVICE_POINTER ||
                  attributes[i] == CU_POINTER_ATTRIBUTE_HOST_POINTER ||
                  attributes[i] == CU_POINTER_ATTRIBUTE_BUFFER_ID ||
                  attributes[i] == CU_POINTER_ATTRIBUTE_RANGE_START_ADDR ||
                  attributes[i] == CU_POINTER_ATTRIBUTE_RANGE_SIZE;
    bool isNarrow = attributes[i] == CU_POINTER_ATTRIBUTE_SYNC_MEMOPS ||
                    attributes[i] == CU_POINTER_ATTRIBUTE_IS_MANAGED ||
                    attributes[i] == CU_POINTER_ATTRIBUTE_MAPPED;
    std::memset(data[i], 0, isWide ? 8 : isNarrow ? 1 : 4);
  }
  return CUDA_SUCCESS;
}

} // extern "C"

} // namespace pianola::cuda
