// DriverApi.h - every function of the CUDA driver API that the emulator has, by name and signature.
//
// libpianola-cuda.so stands in for libcuda.so.1. The environment says what it emulates:
//
//     PIANOLA_EMULATED_DEVICE     a name of targets/nvptx/Devices.cpp, or h200
//     PIANOLA_EMULATOR_SEED       which interleaving, of streams and of threads; 0
//     PIANOLA_EMULATOR_CHECKS     all, or none: no races, no reads of what nothing wrote
//     PIANOLA_EMULATOR_FINDINGS   fail: the next synchronisation fails where a kernel sounded wrong
//                                 but could go on; report: it is only said on stderr
//     PIANOLA_EMULATOR_PATIENCE   seconds that a kernel may wait for the host; 10
#ifndef PIANOLA_TARGETS_NVPTX_DRIVER_DRIVERAPI_H
#define PIANOLA_TARGETS_NVPTX_DRIVER_DRIVERAPI_H

#include "runtime/cuda/DriverTypes.h"

#define PIANOLA_DRIVER_DEVICE_API(F)                                                               \
  F(cuInit, (unsigned flags))                                                                      \
  F(cuDriverGetVersion, (int *version))                                                            \
  F(cuGetErrorName, (CUresult error, const char **text))                                           \
  F(cuGetErrorString, (CUresult error, const char **text))                                         \
  F(cuGetProcAddress_v2, (const char *name, void **function, int version, uint64_t flags,          \
                          CUdriverProcAddressQueryResult *found))                                  \
  F(cuDeviceGetCount, (int *count))                                                                \
  F(cuDeviceGet, (CUdevice * device, int ordinal))                                                 \
  F(cuDeviceGetName, (char *name, int length, CUdevice device))                                    \
  F(cuDeviceGetUuid, (CUuuid * uuid, CUdevice device))                                             \
  F(cuDeviceGetUuid_v2, (CUuuid * uuid, CUdevice device))                                          \
  F(cuDeviceTotalMem_v2, (size_t *bytes, CUdevice device))                                         \
  F(cuDeviceGetAttribute, (int *value, CUdevice_attribute attribute, CUdevice device))             \
  F(cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))                              \
  F(cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                               \
  F(cuDevicePrimaryCtxReset_v2, (CUdevice device))                                                 \
  F(cuDevicePrimaryCtxSetFlags_v2, (CUdevice device, unsigned flags))                              \
  F(cuDevicePrimaryCtxGetState, (CUdevice device, unsigned *flags, int *active))                   \
  F(cuCtxCreate_v2, (CUcontext * context, unsigned flags, CUdevice device))                        \
  F(cuCtxCreate_v3,                                                                                \
    (CUcontext * context, void *affinities, int count, unsigned flags, CUdevice device))           \
  F(cuCtxCreate_v4,                                                                                \
    (CUcontext * context, CUctxCreateParams * parameters, unsigned flags, CUdevice device))        \
  F(cuCtxDestroy_v2, (CUcontext context))                                                          \
  F(cuCtxSetCurrent, (CUcontext context))                                                          \
  F(cuCtxGetCurrent, (CUcontext * context))                                                        \
  F(cuCtxPushCurrent_v2, (CUcontext context))                                                      \
  F(cuCtxPopCurrent_v2, (CUcontext * context))                                                     \
  F(cuCtxGetDevice, (CUdevice * device))                                                           \
  F(cuCtxGetFlags, (unsigned *flags))                                                              \
  F(cuCtxGetApiVersion, (CUcontext context, unsigned *version))                                    \
  F(cuCtxGetStreamPriorityRange, (int *least, int *greatest))                                      \
  F(cuCtxSynchronize, ())                                                                          \
  F(cuCtxSetLimit, (CUlimit limit, size_t value))                                                  \
  F(cuCtxGetLimit, (size_t *value, CUlimit limit))                                                 \
  F(cuProfilerStart, ())                                                                           \
  F(cuProfilerStop, ())

#define PIANOLA_DRIVER_MODULE_API(F)                                                               \
  F(cuModuleLoadData, (CUmodule * module, const void *image))                                      \
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
  F(cuFuncSetCacheConfig, (CUfunction function, CUfunc_cache config))                              \
  F(cuFuncGetModule, (CUmodule * module, CUfunction function))                                     \
  F(cuOccupancyMaxActiveBlocksPerMultiprocessor,                                                   \
    (int *blocks, CUfunction function, int blockSize, size_t dynamicShared))                       \
  F(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags,                                          \
    (int *blocks, CUfunction function, int blockSize, size_t dynamicShared, unsigned flags))

#define PIANOLA_DRIVER_MEMORY_API(F)                                                               \
  F(cuMemAlloc_v2, (CUdeviceptr * address, size_t bytes))                                          \
  F(cuMemFree_v2, (CUdeviceptr address))                                                           \
  F(cuMemGetInfo_v2, (size_t *free, size_t *total))                                                \
  F(cuMemGetAddressRange_v2, (CUdeviceptr * base, size_t *size, CUdeviceptr address))              \
  F(cuMemHostAlloc, (void **memory, size_t bytes, unsigned flags))                                 \
  F(cuMemAllocHost_v2, (void **memory, size_t bytes))                                              \
  F(cuMemFreeHost, (void *memory))                                                                 \
  F(cuMemHostGetDevicePointer_v2, (CUdeviceptr * address, void *memory, unsigned flags))           \
  F(cuMemHostGetFlags, (unsigned *flags, void *memory))                                            \
  F(cuMemHostRegister_v2, (void *memory, size_t bytes, unsigned flags))                            \
  F(cuMemHostUnregister, (void *memory))                                                           \
  F(cuPointerGetAttribute, (void *data, CUpointer_attribute attribute, CUdeviceptr address))       \
  F(cuPointerGetAttributes,                                                                        \
    (unsigned count, CUpointer_attribute *attributes, void **data, CUdeviceptr address))           \
  F(cuMemcpy, (CUdeviceptr target, CUdeviceptr source, size_t bytes))                              \
  F(cuMemcpyAsync, (CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream))        \
  F(cuMemcpyHtoD_v2, (CUdeviceptr target, const void *source, size_t bytes))                       \
  F(cuMemcpyHtoDAsync_v2, (CUdeviceptr target, const void *source, size_t bytes, CUstream stream)) \
  F(cuMemcpyDtoH_v2, (void *target, CUdeviceptr source, size_t bytes))                             \
  F(cuMemcpyDtoHAsync_v2, (void *target, CUdeviceptr source, size_t bytes, CUstream stream))       \
  F(cuMemcpyDtoD_v2, (CUdeviceptr target, CUdeviceptr source, size_t bytes))                       \
  F(cuMemcpyDtoDAsync_v2, (CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream)) \
  F(cuMemsetD8_v2, (CUdeviceptr target, unsigned char value, size_t count))                        \
  F(cuMemsetD8Async, (CUdeviceptr target, unsigned char value, size_t count, CUstream stream))     \
  F(cuMemsetD32_v2, (CUdeviceptr target, unsigned value, size_t count))                            \
  F(cuMemsetD32Async, (CUdeviceptr target, unsigned value, size_t count, CUstream stream))

#define PIANOLA_DRIVER_STREAM_API(F)                                                               \
  F(cuStreamCreate, (CUstream * stream, unsigned flags))                                           \
  F(cuStreamCreateWithPriority, (CUstream * stream, unsigned flags, int priority))                 \
  F(cuStreamGetPriority, (CUstream stream, int *priority))                                         \
  F(cuStreamGetFlags, (CUstream stream, unsigned *flags))                                          \
  F(cuStreamGetCtx, (CUstream stream, CUcontext * context))                                        \
  F(cuStreamSynchronize, (CUstream stream))                                                        \
  F(cuStreamQuery, (CUstream stream))                                                              \
  F(cuStreamDestroy_v2, (CUstream stream))                                                         \
  F(cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned flags))                           \
  F(cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode))                          \
  F(cuStreamEndCapture, (CUstream stream, CUgraph * graph))                                        \
  F(cuStreamIsCapturing, (CUstream stream, CUstreamCaptureStatus * status))                        \
  F(cuLaunchHostFunc, (CUstream stream, CUhostFn function, void *data))                            \
  F(cuEventCreate, (CUevent * event, unsigned flags))                                              \
  F(cuEventRecord, (CUevent event, CUstream stream))                                               \
  F(cuEventRecordWithFlags, (CUevent event, CUstream stream, unsigned flags))                      \
  F(cuEventSynchronize, (CUevent event))                                                           \
  F(cuEventQuery, (CUevent event))                                                                 \
  F(cuEventElapsedTime, (float *milliseconds, CUevent begin, CUevent end))                         \
  F(cuEventElapsedTime_v2, (float *milliseconds, CUevent begin, CUevent end))                      \
  F(cuEventDestroy_v2, (CUevent event))

#define PIANOLA_DRIVER_LAUNCH_API(F)                                                               \
  F(cuLaunchKernel, (CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ,          \
                     unsigned blockX, unsigned blockY, unsigned blockZ, unsigned dynamicShared,    \
                     CUstream stream, void **parameters, void **extra))                            \
  F(cuLaunchCooperativeKernel, (CUfunction function, unsigned gridX, unsigned gridY,               \
                                unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ, \
                                unsigned dynamicShared, CUstream stream, void **parameters))       \
  F(cuLaunchKernelEx,                                                                              \
    (const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra))          \
  F(cuGraphCreate, (CUgraph * graph, unsigned flags))                                              \
  F(cuGraphDestroy, (CUgraph graph))                                                               \
  F(cuGraphGetNodes, (CUgraph graph, CUgraphNode * nodes, size_t *count))                          \
  F(cuGraphAddEmptyNode,                                                                           \
    (CUgraphNode * node, CUgraph graph, const CUgraphNode *after, size_t count))                   \
  F(cuGraphAddKernelNode_v2, (CUgraphNode * node, CUgraph graph, const CUgraphNode *after,         \
                              size_t count, const CUDA_KERNEL_NODE_PARAMS *parameters))            \
  F(cuGraphAddMemcpyNode, (CUgraphNode * node, CUgraph graph, const CUgraphNode *after,            \
                           size_t count, const CUDA_MEMCPY3D *copy, CUcontext context))            \
  F(cuGraphAddMemsetNode,                                                                          \
    (CUgraphNode * node, CUgraph graph, const CUgraphNode *after, size_t count,                    \
     const CUDA_MEMSET_NODE_PARAMS *parameters, CUcontext context))                                \
  F(cuGraphInstantiate_v2,                                                                         \
    (CUgraphExec * made, CUgraph graph, CUgraphNode * wrong, char *log, size_t logBytes))          \
  F(cuGraphInstantiateWithFlags, (CUgraphExec * made, CUgraph graph, unsigned long long flags))    \
  F(cuGraphUpload, (CUgraphExec graph, CUstream stream))                                           \
  F(cuGraphLaunch, (CUgraphExec graph, CUstream stream))                                           \
  F(cuGraphExecDestroy, (CUgraphExec graph))

/// F(name, (parameters)) of each function; all return a CUresult.
#define PIANOLA_DRIVER_API(F)                                                                      \
  PIANOLA_DRIVER_DEVICE_API(F)                                                                     \
  PIANOLA_DRIVER_MODULE_API(F)                                                                     \
  PIANOLA_DRIVER_MEMORY_API(F)                                                                     \
  PIANOLA_DRIVER_STREAM_API(F)                                                                     \
  PIANOLA_DRIVER_LAUNCH_API(F)

#endif
