// Prepare.cpp - the memory of a conversation on a GPU.
#include "runtime/cuda/CudaDevice.h"
#include "runtime/session/Rotations.h"

#include <algorithm>

namespace pianola::cuda {

// Positions whose rows are made and copied at once.
static constexpr uint64_t kRows = 4096;

Status CudaDevice::allocate() {
  const RollManifest &manifest = roll.manifest();
  uint64_t arenaBytes = 0, eventCount = 1, slots = 1, steps = 0;
  for (const RollProgram &program : manifest.programs) {
    arenaBytes = std::max(arenaBytes, program.arena);
    eventCount = std::max(eventCount, program.events);
    slots = std::max(slots, program.slots);
    steps = std::max<uint64_t>(steps, program.steps.size());
  }
  launcher = Launcher::create(*loaded, options.graphs);
  contexts.resize(manifest.contexts.size());
  states.resize(manifest.states.size());
  rotations.resize(manifest.rotations.size());

  MemoryPlan plan;
  loaded->plan(plan);
  for (size_t i = 0; i < contexts.size(); ++i) {
    const RollContext &context = manifest.contexts[i];
    plan.add("context", context.positionBytes() * context.room(options.capacity), contexts[i]);
  }
  for (size_t i = 0; i < states.size(); ++i)
    plan.add("what layers remember", manifest.states[i], states[i]);
  for (size_t i = 0; i < rotations.size(); ++i)
    plan.add("rotations", options.capacity * rotationBytes(manifest.rotations[i]), rotations[i]);
  plan.add("activations", arenaBytes, arena);
  plan.add("events", eventCount * PIANOLA_CUDA_EVENT_STRIDE, events);
  plan.add("state", sizeof(PianolaCudaState), state);
  plan.add("tokens", slots * sizeof(int32_t), tokens);
  plan.add("counts", manifest.model.validVocabulary * sizeof(uint32_t), counts);
  plan.add("bias", manifest.model.validVocabulary * sizeof(float), bias);
  plan.add("recordings",
           options.tracePlays * steps * manifest.tapes.size() * sizeof(PianolaCudaSpan), spans);
  launcher->plan(plan);
  return plan.allocate(gpu);
}

Status CudaDevice::fillRotations() {
  std::vector<float> rows;
  for (size_t r = 0; r < rotations.size(); ++r) {
    const RollRotation &rotation = roll.manifest().rotations[r];
    uint64_t bytes = rotationBytes(rotation);
    for (uint64_t begin = 0; begin < options.capacity; begin += kRows) {
      uint64_t end = std::min(begin + kRows, options.capacity);
      rows.resize((end - begin) * bytes / sizeof(float));
      fillRotation(rotation, begin, end, rows.data());
      if (Status status = rotations[r].write(begin * bytes, rows.data(), (end - begin) * bytes);
          !status.ok())
        return status;
    }
  }
  return Status();
}

Status CudaDevice::prepare() {
  // Kernels read whole blocks of positions, of which those not yet filled must be numbers.
  for (const DeviceMemory &context : contexts)
    if (Status status = context.clear(0, context.size()); !status.ok())
      return status;
  // What is there before the first position is read, though it counts nothing.
  for (const DeviceMemory &memory : states)
    if (Status status = memory.clear(0, memory.size()); !status.ok())
      return status;
  if (Status status = fillRotations(); !status.ok())
    return status;
  // A token for each position, and one that is chosen and not played.
  if (Status status = list.allocate(gpu, options.capacity + 1); !status.ok())
    return status;

  Addresses addresses;
  addresses.arena = arena.address();
  addresses.constants = loaded->constants();
  for (const DeviceMemory &context : contexts)
    addresses.contexts.push_back(context.address());
  for (const DeviceMemory &memory : states)
    addresses.states.push_back(memory.address());
  for (const DeviceMemory &rotation : rotations)
    addresses.rotations.push_back(rotation.address());
  for (const RollPool &pool : roll.manifest().pools)
    addresses.pools.push_back(loaded->tape() + pool.offset);
  for (size_t t = 0; t < roll.manifest().tables.size(); ++t)
    addresses.tables.push_back(loaded->table(t));
  LaunchPlaces places;
  places.events = events.address();
  places.eventBytes = events.size();
  places.state = state.address();
  places.host = list.address();
  places.watchdog = static_cast<uint64_t>(options.watchdogSeconds * 1e9);
  return launcher->prepare(addresses, places);
}

} // namespace pianola::cuda
