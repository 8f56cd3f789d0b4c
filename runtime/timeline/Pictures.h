// Pictures.h - a play, predicted or recorded, to look at.
#ifndef PIANOLA_RUNTIME_TIMELINE_PICTURES_H
#define PIANOLA_RUNTIME_TIMELINE_PICTURES_H

#include <cstdint>
#include <string>
#include <vector>

namespace pianola {

struct DrawnStep {
  std::string label, kind;
  int64_t tape = 0; // bytes, of all workers
  double floor = 0; // ns that these take
  double ns = 0;    // by which it makes the play longer
};

/// One step of one worker; ns since the play before ended.
struct DrawnSpan {
  int64_t step = 0, tiles = 0;
  double arrive = 0, ready = 0, work = 0, end = 0;
  double starved = 0;                       // of the time since `work`
  double filledBefore = 0, filledAfter = 0; // bytes in the ring
};

struct DrawnPlay {
  std::string model, device;
  bool recorded = false; // or else predicted
  int64_t slots = 1, positions = 0;
  double ns = 0, floor = 0;
  int64_t ring = 0; // bytes of each worker's; 0: nobody knows what was in it
  std::vector<DrawnStep> steps;
  std::vector<std::vector<DrawnSpan>> workers; // by time
};

/// One page of HTML that needs nothing else: a lane for each worker (timeline.html).
std::string drawTimeline(const DrawnPlay &play);

/// The same in the trace event format that Perfetto and chrome://tracing show.
std::string writeTrace(const DrawnPlay &play);

} // namespace pianola

#endif
