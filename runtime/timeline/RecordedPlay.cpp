// RecordedPlay.cpp - a recording, as a picture and beside what was predicted.
#include "runtime/timeline/RecordedPlay.h"

#include "runtime/timeline/StageKind.h"

#include <algorithm>

namespace pianola {

namespace {

// When the play began, as pictures count.
uint64_t originOf(const Recording &recording, uint64_t play) {
  uint64_t origin = play == 0 ? UINT64_MAX : 0;
  for (uint64_t s = 0; s < recording.steps; ++s)
    for (uint64_t w = 0; w < recording.workers; ++w) {
      if (play > 0)
        origin = std::max(origin, recording.at(play - 1, s, w).end);
      else if (recording.at(0, s, w).end != 0)
        origin = std::min(origin, recording.at(0, s, w).begin);
    }
  return origin;
}

double since(uint64_t time, uint64_t origin) {
  return static_cast<double>(static_cast<int64_t>(time - origin));
}

struct StepTime {
  double ns = 0;      // by which it makes the play longer
  double waiting = 0; // of a worker on average
};

std::vector<StepTime> stepTimes(const Recording &recording, uint64_t play) {
  std::vector<StepTime> times(recording.steps);
  uint64_t origin = originOf(recording, play);
  double reached = 0;
  for (uint64_t s = 0; s < recording.steps; ++s) {
    double last = reached;
    int workers = 0;
    for (uint64_t w = 0; w < recording.workers; ++w) {
      const RecordedSpan &span = recording.at(play, s, w);
      if (span.end == 0)
        continue;
      ++workers;
      times[s].waiting += since(span.ready, span.begin);
      last = std::max(last, since(span.end, origin));
    }
    times[s].ns = last - reached;
    times[s].waiting /= std::max(1, workers);
    reached = last;
  }
  return times;
}

// [step][worker]
std::vector<std::vector<int64_t>> tilesOf(const Roll &roll, const RollProgram &program) {
  std::vector<std::vector<int64_t>> tiles(program.steps.size());
  for (std::vector<int64_t> &step : tiles)
    step.resize(program.records.size());
  for (size_t w = 0; w < program.records.size(); ++w)
    for (uint64_t i = 0; i < program.records[w].count; ++i) {
      const PianolaRollRecord &record = roll.records()[program.records[w].first + i];
      if (record.kind == PIANOLA_RECORD_RUN)
        tiles[record.step][w] += record.end - record.begin;
    }
  return tiles;
}

} // namespace

DrawnPlay drawn(const Roll &roll, const std::string &device, const Recording &recording,
                uint64_t number) {
  const RollManifest &manifest = roll.manifest();
  const RollProgram &program = manifest.programs[recording.program];
  double bytesPerNs = manifest.target.bandwidth * 1e-3; // from MB/s
  DrawnPlay play;
  play.model = manifest.model.name;
  play.device = device;
  play.recorded = true;
  play.slots = static_cast<int64_t>(recording.slots);
  play.positions = static_cast<int64_t>(recording.position + number * recording.slots);
  std::vector<StepTime> times = stepTimes(recording, number);
  for (size_t s = 0; s < program.steps.size(); ++s) {
    const RollStep &step = program.steps[s];
    double floor = step.cost.tape / bytesPerNs;
    play.steps.push_back({step.label, stageKind(step.label), step.cost.tape, floor, times[s].ns});
    play.ns += times[s].ns;
    play.floor += floor;
  }
  uint64_t origin = originOf(recording, number);
  std::vector<std::vector<int64_t>> tiles = tilesOf(roll, program);
  play.workers.resize(recording.workers);
  for (uint64_t w = 0; w < recording.workers; ++w)
    for (uint64_t s = 0; s < recording.steps; ++s) {
      const RecordedSpan &from = recording.at(number, s, w);
      if (from.end == 0)
        continue;
      DrawnSpan span;
      span.step = static_cast<int64_t>(s);
      span.tiles = tiles[s][w];
      span.arrive = since(from.begin, origin);
      span.ready = span.work = since(from.ready, origin);
      span.end = since(from.end, origin);
      play.workers[w].push_back(span);
    }
  return play;
}

std::vector<StageShare> stageShares(const Roll &roll, const Recording &recording) {
  const RollProgram &program = roll.manifest().programs[recording.program];
  std::vector<StageShare> shares;
  std::vector<size_t> shareOf;
  for (const RollStep &step : program.steps) {
    std::string kind = stageKind(step.label);
    auto found = std::find_if(shares.begin(), shares.end(),
                              [&](const StageShare &share) { return share.kind == kind; });
    shareOf.push_back(found - shares.begin());
    if (found == shares.end())
      shares.emplace_back().kind = kind;
    ++shares[shareOf.back()].steps;
    shares[shareOf.back()].predicted += static_cast<double>(step.cost.ns);
  }
  uint64_t first = recording.plays > 1 ? 1 : 0;
  auto plays = static_cast<double>(recording.plays - first);
  for (uint64_t play = first; play < recording.plays; ++play) {
    std::vector<StepTime> times = stepTimes(recording, play);
    for (size_t s = 0; s < times.size(); ++s) {
      shares[shareOf[s]].recorded += times[s].ns / plays;
      shares[shareOf[s]].waiting += times[s].waiting / plays;
    }
  }
  return shares;
}

} // namespace pianola
