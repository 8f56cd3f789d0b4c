// HostDevice.cpp - plays a roll for the host: the memory of conversations, and threads.
#include "runtime/host/HostDevice.h"

#include "runtime/session/Rotations.h"

#include <algorithm>
#include <cstring>

namespace pianola {

static uint64_t alignTo(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

Result<std::unique_ptr<Device>> HostDevice::create(const Roll &roll, uint64_t capacity,
                                                   uint64_t sequences, unsigned threads,
                                                   double watchdogSeconds) {
  std::unique_ptr<HostDevice> device(new HostDevice(roll, capacity, sequences));
  if (Status status = device->allocate(); !status.ok())
    return status;
  device->bindTables();
  device->bindSteps();
  unsigned workers = roll.manifest().tapes.size();
  device->player = std::make_unique<Player>(roll, threads ? threads : workers, watchdogSeconds);
  return std::unique_ptr<Device>(std::move(device));
}

Status HostDevice::allocate() {
  const RollManifest &manifest = roll.manifest();
  uint64_t bytes = 0;
  for (const RollProgram &program : manifest.programs)
    bytes = std::max(bytes, program.arena);
  Result<Memory> memory = Memory::create(bytes, "activations");
  if (!memory)
    return memory.status();
  arena = std::move(*memory);

  bytes = 0;
  for (const RollContext &context : manifest.contexts) {
    contextOffsets.push_back(bytes);
    bytes = alignTo(bytes + context.positionBytes() * context.room(capacity) * sequences, 4096);
  }
  memory = Memory::create(bytes, "context");
  if (!memory)
    return memory.status();
  contexts = std::move(*memory);

  bytes = 0;
  for (uint64_t ofSequence : manifest.states) {
    stateOffsets.push_back(bytes);
    bytes = alignTo(bytes + ofSequence * sequences, 4096);
  }
  memory = Memory::create(bytes, "state");
  if (!memory)
    return memory.status();
  states = std::move(*memory);

  bytes = 0;
  for (const RollRotation &rotation : manifest.rotations) {
    rotationOffsets.push_back(bytes);
    bytes = alignTo(bytes + capacity * rotationBytes(rotation), 4096);
  }
  memory = Memory::create(bytes, "rotations");
  if (!memory)
    return memory.status();
  rotations = std::move(*memory);
  return Status();
}

void HostDevice::bindTables() {
  const RollManifest &manifest = roll.manifest();
  auto constant = [](const uint8_t *address) { return const_cast<uint8_t *>(address); };
  tableTiles.resize(manifest.tables.size());
  for (size_t t = 0; t < manifest.tables.size(); ++t) {
    const RollTable &table = manifest.tables[t];
    if (!table.onTapes) {
      tables.push_back(constant(roll.section(PIANOLA_SECTION_TABLE) + table.offset));
      continue;
    }
    auto *offsets = reinterpret_cast<const uint64_t *>(roll.section(PIANOLA_SECTION_TILES));
    for (uint64_t i = 0; i < table.count; ++i)
      tableTiles[t].push_back(
          constant(roll.section(PIANOLA_SECTION_TAPE) + offsets[table.offset + i]));
    tables.push_back(tableTiles[t].data());
  }
}

void HostDevice::bindSteps() {
  auto addressOf = [&](const RollBinding &binding) -> void * {
    switch (binding.space) {
    case RollSpace::Arena:
      return arena.data() + binding.at;
    case RollSpace::Context:
      return contexts.data() + contextOffsets[binding.at];
    case RollSpace::State:
      return states.data() + stateOffsets[binding.at];
    case RollSpace::Rotation:
      return rotations.data() + rotationOffsets[binding.at];
    case RollSpace::Table:
      return tables[binding.at];
    case RollSpace::Pool:
      return const_cast<uint8_t *>(roll.section(PIANOLA_SECTION_TAPE) +
                                   roll.manifest().pools[binding.at].offset);
    case RollSpace::Constant:
      break;
    }
    return const_cast<uint8_t *>(roll.section(PIANOLA_SECTION_CONSTANT) + binding.at);
  };
  for (const RollProgram &program : roll.manifest().programs) {
    bindings.emplace_back();
    for (const RollStep &step : program.steps) {
      std::vector<void *> addresses;
      for (const RollBinding &binding : step.bindings)
        addresses.push_back(addressOf(binding));
      bindings.back().push_back(std::move(addresses));
    }
  }
}

void HostDevice::fillRotations(uint64_t end) {
  const RollManifest &manifest = roll.manifest();
  for (size_t r = 0; r < manifest.rotations.size() && rotationsFilled < end; ++r) {
    const RollRotation &rotation = manifest.rotations[r];
    uint8_t *row =
        rotations.data() + rotationOffsets[r] + rotationsFilled * rotationBytes(rotation);
    fillRotation(rotation, rotationsFilled, end, reinterpret_cast<float *>(row));
  }
  rotationsFilled = std::max(rotationsFilled, end);
}

Status HostDevice::play(const Play &play) {
  const std::vector<uint64_t> &positions = play.slots.positions;
  fillRotations(*std::max_element(positions.begin(), positions.end()) + 1);
  lastProgram = play.program;
  lastSlots = play.slots.size();
  HostPlay host;
  host.play = &play;
  host.bindings = &bindings[play.program];
  host.capacity = capacity;
  return player->play(host);
}

// In a context each head has its keys, and each its values, position after position in groups of
// 16, of which the last one is copied whole: what lies beyond `length` may be anything.
Status HostDevice::copy(uint32_t from, uint32_t to, uint64_t length, uint64_t written) {
  for (size_t i = 0; i < contextOffsets.size(); ++i) {
    const RollContext &context = roll.manifest().contexts[i];
    uint64_t room = context.room(capacity);
    uint64_t copied = std::min(room, alignTo(context.ring ? written : length, 16));
    uint64_t halves = 2 * context.heads, each = context.positionBytes() / halves;
    uint8_t *begin = contexts.data() + contextOffsets[i];
    for (uint64_t half = 0; half < halves; ++half) {
      auto place = [&](uint64_t sequence) {
        return begin + (sequence * halves + half) * room * each;
      };
      std::memcpy(place(to), place(from), copied * each);
    }
  }
  for (size_t i = 0; i < stateOffsets.size(); ++i) {
    uint64_t bytes = roll.manifest().states[i];
    uint8_t *begin = states.data() + stateOffsets[i];
    std::memcpy(begin + to * bytes, begin + from * bytes, bytes);
  }
  return Status();
}

const float *HostDevice::rowOf(const RollRows &rows, uint64_t slot) const {
  return reinterpret_cast<const float *>(arena.data() + rows.at) + slot * rows.columns;
}

Result<const float *> HostDevice::logits(uint64_t slot) {
  return rowOf(roll.manifest().programs[lastProgram].logits, slot);
}

Result<const float *> HostDevice::hiddenState(uint64_t slot) {
  return rowOf(*roll.manifest().programs[lastProgram].hiddenStates, slot);
}

Result<int32_t> HostDevice::choose(Sampler &sampler, const std::vector<int32_t> &history) {
  return sampler.sample(*logits(lastSlots - 1), history);
}

} // namespace pianola
