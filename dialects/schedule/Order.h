//===- Order.h - What is certain of the order of a program ------*- C++ -*-===//
//
// Workers are played abstractly: a worker runs its steps in program order; before a step it waits
// for events, after it signals one. Events only grow, so if the abstract play ends, every play
// ends, and if it gets stuck, every play gets stuck.
//
// What is certain is kept as vector clocks (Fidge, 1988; Mattern, 1989) that count steps. A wait
// until n makes a signal x certain only if the event could not have reached n without x: the
// signals that do not need x to have happened are fewer than n. A wait until *all* signals makes
// all certain.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_DIALECTS_SCHEDULE_ORDER_H
#define PIANOLA_DIALECTS_SCHEDULE_ORDER_H

#include "dialects/schedule/Schedule.h"
#include "llvm/ADT/BitVector.h"

namespace pianola::schedule {

class Order {
public:
  /// Plays the program; emits an error for each worker that would wait forever, and fails.
  static mlir::FailureOr<Order> compute(ProgramOp program, int64_t workers);

  /// Whether worker `v` has certainly finished step `p` when worker `w` begins step `s`.
  bool isBefore(int64_t p, int64_t v, int64_t s, int64_t w) const {
    return v == w ? p < s : clocks[s][w * workers + v] > p;
  }
  bool hasTiles(int64_t step, int64_t worker) const { return active[step][worker]; }

private:
  int64_t workers;
  std::vector<llvm::BitVector> active;      // [step][worker]
  std::vector<std::vector<int32_t>> clocks; // [step][worker * workers + other]: steps finished
};

} // namespace pianola::schedule

#endif
