// PredictedPlay.cpp - the play of a token as the compiler predicted it, to look at.
#include "runtime/timeline/PredictedPlay.h"

#include "runtime/timeline/StageKind.h"

#include <cmath>
#include <cstring>

namespace pianola {

namespace {

bool isFinite(const PianolaRollSpan &span) {
  for (float value : {span.arrive, span.ready, span.work, span.end, span.starved,
                      span.filled_before, span.filled_after})
    if (!std::isfinite(value))
      return false;
  return true;
}

} // namespace

Result<DrawnPlay> predictedPlay(const Roll &roll) {
  const RollManifest &manifest = roll.manifest();
  uint64_t bytes = roll.sectionBytes(PIANOLA_SECTION_TIMELINE);
  if (bytes == 0)
    return Status::error("the roll has no predicted timeline: rolls for GPUs have one");
  const uint8_t *section = roll.section(PIANOLA_SECTION_TIMELINE);
  PianolaRollTimeline timeline;
  if (bytes < sizeof(timeline))
    return Status::error("section timeline: " + std::to_string(bytes) + " bytes are too few");
  std::memcpy(&timeline, section, sizeof(timeline));
  if (timeline.program >= manifest.programs.size() || !std::isfinite(timeline.ns) ||
      bytes - sizeof(timeline) != timeline.spans * sizeof(PianolaRollSpan))
    return Status::error("section timeline: its header does not fit the roll");

  const RollProgram &program = manifest.programs[timeline.program];
  DrawnPlay play;
  play.model = manifest.model.name;
  play.device = manifest.target.device;
  play.slots = static_cast<int64_t>(program.slots);
  play.positions = timeline.positions;
  play.ns = timeline.ns;
  play.ring = timeline.ring;
  for (const RollStep &step : program.steps) {
    double floor = step.cost.tape / (manifest.target.bandwidth * 1e-3); // from MB/s
    play.steps.push_back({step.label, stageKind(step.label), step.cost.tape, floor,
                          static_cast<double>(step.cost.ns)});
    play.floor += floor;
  }
  play.workers.resize(manifest.tapes.size());
  for (uint32_t i = 0; i < timeline.spans; ++i) {
    PianolaRollSpan from;
    std::memcpy(&from, section + sizeof(timeline) + i * sizeof(from), sizeof(from));
    if (from.worker >= play.workers.size() || from.step >= play.steps.size() || !isFinite(from))
      return Status::error("section timeline: span " + std::to_string(i) +
                           " does not fit the roll");
    play.workers[from.worker].push_back({from.step, from.tiles, from.arrive, from.ready, from.work,
                                         from.end, from.starved, from.filled_before,
                                         from.filled_after});
  }
  return play;
}

} // namespace pianola
