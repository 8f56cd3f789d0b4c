//===- Order.cpp - What is certain of the order of a program --------------===//

#include "dialects/schedule/Order.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace pianola::schedule {

namespace {
struct Signal {
  int64_t step, worker;
};
} // namespace

FailureOr<Order> Order::compute(ProgramOp program, int64_t workers) {
  Order order;
  order.workers = workers;
  std::vector<StepOp> steps = program.getSteps();
  DenseMap<Value, SmallVector<Signal>> signalsOf;
  for (auto [number, step] : llvm::enumerate(steps)) {
    llvm::BitVector active(workers);
    for (int64_t w = 0; w < workers; ++w)
      if (!step.getTilesOf(w).empty())
        active.set(w);
    if (Value event = step.getSignals())
      for (int w : active.set_bits())
        signalsOf[event].push_back({static_cast<int64_t>(number), w});
    order.active.push_back(active);
    order.clocks.emplace_back(workers * workers, 0);
  }

  DenseMap<Value, int64_t> seen; // signals given so far
  std::vector<std::vector<int32_t>> now(workers, std::vector<int32_t>(workers, 0));
  std::vector<size_t> next(workers, 0);

  auto canStart = [&](size_t s) {
    StepOp step = steps[s];
    return llvm::all_of(llvm::enumerate(step.getWaits()), [&](auto wait) {
      return seen[wait.value()] >= (*step.getUntil())[wait.index()];
    });
  };
  auto join = [&](int64_t w, int64_t s, Value event, int64_t until) {
    ArrayRef<Signal> signals = signalsOf[event];
    for (const Signal &x : signals) {
      int64_t without = llvm::count_if(signals, [&](const Signal &y) {
        bool needsX = y.worker == x.worker && y.step >= x.step;
        bool comesLater = y.worker == w && y.step >= s;
        return !needsX && !comesLater;
      });
      if (without >= until)
        continue;
      for (int64_t v = 0; v < workers; ++v)
        now[w][v] = std::max(now[w][v], order.clocks[x.step][x.worker * workers + v]);
      now[w][x.worker] = std::max<int32_t>(now[w][x.worker], x.step + 1);
    }
  };

  for (bool progress = true; progress;) {
    progress = false;
    for (int64_t w = 0; w < workers; ++w)
      for (size_t &s = next[w]; s < steps.size(); ++s) {
        if (!order.active[s][w])
          continue;
        if (!canStart(s))
          break;
        for (auto [event, until] :
             llvm::zip(steps[s].getWaits(), steps[s].getUntil().value_or(ArrayRef<int64_t>())))
          join(w, s, event, until);
        llvm::copy(now[w], order.clocks[s].begin() + w * workers);
        now[w][w] = s + 1;
        if (Value event = steps[s].getSignals())
          ++seen[event];
        progress = true;
      }
  }

  bool stuck = false;
  for (int64_t w = 0; w < workers; ++w) {
    if (next[w] == steps.size())
      continue;
    StepOp step = steps[next[w]];
    for (auto [event, until] : llvm::zip(step.getWaits(), *step.getUntil()))
      if (seen[event] < until) {
        std::string from;
        for (const Signal &signal : signalsOf[event])
          if (from.empty())
            from = steps[signal.step].getLabel().str();
        step.emitError("step \"") << step.getLabel() << "\": worker " << w
                                  << " waits forever, from tile " << step.getTilesOf(w).front()
                                  << " on: the event of step \"" << from << "\" is awaited until "
                                  << until << " and reaches " << seen[event];
        stuck = true;
      }
  }
  if (stuck)
    return failure();
  return order;
}

} // namespace pianola::schedule
