// The one device, chosen by the environment, and what it is.
#include "targets/nvptx/driver/State.h"

#include "targets/nvptx/emulator/DeviceState.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace pianola::cuda {

namespace {

constexpr int version = 13000;
constexpr int busWidth = 4096; ///< bits; the memory clock follows from it and the bandwidth

const char *environment(const char *name, const char *otherwise) {
  const char *value = getenv(name);
  return value && *value ? value : otherwise;
}

CUresult readSettings(Settings &settings) {
  Settings fresh;
  const char *name = environment("PIANOLA_EMULATED_DEVICE", "h200");
  fresh.row = findDevice(name);
  if (!fresh.row) {
    std::string known;
    for (const DeviceRow &row : devices())
      known += (known.empty() ? "" : ", ") + std::string(row.name);
    complain("PIANOLA_EMULATED_DEVICE: '" + std::string(name) + "' is not known; there are " +
             known);
    return CUDA_ERROR_NO_DEVICE;
  }
  fresh.seed = strtoull(environment("PIANOLA_EMULATOR_SEED", "0"), nullptr, 0);
  fresh.patience = strtod(environment("PIANOLA_EMULATOR_PATIENCE", "10"), nullptr);
  auto choose = [](const char *variable, const char *usual, const char *other, bool &isOther) {
    const char *value = environment(variable, usual);
    isOther = !strcmp(value, other);
    if (isOther || !strcmp(value, usual))
      return true;
    complain(std::string(variable) + ": '" + value + "' is neither '" + usual + "' nor '" + other +
             "'");
    return false;
  };
  bool unchecked = false;
  if (!choose("PIANOLA_EMULATOR_CHECKS", "all", "none", unchecked) ||
      !choose("PIANOLA_EMULATOR_FINDINGS", "fail", "report", fresh.reportOnly))
    return CUDA_ERROR_INVALID_VALUE;
  if (unchecked)
    fresh.checks = ptx::Checks::none();
  settings = fresh;
  return CUDA_SUCCESS;
}

int attributeOf(const DeviceRow &row, CUdevice_attribute attribute, bool &isKnown) {
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y:
    return 1024;
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z:
    return 64;
  case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X:
  case CU_DEVICE_ATTRIBUTE_MAX_PITCH:
    return INT32_MAX;
  case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
  case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z:
    return 65535;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK:
    return 48 << 10;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN:
    return int(row.sharedPerBlock);
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR:
    return int(row.sharedPerSm);
  case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK:
    return int(ptx::reservedShared);
  case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY:
    return 64 << 10;
  case CU_DEVICE_ATTRIBUTE_WARP_SIZE:
    return int(ptx::warpSize);
  case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
  case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR:
    return 64 << 10;
  case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: // in kHz, as is the memory's
    return int(row.clock / 1e3);
  case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: // two transfers a clock
    return int(row.bandwidth * 8 / busWidth / 2 / 1e3 + 0.5);
  case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH:
    return busWidth;
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    return int(row.sms);
  case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE:
    return int(row.l2Bytes);
  case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR:
    return int(row.threadsPerSm);
  case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR:
    return int(row.blocksPerSm);
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
    return int(row.capability / 10);
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
    return int(row.capability % 10);
  case CU_DEVICE_ATTRIBUTE_PCI_BUS_ID:
  case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT:
  case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
  case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS:
  case CU_DEVICE_ATTRIBUTE_GPU_OVERLAP:
  case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
  case CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_GLOBAL_L1_CACHE_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_LOCAL_L1_CACHE_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH:
  case CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED:
    return 1;
  // What is not emulated is not there.
  case CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT:
  case CU_DEVICE_ATTRIBUTE_INTEGRATED:
  case CU_DEVICE_ATTRIBUTE_COMPUTE_MODE:
  case CU_DEVICE_ATTRIBUTE_ECC_ENABLED:
  case CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID:
  case CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID:
  case CU_DEVICE_ATTRIBUTE_TCC_DRIVER:
  case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
  case CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD:
  case CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS:
  case CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS:
  case CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM:
  case CU_DEVICE_ATTRIBUTE_COOPERATIVE_MULTI_DEVICE_LAUNCH:
  case CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_MAX_PERSISTING_L2_CACHE_SIZE:
  case CU_DEVICE_ATTRIBUTE_MAX_ACCESS_POLICY_WINDOW_SIZE:
  case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH:
  case CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED:
  case CU_DEVICE_ATTRIBUTE_UNIFIED_FUNCTION_POINTERS:
    return 0;
  }
  isKnown = false;
  return 0;
}

/// The row, where a call about the device is a valid one.
CUresult findRow(const Call &call, CUdevice device, const void *answer, const DeviceRow *&row) {
  if (call.wrong)
    return call.wrong;
  if (!answer)
    return CUDA_ERROR_INVALID_VALUE;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  row = library().settings.row;
  return CUDA_SUCCESS;
}

} // namespace

extern "C" {

/// May be called again: the environment counts anew while there is no context.
CUresult cuInit(unsigned flags) {
  Call call(Needs::Nothing);
  if (flags)
    return CUDA_ERROR_INVALID_VALUE;
  Library &all = library();
  if (all.isInitialised && !all.contexts.objects().empty())
    return CUDA_SUCCESS;
  if (CUresult result = readSettings(all.settings))
    return result;
  all.isInitialised = true;
  return CUDA_SUCCESS;
}

CUresult cuDriverGetVersion(int *answer) {
  if (!answer)
    return CUDA_ERROR_INVALID_VALUE;
  *answer = version;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  if (!count)
    return CUDA_ERROR_INVALID_VALUE;
  *count = 1;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  const DeviceRow *row;
  if (CUresult result = findRow(Call(Needs::Initialised), ordinal, device, row))
    return result;
  *device = 0;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
  const DeviceRow *row;
  if (CUresult result = findRow(Call(Needs::Initialised), device, name, row))
    return result;
  if (length <= 0)
    return CUDA_ERROR_INVALID_VALUE;
  size_t size = std::min(row->product.size(), size_t(length) - 1);
  memcpy(name, row->product.data(), size);
  name[size] = 0;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) {
  const DeviceRow *row;
  if (CUresult result = findRow(Call(Needs::Initialised), device, uuid, row))
    return result;
  memset(uuid, 0, sizeof *uuid);
  memcpy(uuid->bytes, row->name.data(), std::min(row->name.size(), sizeof uuid->bytes));
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) { return cuDeviceGetUuid_v2(uuid, device); }

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  const DeviceRow *row;
  if (CUresult result = findRow(Call(Needs::Initialised), device, bytes, row))
    return result;
  *bytes = row->memoryBytes;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  const DeviceRow *row;
  if (CUresult result = findRow(Call(Needs::Initialised), device, value, row))
    return result;
  bool isKnown = true;
  int answer = attributeOf(*row, attribute, isKnown);
  if (!isKnown)
    return CUDA_ERROR_INVALID_VALUE;
  *value = answer;
  return CUDA_SUCCESS;
}

} // extern "C"

} // namespace pianola::cuda
