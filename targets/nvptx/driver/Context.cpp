// Contexts, and which one a thread works in.
#include "targets/nvptx/driver/State.h"

#include <algorithm>

namespace pianola::cuda {

namespace {

constexpr unsigned allContextFlags = 0x7f;
constexpr unsigned apiVersion = 3020; ///< of contexts, unchanged since that version of CUDA

CUresult create(Call &call, CUcontext *context, unsigned flags, CUdevice device) {
  if (call.wrong)
    return call.wrong;
  if (!context || flags & ~allContextFlags)
    return CUDA_ERROR_INVALID_VALUE;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  auto made = std::make_shared<Context>(library().settings, flags);
  *context = library().contexts.add(made);
  contextStack().push_back(std::move(made));
  return CUDA_SUCCESS;
}

} // namespace

std::vector<std::shared_ptr<Context>> &contextStack() {
  static thread_local std::vector<std::shared_ptr<Context>> stack;
  return stack;
}

CUctx_st::CUctx_st(const Settings &settings, unsigned flags)
    : settings(settings), flags(flags), device(*settings.row, settings.seed),
      lot(settings.seed * 0x9e3779b97f4a7c15u + 1) {
  for (int i = 0; i < 2; ++i) {
    streams.push_back(std::make_shared<Stream>());
    streams[size_t(i)]->context = this;
  }
  streams[0]->isDefault = true;
  limits = {{CU_LIMIT_STACK_SIZE, 1024},
            {CU_LIMIT_PRINTF_FIFO_SIZE, 7 << 20},
            {CU_LIMIT_MALLOC_HEAP_SIZE, 8 << 20},
            {CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH, 2},
            {CU_LIMIT_DEV_RUNTIME_PENDING_LAUNCH_COUNT, 2048},
            {CU_LIMIT_MAX_L2_FETCH_GRANULARITY, 64},
            {CU_LIMIT_PERSISTING_L2_CACHE_SIZE, 0}};
}

uint32_t CUctx_st::draw(uint32_t bound) {
  lot = lot * 6364136223846793005u + 1442695040888963407u;
  return uint32_t((lot >> 33) % bound);
}

const HostMemory *CUctx_st::pinned(const void *memory, uintptr_t *base) const {
  auto address = reinterpret_cast<uintptr_t>(memory);
  auto next = hostMemory.upper_bound(address);
  if (next == hostMemory.begin() || address - (--next)->first >= next->second.bytes)
    return nullptr;
  if (base)
    *base = next->first;
  return &next->second;
}

void destroyContext(Call &call, const std::shared_ptr<Context> &context) {
  call.waitForAll();
  context->isClosing = true;
  Library &all = library();
  all.changed.notify_all();
  const Context *gone = context.get();
  all.streams.removeIf([&](const Stream &each) { return each.context == gone; });
  all.events.removeIf([&](const Event &each) { return each.context == gone; });
  all.functions.removeIf([&](const CUfunc_st &each) { return each.module->context == gone; });
  all.modules.removeIf([&](const CUmod_st &each) { return each.context == gone; });
  all.contexts.remove(gone);
}

extern "C" {

CUresult cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device) {
  Call call(Needs::Initialised);
  return create(call, context, flags, device);
}

CUresult cuCtxCreate_v3(CUcontext *context, void *, int count, unsigned flags, CUdevice device) {
  Call call(Needs::Initialised);
  if (!call.wrong && count)
    return CUDA_ERROR_NOT_SUPPORTED;
  return create(call, context, flags, device);
}

CUresult cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *parameters, unsigned flags,
                        CUdevice device) {
  Call call(Needs::Initialised);
  if (!call.wrong && parameters && (parameters->numExecAffinityParams || parameters->cigParams))
    return CUDA_ERROR_NOT_SUPPORTED;
  return create(call, context, flags, device);
}

CUresult cuCtxDestroy_v2(CUcontext handle) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  auto context = library().contexts.find(handle);
  if (!context || context->isPrimary)
    return CUDA_ERROR_INVALID_CONTEXT;
  call.context = context;
  destroyContext(call, context);
  auto &stack = contextStack();
  if (!stack.empty() && stack.back() == context)
    stack.pop_back();
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext handle) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  auto &stack = contextStack();
  std::shared_ptr<Context> context = library().contexts.find(handle);
  if (handle && !context)
    return CUDA_ERROR_INVALID_CONTEXT;
  if (!stack.empty())
    stack.pop_back();
  if (context)
    stack.push_back(std::move(context));
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  if (!context)
    return CUDA_ERROR_INVALID_VALUE;
  *context = contextStack().empty() ? nullptr : contextStack().back().get();
  return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext handle) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  auto context = library().contexts.find(handle);
  if (!context)
    return CUDA_ERROR_INVALID_CONTEXT;
  contextStack().push_back(std::move(context));
  return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  auto &stack = contextStack();
  if (stack.empty())
    return CUDA_ERROR_INVALID_CONTEXT;
  if (context)
    *context = stack.back().get();
  stack.pop_back();
  return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice *device) {
  Call call(Needs::Context);
  if (call.wrong)
    return call.wrong;
  if (!device)
    return CUDA_ERROR_INVALID_VALUE;
  *device = 0;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetFlags(unsigned *flags) {
  Call call(Needs::Context);
  if (call.wrong)
    return call.wrong;
  if (!flags)
    return CUDA_ERROR_INVALID_VALUE;
  *flags = call.context->flags;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetApiVersion(CUcontext handle, unsigned *version) {
  Call call(handle ? Needs::Initialised : Needs::Context);
  if (call.wrong)
    return call.wrong;
  if (handle && !library().contexts.find(handle))
    return CUDA_ERROR_INVALID_CONTEXT;
  if (!version)
    return CUDA_ERROR_INVALID_VALUE;
  *version = apiVersion;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (least)
    *least = 0;
  if (greatest)
    *greatest = -5;
  return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize() {
  Call call;
  if (call.wrong)
    return call.wrong;
  for (auto &stream : call.context->streams)
    if (stream->capture)
      return refuseInCapture(*stream);
  call.waitForAll();
  return call.verdict();
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto found = call.context->limits.find(limit);
  if (found == call.context->limits.end())
    return CUDA_ERROR_UNSUPPORTED_LIMIT;
  found->second = value;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetLimit(size_t *value, CUlimit limit) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto found = call.context->limits.find(limit);
  if (found == call.context->limits.end())
    return CUDA_ERROR_UNSUPPORTED_LIMIT;
  if (!value)
    return CUDA_ERROR_INVALID_VALUE;
  *value = found->second;
  return CUDA_SUCCESS;
}

CUresult cuProfilerStart() { return Call(Needs::Context).wrong; }
CUresult cuProfilerStop() { return Call(Needs::Context).wrong; }

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  if (!context)
    return CUDA_ERROR_INVALID_VALUE;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  Library &all = library();
  if (!all.primary) {
    all.primary = std::make_shared<Context>(all.settings, all.primaryFlags);
    all.primary->isPrimary = true;
    all.contexts.add(all.primary);
  }
  ++all.primaryUsers;
  *context = all.primary.get();
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset_v2(CUdevice device) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  if (auto context = std::exchange(library().primary, nullptr)) {
    call.context = context;
    destroyContext(call, context);
  }
  library().primaryUsers = 0;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
  {
    Call call(Needs::Initialised);
    if (call.wrong)
      return call.wrong;
    if (device != 0)
      return CUDA_ERROR_INVALID_DEVICE;
    if (!library().primaryUsers)
      return CUDA_ERROR_INVALID_CONTEXT;
    if (--library().primaryUsers)
      return CUDA_SUCCESS;
  }
  return cuDevicePrimaryCtxReset_v2(device);
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  if (flags & ~allContextFlags)
    return CUDA_ERROR_INVALID_VALUE;
  library().primaryFlags = flags;
  if (library().primary)
    library().primary->flags = flags;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  if (device != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  if (!flags || !active)
    return CUDA_ERROR_INVALID_VALUE;
  *flags = library().primaryFlags;
  *active = library().primary != nullptr;
  return CUDA_SUCCESS;
}

} // extern "C"

} // namespace pianola::cuda
