// Functions of a module: what they need, and how much of it they may have.
#include "targets/nvptx/driver/State.h"

#include <algorithm>

namespace pianola::cuda {

namespace {

/// Registers of a thread, as PTX names them: ptxas would need fewer.
int registersOf(const ptx::Kernel &kernel) {
  return int(std::clamp(kernel.registerBytes / (4 * ptx::warpSize), 16u, 255u));
}

uint32_t capabilityOf(const ptx::Module &module) {
  uint32_t number = 0;
  for (char digit : module.syntax->target)
    if (digit >= '0' && digit <= '9')
      number = number * 10 + uint32_t(digit - '0');
  return number;
}

} // namespace

extern "C" {

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction handle) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto function = library().functions.find(handle);
  if (!function)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!value)
    return CUDA_ERROR_INVALID_VALUE;
  const ptx::Kernel &kernel = *function->kernel;
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    *value = kernel.requiredBlock.x  ? int(kernel.requiredBlock.count())
             : kernel.maximumBlock.x ? int(kernel.maximumBlock.count())
                                     : 1024;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
    *value = int(kernel.sharedBytes);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
    *value = 0;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
    *value = int(kernel.localBytes);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_NUM_REGS:
    *value = registersOf(kernel);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    *value = int(capabilityOf(*function->code));
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
    *value = int(call.context->device.row().capability);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
  case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
    *value = 0;
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    *value = int(function->maxDynamicShared);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    *value = function->carveout;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto function = library().functions.find(handle);
  if (!function)
    return CUDA_ERROR_INVALID_HANDLE;
  uint32_t has = call.context->device.row().sharedPerBlock;
  uint32_t most = has - std::min(has, function->kernel->sharedBytes);
  switch (attribute) {
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
    if (value < 0 || uint32_t(value) > most)
      return CUDA_ERROR_INVALID_VALUE;
    function->maxDynamicShared = uint32_t(value);
    return CUDA_SUCCESS;
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    if (value < -1 || value > 100)
      return CUDA_ERROR_INVALID_VALUE;
    function->carveout = value;
    return CUDA_SUCCESS;
  default:
    return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult cuFuncSetCacheConfig(CUfunction function, CUfunc_cache config) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (!library().functions.find(function))
    return CUDA_ERROR_INVALID_HANDLE;
  return config >= CU_FUNC_CACHE_PREFER_NONE && config <= CU_FUNC_CACHE_PREFER_EQUAL
             ? CUDA_SUCCESS
             : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuFuncGetModule(CUmodule *module, CUfunction handle) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto function = library().functions.find(handle);
  if (!function)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!module)
    return CUDA_ERROR_INVALID_VALUE;
  *module = function->module;
  return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction handle, int blockSize,
                                                     size_t dynamicShared) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto function = library().functions.find(handle);
  if (!function)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!blocks || blockSize <= 0)
    return CUDA_ERROR_INVALID_VALUE;
  *blocks = int(residentBlocks(call.context->device.row(), *function->kernel, uint64_t(blockSize),
                               dynamicShared));
  return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction function,
                                                              int blockSize, size_t dynamicShared,
                                                              unsigned) {
  return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, function, blockSize, dynamicShared);
}

} // extern "C"

} // namespace pianola::cuda
