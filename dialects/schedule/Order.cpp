//===- Order.cpp - What is certain of the order of a program --------------===//

#include "dialects/schedule/Order.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace pianola::schedule {

namespace {
struct Signal {
  int64_t step, worker; // step of one play
};
} // namespace

class AbstractPlay {
public:
  AbstractPlay(ProgramOp program, int64_t workers);

  /// Plays all plays; `known` is what is certain already, or null. False if a worker got stuck.
  bool run(const Order *known);
  LogicalResult reportStuck();

  Order order;

private:
  // When worker w begins step s of play `play`.
  struct Moment {
    int64_t play, step, worker;
  };

  int64_t numberOf(int64_t play, int64_t step) const { return play * count() + step; }
  int64_t count() const { return steps.size(); }
  bool canStart(int64_t play, int64_t step);
  bool begin(const Moment &at);
  void join(const Moment &at, Value event, int64_t until);
  void learn(const Moment &at, int64_t step, int64_t worker);
  // How many steps of `of` worker `signal.worker` has finished when it begins the signal's step in
  // the play after one whose steps count from 0; as far as is known.
  int64_t knownAhead(const Signal &signal, int64_t of) const {
    return known ? known->finished(numberOf(1, signal.step), signal.worker)[of] : 0;
  }

  int64_t workers, plays;
  std::vector<StepOp> steps;
  std::vector<llvm::BitVector> active; // [step][worker]
  std::vector<int64_t> first;          // step of each worker
  DenseMap<Value, SmallVector<Signal>> signalsOf;
  const Order *known = nullptr;

  DenseMap<Value, int64_t> seen; // signals given so far
  std::vector<std::vector<int32_t>> now;
  std::vector<int64_t> next; // of each worker, through all plays
};

AbstractPlay::AbstractPlay(ProgramOp program, int64_t workers)
    : workers(workers), plays(program.getLoops() ? 2 : 1), steps(program.getSteps()),
      first(workers, count()) {
  order.workers = workers;
  for (auto [number, step] : llvm::enumerate(steps)) {
    llvm::BitVector &here = active.emplace_back(workers);
    for (int64_t w = 0; w < workers; ++w)
      if (!step.getTilesOf(w).empty()) {
        here.set(w);
        first[w] = std::min<int64_t>(first[w], number);
        if (Value event = step.getSignals())
          signalsOf[event].push_back({static_cast<int64_t>(number), w});
      }
  }
}

bool AbstractPlay::canStart(int64_t play, int64_t s) {
  StepOp step = steps[s];
  return llvm::all_of(llvm::enumerate(step.getWaits()), [&](auto wait) {
    Value event = wait.value();
    return seen[event] >=
           play * static_cast<int64_t>(signalsOf[event].size()) + (*step.getUntil())[wait.index()];
  });
}

// What worker `worker` knew when it began step number `step`, and that it has finished it.
void AbstractPlay::learn(const Moment &at, int64_t step, int64_t worker) {
  std::vector<int32_t> &mine = now[at.worker];
  if (mine[worker] > step)
    return; // and so all that it knew then
  ArrayRef<int32_t> theirs = order.finished(step, worker);
  for (int64_t v = 0; v < workers; ++v)
    mine[v] = std::max(mine[v], theirs[v]);
  mine[worker] = step + 1;
}

// Whether the worker may begin the play: in a program that loops, when the first step is done.
bool AbstractPlay::begin(const Moment &at) {
  if (plays == 1 || at.step != first[at.worker] || at.step == 0)
    return true;
  int64_t number = numberOf(at.play, 0);
  for (int w : active[0].set_bits())
    if (next[w] <= number)
      return false;
  for (int w : active[0].set_bits())
    learn(at, number, w);
  return true;
}

void AbstractPlay::join(const Moment &at, Value event, int64_t until) {
  ArrayRef<Signal> signals = signalsOf[event];
  until += at.play * signals.size();
  int64_t here = numberOf(at.play, at.step);
  // Signals up to this play that may come before the wait, by number of the step.
  SmallVector<Signal> possible;
  for (int64_t play = 0; play <= at.play; ++play)
    for (const Signal &y : signals) {
      int64_t number = numberOf(play, y.step);
      bool later = y.worker == at.worker
                       ? number >= here
                       : known && known->finished(number, y.worker)[at.worker] > here;
      if (!later)
        possible.push_back({number, y.worker});
    }
  // Signals of the next play that may.
  SmallVector<Signal> ahead;
  if (plays > 1)
    for (const Signal &y : signals)
      if (y.worker != at.worker && knownAhead(y, at.worker) <= at.step)
        ahead.push_back(y);

  auto needs = [&](const Signal &y, const Signal &x) {
    return y.worker == x.worker ? y.step >= x.step
                                : known && known->finished(y.step, y.worker)[x.worker] > x.step;
  };
  auto isCertain = [&](const Signal &x) {
    for (const Signal &y : ahead)
      if (y.worker != x.worker &&
          knownAhead(y, x.worker) <= std::max<int64_t>(x.step - numberOf(at.play, 0), 0))
        return false;
    if (static_cast<int64_t>(possible.size()) <= until)
      return true;
    return llvm::count_if(possible, [&](const Signal &y) { return !needs(y, x); }) < until;
  };
  // Backwards: who is known to have finished a step has finished those before.
  for (const Signal &x : llvm::reverse(possible))
    if (now[at.worker][x.worker] <= x.step && isCertain(x))
      learn(at, x.step, x.worker);
}

bool AbstractPlay::run(const Order *alreadyKnown) {
  known = alreadyKnown;
  seen.clear();
  now.assign(workers, std::vector<int32_t>(workers, 0));
  next.assign(workers, 0);
  order.arrived.assign(plays > 1 ? count() : 0, std::vector<int32_t>(workers * workers, 0));
  order.clocks.assign(plays * count(), std::vector<int32_t>(workers * workers, 0));

  bool stuck = true;
  for (bool progress = true; progress;) {
    progress = false;
    stuck = false;
    for (int64_t w = 0; w < workers; ++w)
      for (int64_t &s = next[w]; s < plays * count(); ++s) {
        Moment at{s / count(), s % count(), w};
        if (!active[at.step][w])
          continue;
        if (!begin(at) || !canStart(at.play, at.step)) {
          stuck = true;
          break;
        }
        if (at.play == 1)
          llvm::copy(now[w], order.arrived[at.step].begin() + w * workers);
        StepOp step = steps[at.step];
        for (auto [event, until] :
             llvm::zip(step.getWaits(), step.getUntil().value_or(ArrayRef<int64_t>())))
          join(at, event, until);
        llvm::copy(now[w], order.clocks[s].begin() + w * workers);
        now[w][w] = s + 1;
        if (Value event = step.getSignals())
          ++seen[event];
        progress = true;
      }
  }
  return !stuck;
}

LogicalResult AbstractPlay::reportStuck() {
  for (int64_t w = 0; w < workers; ++w) {
    if (next[w] == plays * count())
      continue;
    int64_t play = next[w] / count();
    StepOp step = steps[next[w] % count()];
    for (auto [event, until] :
         llvm::zip(step.getWaits(), step.getUntil().value_or(ArrayRef<int64_t>()))) {
      ArrayRef<Signal> signals = signalsOf[event];
      int64_t reached = seen[event] - play * static_cast<int64_t>(signals.size());
      if (reached >= until)
        continue;
      std::string from;
      if (!signals.empty())
        from = StepOp(steps[signals.front().step]).getLabel().str();
      step.emitError("step \"") << step.getLabel() << "\": worker " << w
                                << " waits forever, from tile " << step.getTilesOf(w).front()
                                << " on: the event of step \"" << from << "\" is awaited until "
                                << until << " and reaches " << reached;
    }
  }
  return failure();
}

FailureOr<Order> Order::compute(ProgramOp program, int64_t workers) {
  AbstractPlay play(program, workers);
  if (!play.run(nullptr))
    return play.reportStuck();
  for (;;) {
    Order known = play.order;
    play.run(&known);
    if (play.order.clocks == known.clocks && play.order.arrived == known.arrived)
      return known;
  }
}

} // namespace pianola::schedule
