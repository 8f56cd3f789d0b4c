// RecordedPlay.h - a recording, as a picture and beside what was predicted.
#ifndef PIANOLA_RUNTIME_TIMELINE_RECORDEDPLAY_H
#define PIANOLA_RUNTIME_TIMELINE_RECORDEDPLAY_H

#include "runtime/roll/Roll.h"
#include "runtime/session/Device.h"
#include "runtime/timeline/Pictures.h"

namespace pianola {

/// Play `number` of the recording. Its zero is the end of the play before, or, of the first one,
/// when the first worker came.
DrawnPlay drawn(const Roll &roll, const std::string &device, const Recording &recording,
                uint64_t number);

/// Steps of one kind, in all layers, all plays: the mean of a play.
struct StageShare {
  std::string kind;
  int steps = 0;
  double predicted = 0; // ns by which they make a play longer: the roll's figures
  double recorded = 0;  // the same, as it was
  double waiting = 0;   // ns that a worker waited for events, of those that have tiles
};

/// In the order of the program. The first play, which waits for weights that no earlier one could
/// load, counts only if there is no other.
std::vector<StageShare> stageShares(const Roll &roll, const Recording &recording);

} // namespace pianola

#endif
