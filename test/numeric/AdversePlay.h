// AdversePlay.h - plays a looping schedule's accesses in an order that chance picks.
//
// Knows nothing of how schedules are proven: workers take turns at random, one access at a time,
// and every access is looked at as it happens. What it finds is certainly wrong; what it does not
// find may still be.
#ifndef PIANOLA_TEST_NUMERIC_ADVERSEPLAY_H
#define PIANOLA_TEST_NUMERIC_ADVERSEPLAY_H

#include "dialects/schedule/Footprint.h"

#include "llvm/ADT/DenseMap.h"

#include <map>
#include <random>
#include <string>

namespace pianola {

class AdversePlay {
public:
  AdversePlay(schedule::ProgramOp program, int workers, int plays)
      : program(program), steps(program.getSteps()), workers(workers), plays(plays),
        actions(steps.size(), std::vector<std::vector<Action>>(workers)) {
    schedule::Footprint footprint = schedule::Footprint::of(program, workers);
    for (auto &[value, touches] : footprint.touches)
      for (schedule::Touch &touch : touches)
        actions[touch.step][touch.worker].push_back({value, touch});
    for (auto [number, step] : llvm::enumerate(steps))
      for (int w = 0; w < workers; ++w) {
        llvm::SmallVector<int64_t> tiles = step.getTilesOf(w);
        if (!tiles.empty() && step.getSignals())
          ++growth[step.getSignals()];
        // Tile by tile, the prologue first; a tile writes last.
        auto place = [&](const Action &action) {
          auto *tile = llvm::find(tiles, action.touch.tile);
          return std::pair(action.touch.tile < 0 ? -1 : tile - tiles.begin(), action.touch.write);
        };
        llvm::sort(actions[number][w],
                   [&](const Action &a, const Action &b) { return place(a) < place(b); });
      }
  }

  /// What went wrong, or nothing.
  std::string run(unsigned seed) {
    std::mt19937 random(seed);
    events.clear();
    arena.assign(*program.getArena() / 4, {-1, nullptr});
    contexts.clear();
    token = 0;
    firstDone = 0;
    std::vector<Worker> state(workers);
    // Some workers get turns far more often than others, and which do changes now and then.
    std::vector<int> favour;
    for (size_t turn = 0;; ++turn) {
      if (turn % 256 == 0) {
        favour.clear();
        for (int w = 0; w < workers; ++w)
          favour.insert(favour.end(), 1 << (random() % 8), w);
      }
      std::vector<int> able;
      bool finished = true;
      for (int w = 0; w < workers; ++w) {
        skipIdle(state[w], w);
        finished &= state[w].play == plays;
        if (state[w].play < plays && canGoOn(state[w]))
          able.push_back(w);
      }
      if (finished)
        return "";
      if (able.empty())
        return "every worker waits";
      int w = favour[random() % favour.size()];
      if (!llvm::is_contained(able, w))
        w = able[random() % able.size()];
      std::string label = steps[state[w].step].getLabel().str();
      if (std::string wrong = act(state[w], w); !wrong.empty())
        return wrong + " in step " + label;
    }
  }

private:
  struct Action {
    mlir::Value value;
    schedule::Touch touch;
  };
  struct Worker {
    int play = 0;
    size_t step = 0;
    size_t done = 0; // accesses of the step
    bool inside = false;
    bool begun = false; // the play
  };
  struct Cell {
    int play;
    void *value;
  };

  void skipIdle(Worker &worker, int w) {
    while (worker.play < plays && !worker.inside && !steps[worker.step].getTilesOf(w).size())
      next(worker);
  }
  void next(Worker &worker) {
    if (++worker.step < steps.size())
      return;
    worker.step = 0;
    worker.begun = false;
    ++worker.play;
  }
  bool canGoOn(const Worker &worker) {
    if (worker.inside)
      return true;
    if (!worker.begun && worker.step != 0 && firstDone <= worker.play)
      return false;
    schedule::StepOp step = steps[worker.step];
    for (auto [event, until] :
         llvm::zip(step.getWaits(), step.getUntil().value_or(llvm::ArrayRef<int64_t>())))
      if (events[event] < worker.play * growth[event] + until)
        return false;
    return true;
  }

  std::string act(Worker &worker, int w) {
    schedule::StepOp step = steps[worker.step];
    llvm::ArrayRef<Action> all = actions[worker.step][w];
    if (!worker.inside) {
      worker.inside = worker.begun = true;
      worker.done = 0;
      return "";
    }
    if (worker.done < all.size()) {
      const Action &action = all[worker.done++];
      return touch(action.touch, action.value, worker.play);
    }
    if (step.getSignals())
      ++events[step.getSignals()];
    firstDone += worker.step == 0;
    worker.inside = false;
    next(worker);
    return "";
  }

  std::string touch(const schedule::Touch &touch, mlir::Value value, int play) {
    if (!value) {
      if (touch.write)
        token = play + 1;
      else if (token != play)
        return "gathers the token of another play";
      return "";
    }
    if (llvm::isa<tile::ContextType>(value.getType())) {
      for (int64_t column = touch.column; column < touch.columnEnd; ++column) {
        int &written = contexts[{value.getAsOpaquePointer(), column}]; // plays
        if (touch.write)
          ++written;
        else if (touch.past && written < play)
          return "attends to a position that is not there yet";
      }
      return "";
    }
    schedule::Extent extent = schedule::Extent::of(value, program.getSlots());
    for (int64_t slot = touch.slot; slot < touch.slotEnd; ++slot)
      for (int64_t column = touch.column; column < touch.columnEnd; ++column) {
        size_t at = (*extent.at + (slot * extent.columns + column) * extent.elementBytes) / 4;
        if (at >= arena.size() || column >= extent.columns)
          return "leaves the arena";
        Cell &cell = arena[at];
        if (touch.write)
          cell = {play, value.getAsOpaquePointer()};
        else if (cell.play != play || cell.value != value.getAsOpaquePointer())
          return "reads what is not there";
      }
    return "";
  }

  schedule::ProgramOp program;
  std::vector<schedule::StepOp> steps;
  int workers, plays;
  std::vector<std::vector<std::vector<Action>>> actions; // of each step and worker, in order
  llvm::DenseMap<mlir::Value, int64_t> growth, events;
  std::vector<Cell> arena;
  std::map<std::pair<void *, int64_t>, int> contexts;
  int token = 0, firstDone = 0;
};

} // namespace pianola

#endif
