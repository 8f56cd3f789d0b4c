//===- Order.h - What is certain of the order of a program ------*- C++ -*-===//
//
// Workers are played abstractly: a worker runs its steps in program order; before a step it waits
// for events, after it signals one. Events only grow, so if the abstract play ends, every play
// ends, and if it gets stuck, every play gets stuck.
//
// What is certain is kept as vector clocks (Fidge, 1988; Mattern, 1989) that count steps. A wait
// until n makes a signal x certain only if the event could not have reached n without x: the
// signals that do not need x to have happened, and need not come after the wait, are fewer than n.
// A wait until *all* signals makes all certain. Which signals need x or come after the wait is
// itself a question of order: the program is played again, with what was certain before, until no
// more becomes certain.
//
// A program that loops is played twice, one play after the other. Workers may be in different plays
// at the same time; so another worker's signal of the play after a wait's counts for any number of
// signals, unless it certainly comes after the wait. What is certain of two plays in a row is
// certain of every two: plays before them can but add to what a worker knows.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_DIALECTS_SCHEDULE_ORDER_H
#define PIANOLA_DIALECTS_SCHEDULE_ORDER_H

#include "dialects/schedule/Schedule.h"
#include "llvm/ADT/BitVector.h"

namespace pianola::schedule {

/// Steps are numbered through both plays of a program that loops: step s of the second is
/// `steps + s`.
class Order {
public:
  /// Plays the program; emits an error for each worker that would wait forever, and fails.
  static mlir::FailureOr<Order> compute(ProgramOp program, int64_t workers);

  /// Whether worker `v` has certainly finished step `p`, in which it has tiles, when worker `w`
  /// begins step `s`.
  bool isBefore(int64_t p, int64_t v, int64_t s, int64_t w) const {
    return v == w ? p < s : clocks[s][w * workers + v] > p;
  }
  /// Whether it has done so in the first play when worker `w` comes to step `s` of the second, and
  /// has not waited for the step's events yet.
  bool isBeforeWaits(int64_t p, int64_t v, int64_t s, int64_t w) const {
    return v == w || arrived[s][w * workers + v] > p;
  }
  /// Of each worker, how many steps it has certainly finished when worker `w` begins step `s`.
  llvm::ArrayRef<int32_t> finished(int64_t s, int64_t w) const {
    return llvm::ArrayRef<int32_t>(clocks[s]).slice(w * workers, workers);
  }

private:
  friend class AbstractPlay;

  int64_t workers;
  std::vector<std::vector<int32_t>> clocks;  // [step][worker * workers + other]: steps finished
  std::vector<std::vector<int32_t>> arrived; // the same before waits, of the second play
};

} // namespace pianola::schedule

#endif
