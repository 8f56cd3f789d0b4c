// Session.cpp - one conversation with a model: a context that grows.
#include "runtime/session/Session.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pianola {

static uint64_t alignTo(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

Result<std::unique_ptr<Session>> Session::create(const Roll &roll, const SessionOptions &options) {
  std::unique_ptr<Session> session(new Session(roll));
  if (Status status = session->allocate(options); !status.ok())
    return status;
  session->bind();
  unsigned workers = roll.manifest().tapes.size();
  session->player = std::make_unique<Player>(roll, options.threads ? options.threads : workers,
                                             options.watchdogSeconds);
  return session;
}

Status Session::allocate(const SessionOptions &options) {
  const RollManifest &manifest = roll.manifest();
  limit = options.maxLen ? options.maxLen : manifest.maxModelLen;
  if (limit > manifest.maxModelLen)
    return Status::error("max_len " + std::to_string(limit) + " is more than the " +
                         std::to_string(manifest.maxModelLen) +
                         " positions that the roll was compiled for (--max-model-len)");
  capacity = alignTo(limit, 64);

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
    uint64_t element = context.bf16 ? 2 : 4;
    bytes = alignTo(bytes + 2 * context.heads * context.size * capacity * element, 4096);
  }
  memory = Memory::create(bytes, "context");
  if (!memory)
    return memory.status();
  contexts = std::move(*memory);

  bytes = 0;
  for (const RollRotation &rotation : manifest.rotations) {
    rotationOffsets.push_back(bytes);
    bytes = alignTo(bytes + capacity * 2 * rotation.invFreq.size() * sizeof(float), 4096);
  }
  memory = Memory::create(bytes, "rotations");
  if (!memory)
    return memory.status();
  rotations = std::move(*memory);
  return Status();
}

void Session::bind() {
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
  for (size_t p = 0; p < manifest.programs.size(); ++p) {
    const RollProgram &program = manifest.programs[p];
    if (program.slots < manifest.programs[single].slots)
      single = p;
    if (program.slots > manifest.programs[chunk].slots)
      chunk = p;
    bindings.emplace_back();
    for (const RollStep &step : program.steps) {
      std::vector<void *> addresses;
      for (const RollBinding &binding : step.bindings)
        switch (binding.space) {
        case RollSpace::Arena:
          addresses.push_back(arena.data() + binding.at);
          break;
        case RollSpace::Context:
          addresses.push_back(contexts.data() + contextOffsets[binding.at]);
          break;
        case RollSpace::Rotation:
          addresses.push_back(rotations.data() + rotationOffsets[binding.at]);
          break;
        case RollSpace::Table:
          addresses.push_back(tables[binding.at]);
          break;
        }
      bindings.back().push_back(std::move(addresses));
    }
  }
}

// As transformers' LlamaRotaryEmbedding computes them: the angle is a product in f32.
void Session::fillRotations(uint64_t end) {
  const RollManifest &manifest = roll.manifest();
  for (size_t r = 0; r < manifest.rotations.size(); ++r) {
    const RollRotation &rotation = manifest.rotations[r];
    size_t pairs = rotation.invFreq.size();
    auto *table = reinterpret_cast<float *>(rotations.data() + rotationOffsets[r]);
    for (uint64_t p = rotationsFilled; p < end; ++p)
      for (size_t i = 0; i < pairs; ++i) {
        float angle = static_cast<float>(p) * rotation.invFreq[i];
        table[p * 2 * pairs + i] = std::cos(angle) * rotation.scale;
        table[p * 2 * pairs + pairs + i] = std::sin(angle) * rotation.scale;
      }
  }
  rotationsFilled = std::max(rotationsFilled, end);
}

Status Session::check(const int32_t *ids, size_t count) const {
  if (!broken.empty())
    return Status::error(broken);
  if (count == 0)
    return Status::error("nothing to feed");
  if (count > limit - next)
    return Status::error(std::to_string(count) + " tokens at position " + std::to_string(next) +
                         " do not fit in the " + std::to_string(limit) +
                         " positions of this session (--max-model-len)");
  int64_t vocabulary = roll.manifest().model.vocabulary;
  for (size_t i = 0; i < count; ++i)
    if (ids[i] < 0 || ids[i] >= vocabulary)
      return Status::error("token " + std::to_string(i) + " is " + std::to_string(ids[i]) +
                           ", which is not in the vocabulary of " + std::to_string(vocabulary));
  return Status();
}

Status Session::playChunk(const int32_t *ids, size_t count, uint64_t firstOutput, size_t program) {
  fillRotations(next + count);
  Play play;
  play.program = program;
  play.bindings = &bindings[program];
  play.tokens = ids;
  play.position = next;
  play.slots = count;
  play.firstOutput = firstOutput;
  play.capacity = capacity;
  Status status = player->play(play);
  if (!status.ok()) {
    if (!player->wasCancelled())
      broken = status.message();
    return status;
  }
  next += count;
  return status;
}

Status Session::feed(const int32_t *ids, size_t count, const FeedOptions &options) {
  if (Status status = check(ids, count); !status.ok())
    return status;
  lastLogits = nullptr;
  const RollManifest &manifest = roll.manifest();
  uint64_t vocabulary = manifest.model.vocabulary;
  for (size_t done = 0; done < count;) {
    size_t left = count - done;
    size_t program = options.oneByOne || left == 1 ? single : chunk;
    const RollProgram &played = manifest.programs[program];
    size_t slots = std::min<uint64_t>(left, played.slots);
    bool isLast = slots == left;
    uint64_t firstOutput = options.allLogits ? 0 : isLast ? slots - 1 : slots;
    if (Status status = playChunk(ids + done, slots, firstOutput, program); !status.ok())
      return status;
    auto *rows = reinterpret_cast<const float *>(arena.data() + played.logits.at);
    if (options.allLogits)
      for (size_t slot = 0; slot < slots; ++slot)
        std::memcpy(options.allLogits + (done + slot) * vocabulary,
                    rows + slot * played.logits.columns, vocabulary * sizeof(float));
    if (isLast)
      lastLogits = rows + (slots - 1) * played.logits.columns;
    done += slots;
  }
  return Status();
}

Status Session::truncate(uint64_t length) {
  if (length > next)
    return Status::error("cannot keep " + std::to_string(length) + " positions of " +
                         std::to_string(next));
  next = length;
  lastLogits = nullptr;
  return Status();
}

} // namespace pianola
