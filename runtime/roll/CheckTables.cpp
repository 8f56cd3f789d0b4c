// CheckTables.cpp - whether all that a roll's tables point at is there.
#include "runtime/roll/CheckTables.h"

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
    if (__builtin_mul_overflow(context.heads * context.size, manifest.maxModelLen * 8, &bytes) ||
        __builtin_add_overflow(total, bytes, &total) || total > (uint64_t(1) << 47))
      return Status::error("manifest: contexts of " + number(manifest.maxModelLen) +
                           " positions are larger than any memory");
  }
  return Status();
}

Status checkProgram(const Roll &roll, const RollProgram &program) {
  const RollManifest &manifest = roll.manifest();
  std::string where = "manifest: program " + program.name;
  if (program.slots > (uint64_t(1) << 16) || program.arena > (uint64_t(1) << 40))
    return Status::error(where + ": needs " + number(program.arena) + " bytes of activations");
  if (program.logits.at % 64 != 0 || program.logits.columns > (uint64_t(1) << 32) ||
      program.logits.columns < static_cast<uint64_t>(manifest.model.vocabulary) ||
      !fits(program.logits.at, program.slots * program.logits.columns * 4, program.arena))
    return Status::error(where + ": logits do not lie in the arena");
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
                     : binding.space == RollSpace::Rotation ? manifest.rotations.size()
                                                            : manifest.tables.size();
      if (binding.at >= end || (binding.space == RollSpace::Arena && binding.at % 64 != 0))
        return Status::error(where + ": steps[" + number(s) + "] binds " + number(binding.at) +
                             ", which is not there");
    }
  return Status();
}

Status checkRecord(const Roll &roll, const RollProgram &program, size_t worker, uint64_t index) {
  const RollManifest &manifest = roll.manifest();
  const PianolaRollRecord &record = roll.records()[index];
  std::string where = "section records: record " + number(index) + ": ";
  if (record.reserved != 0)
    return Status::error(where + "reserved bytes are not zero");
  if (record.step >= program.steps.size())
    return Status::error(where + "step " + number(record.step) + " of " +
                         number(program.steps.size()));
  if (record.kind == PIANOLA_RECORD_WAIT || record.kind == PIANOLA_RECORD_SIGNAL) {
    if (record.index >= program.events)
      return Status::error(where + "event " + number(record.index) + " of " +
                           number(program.events));
    return Status();
  }
  if (record.kind != PIANOLA_RECORD_RUN)
    return Status::error(where + "kind " + number(record.kind));
  if (record.index >= manifest.parts.size())
    return Status::error(where + "part " + number(record.index) + " of " +
                         number(manifest.parts.size()));
  if (record.begin >= record.end)
    return Status::error(where + "tiles " + number(record.begin) + " to " + number(record.end));
  const RollTape &tape = manifest.tapes[worker];
  if (record.tape > tape.bytes || record.resident > record.tape || record.tape % 64 != 0 ||
      record.resident % 64 != 0)
    return Status::error(where + "does not lie on the worker's tape");
  return Status();
}

// Goes on with each worker as far as its waits allow, until nothing moves.
Status checkEnds(const Roll &roll, const RollProgram &program) {
  std::vector<uint64_t> events(program.events, 0), next;
  for (const RecordRange &range : program.records)
    next.push_back(range.first);
  for (bool progress = true; progress;) {
    progress = false;
    for (size_t w = 0; w < next.size(); ++w) {
      uint64_t end = program.records[w].first + program.records[w].count;
      for (; next[w] < end; ++next[w], progress = true) {
        const PianolaRollRecord &record = roll.records()[next[w]];
        if (record.kind == PIANOLA_RECORD_WAIT && events[record.index] < record.begin)
          break;
        if (record.kind == PIANOLA_RECORD_SIGNAL)
          ++events[record.index];
      }
    }
  }
  for (size_t w = 0; w < next.size(); ++w)
    if (next[w] < program.records[w].first + program.records[w].count)
      return Status::error("section records: in program " + program.name + " worker " + number(w) +
                           " would wait forever at record " + number(next[w]));
  return Status();
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
      for (uint64_t i = range.first; i < range.first + range.count; ++i)
        if (Status status = checkRecord(roll, program, worker, i); !status.ok())
          return status;
    }
    if (Status status = checkEnds(roll, program); !status.ok())
      return status;
  }
  return Status();
}

} // namespace pianola
