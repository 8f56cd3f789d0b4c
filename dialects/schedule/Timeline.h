//===- Timeline.h - How a program's play goes, predicted --------*- C++ -*-===//
//
// For machines whose workers stream their tapes through a ring. Of each worker two things are
// played, step by step:
//
//   loader     fills slot after slot of the ring at the worker's share of the machine's bandwidth;
//              is stopped by nothing but a full ring, and goes on through waits, from step to step
//              and from play to play
//   consumer   takes its first weights, keys and values, as many as `early`; waits for the step's
//              events (the last signal, then the machine's `event`), reads what its prologue and
//              tiles load, and takes its tiles' weights out of the ring, at its share of `consume`,
//              of `peak` or, for codes, of `unpack`, and no slot before it is full
//
// Reads of activations, keys and values get equal shares of `cache` among the workers that read,
// and `port` at most. Latencies are in `event` and `step`; workers do not slow each other down
// otherwise, and a worker that has a full ring leaves its share of the bandwidth to nobody.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_DIALECTS_SCHEDULE_TIMELINE_H
#define PIANOLA_DIALECTS_SCHEDULE_TIMELINE_H

#include "dialects/schedule/Schedule.h"

namespace pianola::schedule {

/// Positions that a context is taken to have where nobody says how many.
constexpr int64_t kUsualPositions = 256;

/// One step of one worker. Times are ns since the play began.
struct Span {
  int64_t step;
  double arrive; // done with the step before
  double ready;  // its events are there, and what it takes early
  double work;   // the prologue is done
  double end;
  double starved = 0;               // of the time since `work`, waiting for the ring to be filled
  double filledBefore, filledAfter; // bytes in the ring, at `ready` and `end`
};

/// One step, all workers. Numbers are those of `#schedule.cost`.
struct StepCost {
  int64_t tape = 0, memory = 0, flops = 0;
  double ns = 0;      // by which it makes the play longer
  double floor = 0;   // ns that its part of the tapes takes
  double waiting = 0; // ns for events, of a worker on average
  int64_t worst = 0;  // bytes of weights, if slots choose different experts; 0: as `tape`
};

struct Timeline {
  /// Plays the program, with contexts of `positions`: twice if it loops, to look at the second
  /// play.
  static Timeline predict(ProgramOp program, tile::MachineAttr machine, int64_t positions);

  double ns = 0;        // of the play
  double floor = 0;     // ns that the tapes take at the machine's bandwidth
  int64_t ring = 0;     // bytes of each worker's
  double imbalance = 0; // the longest tape is longer than the mean one by this share
  std::vector<StepCost> steps;
  std::vector<std::vector<Span>> workers; // steps with tiles
};

} // namespace pianola::schedule

#endif
