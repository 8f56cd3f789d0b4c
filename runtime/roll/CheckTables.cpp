// CheckTables.cpp - whether all that a roll's tables point at is there.
#include "runtime/roll/CheckTables.h"

#include "pianola/cuda.h"
#include "runtime/roll/CheckRecords.h"
#include "runtime/roll/Roll.h"

namespace pianola {

namespace {

std::string number(uint64_t value) { return std::to_string(value); }

// Whether [offset, offset + bytes) lies in [0, end), without overflow.
bool fits(uint64_t offset, uint64_t bytes, uint64_t end) {
  return offset <= end && bytes <= end - offset;
}

Status checkSections(const Roll &roll) {
  const RollManifest &manifest = roll.manifest();
  for (const RollPart &part : manifest.parts)
    if (part.entry >= roll.sectionBytes(PIANOLA_SECTION_CODE))
      return Status::error("manifest: part " + part.name + " starts at byte " + number(part.entry) +
                           " of a code of " + number(roll.sectionBytes(PIANOLA_SECTION_CODE)));
  for (size_t i = 0; i < manifest.tapes.size(); ++i) {
    const RollTape &tape = manifest.tapes[i];
    if (tape.offset % 64 != 0 ||
        !fits(tape.offset, tape.bytes, roll.sectionBytes(PIANOLA_SECTION_TAPE)))
      return Status::error("manifest: tapes[" + number(i) + "] does not lie in the tape section");
  }
  for (size_t i = 0; i < manifest.pools.size(); ++i) {
    const RollPool &pool = manifest.pools[i];
    if (pool.offset % 64 != 0 ||
        !fits(pool.offset, pool.bytes, roll.sectionBytes(PIANOLA_SECTION_TAPE)))
      return Status::error("manifest: pools[" + number(i) + "] does not lie in the tape section");
  }
  for (size_t i = 0; i < manifest.tables.size(); ++i) {
    const RollTable &table = manifest.tables[i];
    uint64_t end = table.onTapes ? roll.sectionBytes(PIANOLA_SECTION_TILES) / sizeof(uint64_t)
                                 : roll.sectionBytes(PIANOLA_SECTION_TABLE);
    if (!fits(table.offset, table.count, end))
      return Status::error("manifest: tables[" + number(i) + "] does not lie in its section");
  }
  auto *tiles = reinterpret_cast<const uint64_t *>(roll.section(PIANOLA_SECTION_TILES));
  for (uint64_t i = 0; i < roll.sectionBytes(PIANOLA_SECTION_TILES) / sizeof(uint64_t); ++i)
    if (tiles[i] % 64 != 0 || tiles[i] >= roll.sectionBytes(PIANOLA_SECTION_TAPE))
      return Status::error("section tiles: entry " + number(i) + " does not lie on a tape");
  // Memory that a session will ask for.
  uint64_t total = 0;
  for (const RollContext &context : manifest.contexts) {
    uint64_t bytes;
    if (__builtin_mul_overflow(context.heads * context.size, context.room(manifest.maxModelLen) * 8,
                               &bytes) ||
        __builtin_add_overflow(total, bytes, &total) || total > (uint64_t(1) << 47))
      return Status::error("manifest: contexts of " + number(manifest.maxModelLen) +
                           " positions are larger than any memory");
  }
  for (uint64_t bytes : manifest.states)
    total += bytes;
  if (total > (uint64_t(1) << 47))
    return Status::error("manifest: states are larger than any memory");
  return Status();
}

// What a GPU is launched with.
Status checkKernel(const Roll &roll, const RollProgram &program) {
  const RollKernel &kernel = program.kernel;
  std::string where = "manifest: program " + program.name;
  if (kernel.chunk * kernel.slots > kernel.shared)
    return Status::error(where + ": a ring of " + number(kernel.slots) + " times " +
                         number(kernel.chunk) + " bytes does not fit in " + number(kernel.shared) +
                         " bytes of shared memory");
  for (size_t s = 0; s < program.steps.size(); ++s) {
    const RollStep &step = program.steps[s];
    if (step.stage >= kernel.stages.size())
      return Status::error(where + ": steps[" + number(s) + "] plays stage " + number(step.stage) +
                           " of " + number(kernel.stages.size()));
    if (step.bindings.size() > PIANOLA_CUDA_BINDINGS)
      return Status::error(where + ": steps[" + number(s) + "] has " +
                           number(step.bindings.size()) + " bindings, more than " +
                           number(PIANOLA_CUDA_BINDINGS));
  }
  for (size_t i = 0; i < roll.manifest().tapes.size(); ++i)
    if (roll.manifest().tapes[i].bytes % PIANOLA_ROLL_TAPE_UNIT != 0)
      return Status::error(
          "manifest: tapes[" + number(i) + "] is " + number(roll.manifest().tapes[i].bytes) +
          " bytes long, which is no multiple of " + number(PIANOLA_ROLL_TAPE_UNIT));
  return Status();
}

Status checkProgram(const Roll &roll, const RollProgram &program) {
  const RollManifest &manifest = roll.manifest();
  std::string where = "manifest: program " + program.name;
  if (program.slots > (uint64_t(1) << 16) || program.arena > (uint64_t(1) << 40))
    return Status::error(where + ": needs " + number(program.arena) + " bytes of activations");
  auto lie = [&](const RollRows &rows, int64_t least) {
    return rows.at % 64 == 0 && rows.columns <= (uint64_t(1) << 32) &&
           rows.columns >= static_cast<uint64_t>(least) &&
           fits(rows.at, program.slots * rows.columns * 4, program.arena);
  };
  if (!lie(program.logits, manifest.model.vocabulary))
    return Status::error(where + ": logits do not lie in the arena");
  if (program.hiddenStates.has_value() != manifest.hasHiddenStates())
    return Status::error(where + ": hidden states are there in some programs only");
  if (program.hiddenStates && !lie(*program.hiddenStates, manifest.model.hidden))
    return Status::error(where + ": hidden states do not lie in the arena");
  if (program.records.size() != manifest.tapes.size())
    return Status::error(where + ": has records for " + number(program.records.size()) +
                         " workers, expected " + number(manifest.tapes.size()));
  // What a session asks for stands in proportion to the file.
  uint64_t records = roll.sectionBytes(PIANOLA_SECTION_RECORDS) / sizeof(PianolaRollRecord);
  if (program.events > records)
    return Status::error(where + ": has " + number(program.events) + " events, and the roll " +
                         number(records) + " records");
  if (program.scratch > (uint64_t(1) << 28))
    return Status::error(where + ": wants " + number(program.scratch) +
                         " bytes of scratch for each worker, more than 256 MiB");
  for (size_t s = 0; s < program.steps.size(); ++s)
    for (const RollBinding &binding : program.steps[s].bindings) {
      uint64_t end = binding.space == RollSpace::Arena      ? program.arena
                     : binding.space == RollSpace::Context  ? manifest.contexts.size()
                     : binding.space == RollSpace::State    ? manifest.states.size()
                     : binding.space == RollSpace::Rotation ? manifest.rotations.size()
                     : binding.space == RollSpace::Table    ? manifest.tables.size()
                     : binding.space == RollSpace::Pool
                         ? manifest.pools.size()
                         : roll.sectionBytes(PIANOLA_SECTION_CONSTANT);
      bool isByte = binding.space == RollSpace::Arena || binding.space == RollSpace::Constant;
      if (binding.at >= end || (isByte && binding.at % 64 != 0))
        return Status::error(where + ": steps[" + number(s) + "] binds " + number(binding.at) +
                             ", which is not there");
    }
  return manifest.target.isGpu() ? checkKernel(roll, program) : Status();
}

} // namespace

Status checkTables(const Roll &roll) {
  if (Status status = checkSections(roll); !status.ok())
    return status;
  uint64_t records = roll.sectionBytes(PIANOLA_SECTION_RECORDS) / sizeof(PianolaRollRecord);
  for (const RollProgram &program : roll.manifest().programs) {
    if (Status status = checkProgram(roll, program); !status.ok())
      return status;
    for (size_t worker = 0; worker < program.records.size(); ++worker) {
      const RecordRange &range = program.records[worker];
      if (!fits(range.first, range.count, records))
        return Status::error("manifest: program " + program.name + ": records of worker " +
                             number(worker) + " do not lie in their section");
    }
    if (Status status = checkRecords(roll, program); !status.ok())
      return status;
  }
  return Status();
}

} // namespace pianola
