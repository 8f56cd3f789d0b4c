// Who may go next: the queues of streams, and the threads that empty them.
#include "targets/nvptx/driver/State.h"

#include <algorithm>

namespace pianola::cuda {

namespace {

/// Whether the stream's first task may begin.
bool isReady(const Context &context, const Stream &stream) {
  const Task &task = stream.tasks.front();
  if (task.kind == Task::Kind::Wait && task.event->completed < task.record)
    return false;
  const Stream &ordinary = *context.streams[0];
  if (&stream != &ordinary)
    return !stream.isBlocking() || ordinary.isDone(task.number);
  return std::all_of(context.streams.begin(), context.streams.end(), [&](const auto &each) {
    return each.get() == &stream || !each->isBlocking() || each->isDone(task.number);
  });
}

void run(Context &context, const Task &task) {
  switch (task.kind) {
  case Task::Kind::Run:
    // After an error the context does nothing any more.
    if (context.error == CUDA_SUCCESS)
      context.error = task.work.run(context);
    break;
  case Task::Kind::Record:
    task.event->completed = std::max(task.event->completed, task.record);
    task.event->time = context.clock;
    break;
  case Task::Kind::Wait:
    break;
  }
}

/// One of the two threads of a context.
void serve(const std::shared_ptr<Context> &context, bool plays) {
  Library &all = library();
  std::unique_lock<Turn> held(all.turn);
  std::vector<std::shared_ptr<Stream>> ready;
  for (;;) {
    ready.clear();
    for (auto &stream : context->streams)
      if (!stream->tasks.empty() && !stream->busy && stream->tasks.front().work.plays == plays &&
          isReady(*context, *stream))
        ready.push_back(stream);
    if (ready.empty()) {
      if (context->isClosing)
        return;
      all.changed.wait(held);
      continue;
    }
    std::shared_ptr<Stream> stream = ready[context->draw(uint32_t(ready.size()))];
    stream->busy = true;
    run(*context, stream->tasks.front());
    stream->busy = false;
    stream->tasks.pop_front();
    if (stream->isDestroyed && stream->tasks.empty())
      context->streams.erase(std::remove(context->streams.begin(), context->streams.end(), stream),
                             context->streams.end());
    all.changed.notify_all();
  }
}

} // namespace

void enqueue(Context &context, Stream &stream, Task task) {
  if (!context.hasThreads) {
    context.hasThreads = true;
    auto shared = library().contexts.find(&context);
    for (bool plays : {true, false})
      std::thread(serve, shared, plays).detach();
  }
  task.number = context.submitted++;
  stream.tasks.push_back(std::move(task));
  library().changed.notify_all();
}

CUresult submit(Context &context, Stream &stream, Work work) {
  if (stream.capture) {
    if (stream.capture->invalid)
      return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    recordNode(stream, std::move(work));
    return CUDA_SUCCESS;
  }
  // What goes to the default stream would have to wait for a stream that only records.
  if (stream.isDefault) {
    for (auto &each : context.streams) {
      if (!each->capture || !each->isBlocking())
        continue;
      each->capture->invalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
  }
  Task task;
  task.work = std::move(work);
  enqueue(context, stream, std::move(task));
  return CUDA_SUCCESS;
}

void Call::waitForAll() {
  Context &all = *context;
  wait([&all, number = all.submitted] {
    return std::all_of(all.streams.begin(), all.streams.end(),
                       [&](const auto &each) { return each->isDone(number); });
  });
}

void Call::waitFor(const Stream &stream) {
  Context &all = *context;
  wait([&, number = all.submitted] {
    if (!stream.isDefault)
      return stream.isDone(number);
    return std::all_of(all.streams.begin(), all.streams.end(), [&](const auto &each) {
      return !each->isBlocking() || each->isDone(number);
    });
  });
}

CUresult Call::verdict() {
  if (context->error)
    return context->error;
  return std::exchange(context->heardWrongNotes, false) ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

Call::Call(Needs needs) : held(library().turn) {
  if (needs == Needs::Nothing)
    return;
  if (!library().isInitialised) {
    wrong = CUDA_ERROR_NOT_INITIALIZED;
    return;
  }
  if (!contextStack().empty())
    context = contextStack().back();
  if (needs == Needs::Initialised)
    return;
  if (!context)
    wrong = CUDA_ERROR_INVALID_CONTEXT;
  else if (context->isClosing)
    wrong = CUDA_ERROR_CONTEXT_IS_DESTROYED;
  else if (needs == Needs::HealthyContext)
    wrong = context->error;
}

std::shared_ptr<Stream> Call::stream(CUstream handle) const {
  constexpr uintptr_t legacy = 1, perThread = 2;
  auto number = reinterpret_cast<uintptr_t>(handle);
  if (number <= legacy)
    return context->streams[0];
  if (number == perThread)
    return context->streams[1];
  auto found = library().streams.find(handle);
  return found && found->context == context.get() ? found : nullptr;
}

Library &library() {
  static auto *all = new Library;
  return *all;
}

} // namespace pianola::cuda
