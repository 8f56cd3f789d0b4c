// Driver.h - the functions of the CUDA driver that a player calls, found while it runs: the program
// starts on machines without the driver, and may be given another one.
//
//     auto driver = cuda::openDriver();
//     if (!driver)
//       return driver.status();
//     if (CUresult result = (*driver)->cuInit(0))
//       return (*driver)->failure("cuInit", result);
#ifndef PIANOLA_RUNTIME_CUDA_DRIVER_H
#define PIANOLA_RUNTIME_CUDA_DRIVER_H

#include "runtime/Status.h"
#include "runtime/cuda/DriverTypes.h"

namespace pianola::cuda {

/// F(name, (parameters)): what a player of persistent kernels and graphs needs.
#define PIANOLA_CUDA_FUNCTIONS(F)                                                                  \
  F(cuInit, (unsigned flags))                                                                      \
  F(cuDriverGetVersion, (int *version))                                                            \
  F(cuGetErrorName, (CUresult error, const char **text))                                           \
  F(cuGetErrorString, (CUresult error, const char **text))                                         \
  F(cuDeviceGetCount, (int *count))                                                                \
  F(cuDeviceGet, (CUdevice * device, int ordinal))                                                 \
  F(cuDeviceGetName, (char *name, int length, CUdevice device))                                    \
  F(cuDeviceTotalMem_v2, (size_t *bytes, CUdevice device))                                         \
  F(cuDeviceGetAttribute, (int *value, CUdevice_attribute attribute, CUdevice device))             \
  F(cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                              \
  F(cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                               \
  F(cuCtxCreate_v2, (CUcontext * context, unsigned flags, CUdevice device))                        \
  F(cuCtxDestroy_v2, (CUcontext context))                                                          \
  F(cuCtxSetCurrent, (CUcontext context))                                                          \
  F(cuCtxGetCurrent, (CUcontext * context))                                                        \
  F(cuCtxSynchronize, ())                                                                          \
  F(cuModuleLoadDataEx,                                                                            \
    (CUmodule * module, const void *image, unsigned count, CUjit_option *options, void **values))  \
  F(cuModuleUnload, (CUmodule module))                                                             \
  F(cuModuleGetFunction, (CUfunction * function, CUmodule module, const char *name))               \
  F(cuModuleGetGlobal_v2,                                                                          \
    (CUdeviceptr * address, size_t *bytes, CUmodule module, const char *name))                     \
  F(cuLinkCreate_v2, (unsigned count, CUjit_option *options, void **values, CUlinkState *state))   \
  F(cuLinkAddData_v2, (CUlinkState state, CUjitInputType type, void *data, size_t size,            \
                       const char *name, unsigned count, CUjit_option *options, void **values))    \
  F(cuLinkComplete, (CUlinkState state, void **cubin, size_t *size))                               \
  F(cuLinkDestroy, (CUlinkState state))                                                            \
  F(cuFuncGetAttribute, (int *value, CUfunction_attribute attribute, CUfunction function))         \
  F(cuFuncSetAttribute, (CUfunction function, CUfunction_attribute attribute, int value))          \
  F(cuOccupancyMaxActiveBlocksPerMultiprocessor,                                                   \
    (int *blocks, CUfunction function, int blockSize, size_t dynamicShared))                       \
  F(cuMemAlloc_v2, (CUdeviceptr * address, size_t bytes))                                          \
  F(cuMemFree_v2, (CUdeviceptr address))                                                           \
  F(cuMemGetInfo_v2, (size_t *free, size_t *total))                                                \
  F(cuMemHostAlloc, (void **memory, size_t bytes, unsigned flags))                                 \
  F(cuMemFreeHost, (void *memory))                                                                 \
  F(cuMemHostGetDevicePointer_v2, (CUdeviceptr * address, void *memory, unsigned flags))           \
  F(cuMemHostRegister_v2, (void *memory, size_t bytes, unsigned flags))                            \
  F(cuMemHostUnregister, (void *memory))                                                           \
  F(cuMemcpyHtoD_v2, (CUdeviceptr target, const void *source, size_t bytes))                       \
  F(cuMemcpyDtoH_v2, (void *target, CUdeviceptr source, size_t bytes))                             \
  F(cuMemcpyHtoDAsync_v2, (CUdeviceptr target, const void *source, size_t bytes, CUstream stream)) \
  F(cuMemcpyDtoHAsync_v2, (void *target, CUdeviceptr source, size_t bytes, CUstream stream))       \
  F(cuMemcpyDtoDAsync_v2, (CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream)) \
  F(cuMemsetD8Async, (CUdeviceptr target, unsigned char value, size_t count, CUstream stream))     \
  F(cuMemsetD32Async, (CUdeviceptr target, unsigned value, size_t count, CUstream stream))         \
  F(cuStreamCreate, (CUstream * stream, unsigned flags))                                           \
  F(cuStreamSynchronize, (CUstream stream))                                                        \
  F(cuStreamQuery, (CUstream stream))                                                              \
  F(cuStreamDestroy_v2, (CUstream stream))                                                         \
  F(cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned flags))                           \
  F(cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode))                          \
  F(cuStreamEndCapture, (CUstream stream, CUgraph * graph))                                        \
  F(cuLaunchHostFunc, (CUstream stream, CUhostFn function, void *data))                            \
  F(cuEventCreate, (CUevent * event, unsigned flags))                                              \
  F(cuEventRecord, (CUevent event, CUstream stream))                                               \
  F(cuEventSynchronize, (CUevent event))                                                           \
  F(cuEventElapsedTime, (float *milliseconds, CUevent begin, CUevent end))                         \
  F(cuEventDestroy_v2, (CUevent event))                                                            \
  F(cuLaunchKernel, (CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ,          \
                     unsigned blockX, unsigned blockY, unsigned blockZ, unsigned dynamicShared,    \
                     CUstream stream, void **parameters, void **extra))                            \
  F(cuLaunchCooperativeKernel, (CUfunction function, unsigned gridX, unsigned gridY,               \
                                unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ, \
                                unsigned dynamicShared, CUstream stream, void **parameters))       \
  F(cuLaunchKernelEx,                                                                              \
    (const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra))          \
  F(cuGraphInstantiateWithFlags, (CUgraphExec * made, CUgraph graph, unsigned long long flags))    \
  F(cuGraphLaunch, (CUgraphExec graph, CUstream stream))                                           \
  F(cuGraphExecDestroy, (CUgraphExec graph))                                                       \
  F(cuGraphDestroy, (CUgraph graph))

/// One opened driver. It is never closed: drivers run threads of their own.
struct Driver {
#define PIANOLA_MEMBER(name, parameters) CUresult(*name) parameters = nullptr;
  PIANOLA_CUDA_FUNCTIONS(PIANOLA_MEMBER)
#undef PIANOLA_MEMBER

  std::string path; ///< as it was opened
  void *handle = nullptr;

  /// "CUDA_ERROR_OUT_OF_MEMORY (there is not enough memory)", in the driver's own words.
  std::string describe(CUresult error) const;
  /// What the user reads when a call failed.
  Status failure(const std::string &call, CUresult error) const;
};

/// Opens the driver at `path`; where that is empty, the one that PIANOLA_CUDA_DRIVER names, or else
/// libcuda.so.1. Opened once, it stays for the life of the process.
Result<const Driver *> openDriver(const std::string &path = "");

/// Where the emulator stands as a driver: ../lib/libpianola-cuda.so from the running executable, or
/// from one folder further up.
Result<std::string> emulatorPath();

} // namespace pianola::cuda

#endif
