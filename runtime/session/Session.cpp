// Session.cpp - one conversation with a model: a context that grows.
#include "runtime/session/Session.h"

#include "runtime/cuda/CudaDevice.h"
#include "runtime/host/HostDevice.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace pianola {

std::optional<DeviceKind> parseDevice(const std::string &name) {
  if (name == "auto")
    return DeviceKind::Auto;
  if (name == "host")
    return DeviceKind::Host;
  if (name == "cuda")
    return DeviceKind::Cuda;
  if (name == "emulator")
    return DeviceKind::Emulator;
  return std::nullopt;
}

std::optional<LaunchKind> parseLaunch(const std::string &name) {
  if (name == "persistent")
    return LaunchKind::Persistent;
  if (name == "graph")
    return LaunchKind::Graph;
  return std::nullopt;
}

static Result<std::unique_ptr<Device>> openDevice(const Roll &roll, uint64_t limit,
                                                  const SessionOptions &options) {
  bool onGpu = roll.manifest().target.isGpu();
  if (onGpu && options.device == DeviceKind::Host)
    return Status::error("the roll is compiled for a GPU, not for the host");
  if (!onGpu && options.device != DeviceKind::Auto && options.device != DeviceKind::Host)
    return Status::error("the roll is compiled for the host, not for a GPU");
  uint64_t capacity = (limit + 63) / 64 * 64;
  if (!onGpu && options.tracePlays)
    return Status::error("the roll is compiled for the host, and recordings are made on GPUs");
  if (!onGpu)
    return HostDevice::create(roll, capacity, options.threads, options.watchdogSeconds);
  cuda::CudaOptions cuda;
  cuda.capacity = capacity;
  cuda.watchdogSeconds = options.watchdogSeconds;
  cuda.tracePlays = options.tracePlays;
  cuda.graphs = options.launch == LaunchKind::Graph;
  if (options.device == DeviceKind::Emulator) {
    Result<std::string> path = cuda::emulatorPath();
    if (!path)
      return path.status();
    cuda.driver = *path;
  }
  return cuda::CudaDevice::create(roll, cuda);
}

Result<std::unique_ptr<Session>> Session::create(const Roll &roll, const SessionOptions &options) {
  std::unique_ptr<Session> session(new Session(roll));
  const RollManifest &manifest = roll.manifest();
  session->limit = options.maxLen ? options.maxLen : manifest.maxModelLen;
  if (session->limit > manifest.maxModelLen)
    return Status::error("max_len " + std::to_string(session->limit) + " is more than the " +
                         std::to_string(manifest.maxModelLen) +
                         " positions that the roll was compiled for (--max-model-len)");
  Result<std::unique_ptr<Device>> device = openDevice(roll, session->limit, options);
  if (!device)
    return device.status();
  session->device = std::move(*device);
  session->bySlots.resize(manifest.programs.size());
  std::iota(session->bySlots.begin(), session->bySlots.end(), 0);
  std::sort(session->bySlots.begin(), session->bySlots.end(), [&](size_t a, size_t b) {
    return manifest.programs[a].slots < manifest.programs[b].slots;
  });
  return session;
}

// The smallest program that takes all that is left, or else the largest.
size_t Session::programFor(size_t left, bool oneByOne) const {
  for (size_t program : bySlots)
    if (oneByOne || roll.manifest().programs[program].slots >= left)
      return program;
  return bySlots.back();
}

Status Session::check(const int32_t *ids, size_t count) const {
  if (!broken.empty())
    return Status::error(broken);
  if (count == 0)
    return Status::error("nothing to feed");
  if (count > limit - position())
    return Status::error(std::to_string(count) + " tokens at position " +
                         std::to_string(position()) + " do not fit in the " +
                         std::to_string(limit) + " positions of this session (--max-model-len)");
  int64_t vocabulary = roll.manifest().model.vocabulary;
  for (size_t i = 0; i < count; ++i)
    if (ids[i] < 0 || ids[i] >= vocabulary)
      return Status::error("token " + std::to_string(i) + " is " + std::to_string(ids[i]) +
                           ", which is not in the vocabulary of " + std::to_string(vocabulary));
  return Status();
}

Status Session::note(Status status) {
  if (!status.ok() && !device->wasCancelled())
    broken = status.message();
  return status;
}

Status Session::feed(const int32_t *ids, size_t count, const FeedOptions &options) {
  if (Status status = check(ids, count); !status.ok())
    return status;
  lastSlot.reset();
  uint64_t vocabulary = roll.manifest().model.vocabulary;
  for (size_t done = 0; done < count;) {
    size_t left = count - done;
    Play play;
    play.program = programFor(left, options.oneByOne);
    play.tokens = ids + done;
    play.slots = std::min<uint64_t>(left, roll.manifest().programs[play.program].slots);
    play.position = position();
    bool isLast = play.slots == left;
    play.firstOutput = options.allLogits ? 0 : isLast ? play.slots - 1 : play.slots;
    if (Status status = note(device->play(play)); !status.ok())
      return status;
    for (size_t slot = 0; options.allLogits && slot < play.slots; ++slot) {
      Result<const float *> row = device->logits(slot);
      if (!row)
        return note(row.status());
      std::memcpy(options.allLogits + (done + slot) * vocabulary, *row, vocabulary * sizeof(float));
    }
    fed.insert(fed.end(), play.tokens, play.tokens + play.slots);
    if (isLast)
      lastSlot = play.slots - 1;
    done += play.slots;
  }
  return Status();
}

Result<const float *> Session::logits() {
  if (!lastSlot)
    return Status::error("there are no logits yet: feed a token first");
  return device->logits(*lastSlot);
}

Result<int32_t> Session::sample(Sampler &sampler) {
  if (!broken.empty())
    return Status::error(broken);
  if (!lastSlot)
    return Status::error("there are no logits yet: feed a token first");
  return device->choose(sampler, fed);
}

Result<GenerationEnd> Session::generate(Sampler &sampler, const GenerateOptions &options) {
  Result<int32_t> first = sample(sampler);
  if (!first)
    return first.status();
  lastSlot.reset();
  uint64_t heard = 0;
  GenerationEnd end = GenerationEnd::Length;
  auto take = [&](int32_t token) {
    ++heard;
    bool goesOn = !options.take || options.take(token);
    if (std::count(options.stops.begin(), options.stops.end(), token))
      end = GenerationEnd::Stop;
    else if (!goesOn)
      end = GenerationEnd::Taker;
    else
      return true;
    return false;
  };
  if (!take(*first) || options.most <= 1)
    return end;
  Loop loop;
  loop.program = bySlots.front();
  loop.first = *first;
  loop.plays = std::min(options.most - 1, limit - position());
  loop.stops = &options.stops;
  loop.take = take;
  if (loop.plays > 0)
    if (Status status = note(device->loop(loop, sampler, fed)); !status.ok())
      return status;
  if (end == GenerationEnd::Length && heard < options.most)
    end = GenerationEnd::Full;
  return end;
}

Status Session::truncate(uint64_t length) {
  if (length > position())
    return Status::error("cannot keep " + std::to_string(length) + " positions of " +
                         std::to_string(position()));
  fed.resize(length);
  lastSlot.reset();
  return Status();
}

} // namespace pianola
