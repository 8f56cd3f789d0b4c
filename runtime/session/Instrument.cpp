// Instrument.cpp - a roll on the device that plays it.
#include "runtime/session/Instrument.h"

#include "runtime/cuda/CudaDevice.h"
#include "runtime/host/HostDevice.h"

#include <algorithm>
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

static Result<std::unique_ptr<Device>>
openDevice(const Roll &roll, uint64_t limit, const SessionOptions &options, uint64_t sequences) {
  bool onGpu = roll.manifest().target.isGpu();
  if (onGpu && options.device == DeviceKind::Host)
    return Status::error("the roll is compiled for a GPU, not for the host");
  if (!onGpu && options.device != DeviceKind::Auto && options.device != DeviceKind::Host)
    return Status::error("the roll is compiled for the host, not for a GPU");
  if (onGpu && sequences > 1)
    return Status::error("the roll is compiled for a GPU, whose player keeps one sequence: " +
                         std::to_string(sequences) + " are more");
  uint64_t capacity = (limit + 63) / 64 * 64;
  if (!onGpu && options.tracePlays)
    return Status::error("the roll is compiled for the host, and recordings are made on GPUs");
  if (!onGpu)
    return HostDevice::create(roll, capacity, sequences, options.threads, options.watchdogSeconds);
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

Result<Instrument> Instrument::open(const Roll &roll, const SessionOptions &options,
                                    uint64_t sequences) {
  Instrument instrument;
  instrument.played = &roll;
  const RollManifest &manifest = roll.manifest();
  instrument.limit = options.maxLen ? options.maxLen : manifest.maxModelLen;
  if (instrument.limit > manifest.maxModelLen)
    return Status::error("max_len " + std::to_string(instrument.limit) + " is more than the " +
                         std::to_string(manifest.maxModelLen) +
                         " positions that the roll was compiled for (--max-model-len)");
  Result<std::unique_ptr<Device>> device = openDevice(roll, instrument.limit, options, sequences);
  if (!device)
    return device.status();
  instrument.opened = std::move(*device);
  instrument.bySlots.resize(manifest.programs.size());
  std::iota(instrument.bySlots.begin(), instrument.bySlots.end(), 0);
  std::sort(instrument.bySlots.begin(), instrument.bySlots.end(), [&](size_t a, size_t b) {
    return manifest.programs[a].slots < manifest.programs[b].slots;
  });
  return instrument;
}

size_t Instrument::programFor(size_t slots) const {
  for (size_t program : bySlots)
    if (slotsOf(program) >= slots)
      return program;
  return bySlots.back();
}

Status Instrument::check(const int32_t *ids, size_t count, uint64_t position) const {
  if (Status status = check(); !status.ok())
    return status;
  if (count == 0)
    return Status::error("nothing to feed");
  if (count > limit - position)
    return Status::error(std::to_string(count) + " tokens at position " + std::to_string(position) +
                         " do not fit in the " + std::to_string(limit) +
                         " positions of this session (--max-model-len)");
  int64_t vocabulary = roll().manifest().model.vocabulary;
  for (size_t i = 0; i < count; ++i)
    if (ids[i] < 0 || ids[i] >= vocabulary)
      return Status::error("token " + std::to_string(i) + " is " + std::to_string(ids[i]) +
                           ", which is not in the vocabulary of " + std::to_string(vocabulary));
  return Status();
}

bool Instrument::keeps(uint64_t length, uint64_t written) const {
  if (length == 0)
    return true;
  // What a layer remembers cannot be taken back.
  if (!roll().manifest().states.empty() && length != written)
    return false;
  for (const RollContext &context : roll().manifest().contexts)
    if (context.ring && written > *context.ring &&
        length + *context.ring < written + *context.window)
      return false;
  return true;
}

Result<const float *> Instrument::hiddenState(uint64_t slot) const {
  if (!roll().manifest().hasHiddenStates())
    return Status::error("the roll keeps no hidden states: compile the model with --hidden-states");
  return opened->hiddenState(slot);
}

Status Instrument::note(Status status) {
  if (!status.ok() && !opened->wasCancelled())
    broken = status.message();
  return status;
}

} // namespace pianola
