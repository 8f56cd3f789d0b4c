// Events. Their time is the emulated one: see Launch.cpp and Copy.cpp for what takes how long.
#include "targets/nvptx/driver/State.h"

namespace pianola::cuda {

extern "C" {

CUresult cuEventCreate(CUevent *handle, unsigned flags) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (!handle || flags & ~(EventBlockingSync | EventDisableTiming))
    return CUDA_ERROR_INVALID_VALUE;
  auto event = std::make_shared<Event>();
  event->context = call.context.get();
  event->flags = flags;
  *handle = library().events.add(std::move(event));
  return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent handle, CUstream streamHandle) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(streamHandle);
  auto event = library().events.find(handle);
  if (!stream || !event || event->context != call.context.get())
    return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture) {
    event->capture = stream->capture;
    event->tips = stream->tips;
    return CUDA_SUCCESS;
  }
  event->capture = nullptr;
  Task task;
  task.kind = Task::Kind::Record;
  task.record = ++event->recorded;
  task.event = std::move(event);
  enqueue(*call.context, *stream, std::move(task));
  return CUDA_SUCCESS;
}

CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned flags) {
  return flags & ~1u ? CUDA_ERROR_INVALID_VALUE : cuEventRecord(event, stream);
}

CUresult cuEventSynchronize(CUevent handle) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto event = library().events.find(handle);
  if (!event)
    return CUDA_ERROR_INVALID_HANDLE;
  if (event->capture)
    return CUDA_ERROR_CAPTURED_EVENT;
  call.wait([&, record = event->recorded] { return event->completed >= record; });
  return call.verdict();
}

CUresult cuEventQuery(CUevent handle) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto event = library().events.find(handle);
  if (!event)
    return CUDA_ERROR_INVALID_HANDLE;
  if (event->capture)
    return CUDA_ERROR_CAPTURED_EVENT;
  return event->completed >= event->recorded ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent beginHandle, CUevent endHandle) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto begin = library().events.find(beginHandle), end = library().events.find(endHandle);
  if (!begin || !end || (begin->flags | end->flags) & EventDisableTiming || !begin->recorded ||
      !end->recorded)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!milliseconds)
    return CUDA_ERROR_INVALID_VALUE;
  if (begin->completed < begin->recorded || end->completed < end->recorded)
    return CUDA_ERROR_NOT_READY;
  *milliseconds = float((end->time - begin->time) * 1e3);
  return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent begin, CUevent end) {
  return cuEventElapsedTime_v2(milliseconds, begin, end);
}

CUresult cuEventDestroy_v2(CUevent handle) {
  Call call(Needs::Context);
  if (call.wrong)
    return call.wrong;
  return library().events.remove(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

} // extern "C"

} // namespace pianola::cuda
