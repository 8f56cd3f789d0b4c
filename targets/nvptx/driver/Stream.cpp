// Streams: their life, what a program waits for, and capture.
#include "targets/nvptx/driver/State.h"

#include <algorithm>
#include <set>

namespace pianola::cuda {

namespace {

CUresult create(CUstream *handle, unsigned flags, int priority) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (!handle || flags & ~StreamNonBlocking)
    return CUDA_ERROR_INVALID_VALUE;
  auto stream = std::make_shared<Stream>();
  stream->context = call.context.get();
  stream->flags = flags;
  stream->priority = std::clamp(priority, -5, 0);
  call.context->streams.push_back(stream);
  *handle = library().streams.add(std::move(stream));
  return CUDA_SUCCESS;
}

/// All nodes that come before these, themselves included.
std::set<const GraphNode *> ancestorsOf(const std::vector<GraphNode *> &tips) {
  std::set<const GraphNode *> all;
  std::vector<const GraphNode *> left(tips.begin(), tips.end());
  while (!left.empty()) {
    const GraphNode *node = left.back();
    left.pop_back();
    if (all.insert(node).second)
      left.insert(left.end(), node->after.begin(), node->after.end());
  }
  return all;
}

/// Streams leave a capture together; false where one of them was not waited for.
bool endCapture(Context &context, const Stream &origin) {
  auto capture = origin.capture;
  auto joined = ancestorsOf(origin.tips);
  bool complete = true;
  for (auto &stream : context.streams) {
    if (stream->capture != capture)
      continue;
    for (const GraphNode *tip : stream->tips)
      complete &= joined.count(tip) != 0;
    stream->capture = nullptr;
    stream->tips.clear();
  }
  for (auto &[handle, event] : library().events.objects())
    if (event->capture == capture)
      event->capture = nullptr, event->tips.clear();
  return complete;
}

} // namespace

CUresult refuseInCapture(Stream &stream) {
  stream.capture->invalid = true;
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

void recordNode(Stream &stream, Work work) {
  auto node = std::make_shared<GraphNode>();
  node->work = std::move(work);
  node->after = stream.tips;
  stream.tips = {node.get()};
  stream.capture->graph->nodes.push_back(std::move(node));
}

extern "C" {

CUresult cuStreamCreate(CUstream *stream, unsigned flags) { return create(stream, flags, 0); }

CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority) {
  return create(stream, flags, priority);
}

CUresult cuStreamGetPriority(CUstream handle, int *priority) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!priority)
    return CUDA_ERROR_INVALID_VALUE;
  *priority = stream->priority;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetFlags(CUstream handle, unsigned *flags) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!flags)
    return CUDA_ERROR_INVALID_VALUE;
  *flags = stream->flags;
  return CUDA_SUCCESS;
}

CUresult cuStreamGetCtx(CUstream handle, CUcontext *context) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!context)
    return CUDA_ERROR_INVALID_VALUE;
  *context = stream->context;
  return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream handle) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture)
    return refuseInCapture(*stream);
  call.waitFor(*stream);
  return call.verdict();
}

CUresult cuStreamQuery(CUstream handle) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (stream->capture)
    return refuseInCapture(*stream);
  return stream->tasks.empty() ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

CUresult cuStreamDestroy_v2(CUstream handle) {
  Call call(Needs::Context);
  if (call.wrong)
    return call.wrong;
  auto stream = library().streams.find(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  // What it was given is still done.
  library().streams.remove(handle);
  stream->isDestroyed = true;
  auto &all = stream->context->streams;
  if (stream->tasks.empty())
    all.erase(std::remove(all.begin(), all.end(), stream), all.end());
  return CUDA_SUCCESS;
}

CUresult cuStreamWaitEvent(CUstream handle, CUevent eventHandle, unsigned) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(handle);
  auto event = library().events.find(eventHandle);
  if (!stream || !event)
    return CUDA_ERROR_INVALID_HANDLE;
  if (event->capture) {
    if (stream->isDefault)
      return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    if (stream->capture && stream->capture != event->capture) {
      stream->capture->invalid = event->capture->invalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_MERGE;
    }
    stream->capture = event->capture;
    for (GraphNode *tip : event->tips)
      if (std::find(stream->tips.begin(), stream->tips.end(), tip) == stream->tips.end())
        stream->tips.push_back(tip);
    return CUDA_SUCCESS;
  }
  if (stream->capture) {
    if (!event->recorded)
      return CUDA_SUCCESS;
    stream->capture->invalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  Task task;
  task.kind = Task::Kind::Wait;
  task.record = event->recorded;
  task.event = std::move(event);
  enqueue(*call.context, *stream, std::move(task));
  return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_INVALID_VALUE;
  if (stream->isDefault)
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture)
    return CUDA_ERROR_ILLEGAL_STATE;
  stream->capture = std::make_shared<Capture>();
  stream->capture->graph = std::make_shared<Graph>();
  stream->capture->origin = stream.get();
  stream->capture->mode = mode;
  stream->capture->thread = std::this_thread::get_id();
  stream->tips.clear();
  return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph *graph) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!graph)
    return CUDA_ERROR_INVALID_VALUE;
  *graph = nullptr;
  auto capture = stream->capture;
  if (!capture)
    return CUDA_ERROR_ILLEGAL_STATE;
  if (capture->origin != stream.get())
    return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
      capture->thread != std::this_thread::get_id())
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  bool complete = endCapture(*call.context, *stream);
  if (capture->invalid)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  if (!complete)
    return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
  *graph = library().graphs.add(capture->graph);
  return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!status)
    return CUDA_ERROR_INVALID_VALUE;
  *status = !stream->capture           ? CU_STREAM_CAPTURE_STATUS_NONE
            : stream->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                       : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}

CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void *data) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto stream = call.stream(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!function)
    return CUDA_ERROR_INVALID_VALUE;
  Work work;
  work.run = [function, data](Context &) {
    library().turn.unlock();
    function(data);
    library().turn.lock();
    return CUDA_SUCCESS;
  };
  return submit(*call.context, *stream, std::move(work));
}

} // extern "C"

} // namespace pianola::cuda
