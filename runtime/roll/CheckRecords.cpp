// CheckRecords.cpp - whether a program's records can be played.
#include "runtime/roll/CheckRecords.h"

#include "pianola/cuda.h"
#include "runtime/roll/Roll.h"

namespace pianola {

namespace {

std::string number(uint64_t value) { return std::to_string(value); }

Status refuse(uint64_t index, const std::string &what) {
  return Status::error("section records: record " + number(index) + ": " + what);
}

// What is the same for every target.
Status checkRecord(const Roll &roll, const RollProgram &program, size_t worker, uint64_t index) {
  const RollManifest &manifest = roll.manifest();
  const PianolaRollRecord &record = roll.records()[index];
  if (record.reserved != 0)
    return refuse(index, "reserved bytes are not zero");
  if (record.step >= program.steps.size())
    return refuse(index, "step " + number(record.step) + " of " + number(program.steps.size()));
  if (record.kind == PIANOLA_RECORD_WAIT || record.kind == PIANOLA_RECORD_SIGNAL) {
    if (record.index >= program.events)
      return refuse(index, "event " + number(record.index) + " of " + number(program.events));
    return Status();
  }
  if (record.kind != PIANOLA_RECORD_RUN)
    return refuse(index, "kind " + number(record.kind));
  if (record.begin >= record.end)
    return refuse(index, "tiles " + number(record.begin) + " to " + number(record.end));
  if (record.tape > manifest.tapes[worker].bytes || record.tape % 64 != 0)
    return refuse(index, "does not lie on the worker's tape");
  return Status();
}

Status checkHostRun(const Roll &roll, size_t worker, uint64_t index) {
  const PianolaRollRecord &record = roll.records()[index];
  if (record.kind != PIANOLA_RECORD_RUN)
    return Status();
  size_t parts = roll.manifest().parts.size();
  if (record.index >= parts)
    return refuse(index, "part " + number(record.index) + " of " + number(parts));
  if (record.resident > roll.manifest().tapes[worker].bytes || record.resident % 64 != 0)
    return refuse(index, "does not lie on the worker's tape");
  return Status();
}

// A worker's records of a step must fit on one card.
class CardOrder {
public:
  explicit CardOrder(const Roll &roll) : roll(roll) {}

  Status take(uint64_t index) {
    const PianolaRollRecord &record = roll.records()[index];
    if (record.step != step || !began) {
      if (Status status = end(index); !status.ok())
        return status;
      if (began && record.step < step)
        return refuse(index, "comes after step " + number(step));
      began = true;
      step = record.step;
      waits = sections = 0;
      signals = false;
    }
    if (signals)
      return refuse(index, "follows the signal of its step");
    if (record.kind == PIANOLA_RECORD_SIGNAL)
      return signals = true, Status();
    if (record.kind == PIANOLA_RECORD_RUN)
      return takeRun(record, index);
    if (sections != 0)
      return refuse(index, "waits after tiles of its step");
    if (++waits > PIANOLA_CUDA_WAITS)
      return refuse(index,
                    "its step waits for more than " + number(PIANOLA_CUDA_WAITS) + " events");
    return Status();
  }

  /// Before record `index`, which is of another step or behind the last.
  Status end(uint64_t index) const {
    return began && sections == 0 ? refuse(index - 1, "its step has no tiles") : Status();
  }

private:
  Status takeRun(const PianolaRollRecord &record, uint64_t index) {
    if (record.index >= PIANOLA_CUDA_SECTIONS)
      return refuse(index, "section " + number(record.index) + " of at most " +
                               number(PIANOLA_CUDA_SECTIONS));
    if (record.index < sections)
      return refuse(index, "section " + number(record.index) + " comes after section " +
                               number(sections - 1));
    if (sections == 0) {
      if (record.tape < tape)
        return refuse(index, "starts at byte " + number(record.tape) +
                                 " of the tape, the step before at " + number(tape));
      tape = record.tape;
    }
    sections = record.index + 1;
    return Status();
  }

  const Roll &roll;
  bool began = false, signals = false;
  uint32_t step = 0, waits = 0;
  uint32_t sections = 0; // one more than the last one's number
  uint64_t tape = 0;
};

Status checkWorker(const Roll &roll, const RollProgram &program, size_t worker) {
  const RecordRange &range = program.records[worker];
  uint64_t end = range.first + range.count;
  CardOrder cards(roll);
  bool onGpu = roll.manifest().target.isGpu();
  for (uint64_t i = range.first; i < end; ++i) {
    Status status = checkRecord(roll, program, worker, i);
    if (status.ok())
      status = onGpu ? cards.take(i) : checkHostRun(roll, worker, i);
    if (!status.ok())
      return status;
  }
  return cards.end(end);
}

// Goes on with each worker as far as its waits allow, until nothing moves. Of a program that loops
// the second play is like all that follow.
Status checkEnds(const Roll &roll, const RollProgram &program) {
  struct Worker {
    uint64_t next, end;
    int64_t play;
  };
  int64_t plays = program.loops ? 2 : 1;
  std::vector<int64_t> events(program.events, 0), growth(program.events, 0);
  std::vector<Worker> workers;
  for (const RecordRange &range : program.records) {
    workers.push_back({range.first, range.first + range.count, 0});
    for (uint64_t i = range.first; i < range.first + range.count; ++i)
      if (roll.records()[i].kind == PIANOLA_RECORD_SIGNAL)
        ++growth[roll.records()[i].index];
  }
  auto isMet = [&](const PianolaRollRecord &wait, int64_t play) {
    int64_t until = program.loops ? static_cast<int32_t>(wait.begin) : int64_t(wait.begin);
    return events[wait.index] >= play * growth[wait.index] + until;
  };
  for (bool progress = true; progress;) {
    progress = false;
    for (size_t w = 0; w < workers.size(); ++w) {
      Worker &worker = workers[w];
      for (; worker.play < plays; ++worker.play, worker.next = program.records[w].first) {
        for (; worker.next < worker.end; ++worker.next, progress = true) {
          const PianolaRollRecord &record = roll.records()[worker.next];
          if (record.kind == PIANOLA_RECORD_WAIT && !isMet(record, worker.play))
            break;
          if (record.kind == PIANOLA_RECORD_SIGNAL)
            ++events[record.index];
        }
        if (worker.next < worker.end)
          break;
      }
    }
  }
  for (size_t w = 0; w < workers.size(); ++w)
    if (workers[w].play < plays)
      return Status::error("section records: in program " + program.name + " worker " + number(w) +
                           " would wait forever at record " + number(workers[w].next) +
                           (workers[w].play ? " of the second play" : ""));
  return Status();
}

} // namespace

Status checkRecords(const Roll &roll, const RollProgram &program) {
  for (size_t worker = 0; worker < program.records.size(); ++worker)
    if (Status status = checkWorker(roll, program, worker); !status.ok())
      return status;
  return checkEnds(roll, program);
}

} // namespace pianola
