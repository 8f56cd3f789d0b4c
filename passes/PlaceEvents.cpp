//===- PlaceEvents.cpp - Make every worker wait for what it needs ---------===//
//
// Two passes over the program with vector clocks: what each worker certainly knows to be finished.
// The first places the waits for steps of the same play. In a program that loops, a second one goes
// through the next play with these waits and adds those for steps of the play before.
//
//===----------------------------------------------------------------------===//

#include "dialects/schedule/Footprint.h"
#include "mlir/IR/Builders.h"
#include "passes/Passes.h"

using namespace mlir;

namespace pianola {
#define GEN_PASS_DEF_PLACEEVENTS
#include "passes/Passes.h.inc"

using namespace schedule;

namespace {

// How a step uses a buffer, a context or (null) the tokens.
struct Use {
  Value value;
  bool read = false, write = false;
  bool past = false; // reads what plays before have left
};

SmallVector<Use> usesOf(StepOp step) {
  SmallVector<Use> uses;
  auto add = [&](ArrayRef<tile::Access> accesses) {
    for (const tile::Access &access : accesses) {
      Value value = getBound(step, access);
      auto *use = llvm::find_if(uses, [&](const Use &known) { return known.value == value; });
      if (use == uses.end()) {
        uses.push_back({value});
        use = uses.end() - 1;
      }
      use->past |= access.past;
      use->write |= access.write;
      use->read |= !access.past && !access.write;
    }
  };
  tile::StageOp stage = step.getStageOp();
  add(tile::getPrologueAccesses(stage));
  for (tile::SectionOp section : stage.getSections())
    add(tile::getTileAccesses(section, 0));
  return uses;
}

bool overlap(Value a, Value b) {
  auto first = a ? a.getDefiningOp<BufferOp>() : BufferOp();
  auto second = b ? b.getDefiningOp<BufferOp>() : BufferOp();
  if (!first || !second || !first.getAt() || !second.getAt())
    return a == b;
  int64_t aAt = *first.getAt(), bAt = *second.getAt();
  return aAt < bAt + second.getBuffer().getType().getBytes() &&
         bAt < aAt + first.getBuffer().getType().getBytes();
}

// Whether `later` must come after `earlier`, a step before it in the same play.
bool mustFollow(const Use &later, const Use &earlier) {
  if (later.value == earlier.value) {
    bool overwritesToken = !later.value && later.write && earlier.past;
    return (later.read && earlier.write) || (later.write && (earlier.read || earlier.write)) ||
           overwritesToken;
  }
  return later.write && overlap(later.value, earlier.value);
}

// The same for `earlier` in the play before: contexts get other positions in each play.
bool mustFollowPlay(const Use &later, const Use &earlier) {
  if (later.past && earlier.write && later.value == earlier.value)
    return true;
  bool isContext = later.value && isa<tile::ContextType>(later.value.getType());
  return later.write && !isContext && overlap(later.value, earlier.value);
}

class Placement {
public:
  Placement(ProgramOp program, tile::MachineAttr machine)
      : machine(machine), workers(machine.getWorkers()), loops(program.getLoops()),
        steps(program.getSteps()), clocks(workers, Clock(workers, 0)), begun(workers, false) {
    for (StepOp step : steps) {
      uses.push_back(usesOf(step));
      SmallVector<int64_t> &list = active.emplace_back();
      for (int64_t w = 0; w < workers; ++w)
        if (!step.getTilesOf(w).empty())
          list.push_back(w);
    }
  }

  LogicalResult run() {
    std::vector<SmallVector<int64_t>> awaited(steps.size());
    if (loops && !steps.empty())
      eventOf(0); // by which workers know that a play begins
    for (size_t s = 0; s < steps.size(); ++s) {
      begin(s, 0);
      awaited[s] = await(s, predecessors(s, s, mustFollow));
      finish(s);
    }
    begun.assign(workers, false);
    for (size_t s = 0; loops && s < steps.size(); ++s) {
      size_t now = steps.size() + s;
      begin(now, steps.size());
      for (int64_t p : awaited[s])
        join(now, steps.size() + p);
      SmallVector<int64_t> before = await(now, predecessors(s, steps.size(), mustFollowPlay));
      finish(now);
      for (int64_t p : before)
        awaited[s].push_back(p - static_cast<int64_t>(steps.size()));
    }
    for (auto [s, list] : llvm::enumerate(awaited))
      if (failed(place(s, list)))
        return failure();
    return success();
  }

private:
  using Clock = std::vector<int32_t>; // of each worker, steps finished, counted through both plays

  size_t inPlay(size_t step) const { return step % steps.size(); }

  SmallVector<int64_t> predecessors(size_t s, size_t end,
                                    llvm::function_ref<bool(const Use &, const Use &)> follows) {
    SmallVector<int64_t> before;
    for (size_t p = 0; p < end; ++p)
      if (llvm::any_of(uses[s], [&](const Use &later) {
            return llvm::any_of(uses[p],
                                [&](const Use &earlier) { return follows(later, earlier); });
          }))
        before.push_back(p);
    return before;
  }

  // In a program that loops a worker begins a play when the play's first step is done.
  void begin(size_t step, size_t first) {
    for (int64_t w : active[inPlay(step)]) {
      if (loops && !begun[w] && step != first)
        learn(w, first);
      begun[w] = true;
    }
  }
  void learn(int64_t w, size_t step) {
    for (int64_t v = 0; v < workers; ++v)
      clocks[w][v] = std::max(clocks[w][v], after[step][v]);
  }
  void join(size_t step, size_t awaited) {
    for (int64_t w : active[inPlay(step)])
      learn(w, awaited);
  }
  void finish(size_t step) {
    Clock all(workers, 0);
    for (int64_t w : active[inPlay(step)]) {
      clocks[w][w] = step + 1;
      for (int64_t v = 0; v < workers; ++v)
        all[v] = std::max(all[v], clocks[w][v]);
    }
    after.push_back(std::move(all));
  }

  // Whether all workers of `step` know that step p is finished, if they await `with` (or nothing).
  bool isKnown(size_t step, int64_t p, const Clock *with) const {
    return llvm::all_of(active[inPlay(step)], [&](int64_t w) {
      return llvm::all_of(active[inPlay(p)], [&](int64_t v) {
        return v == w || clocks[w][v] > p || (with && (*with)[v] > p);
      });
    });
  }

  // Which of the steps `before` to wait for: of those that are not known, first the one that makes
  // most others known, the latest of such.
  SmallVector<int64_t> await(size_t step, ArrayRef<int64_t> before) {
    SmallVector<int64_t> unknown, awaited;
    for (int64_t p : before)
      if (!isKnown(step, p, nullptr))
        unknown.push_back(p);
    while (!unknown.empty()) {
      int64_t best = -1, bestCovers = -1;
      for (int64_t p : unknown) {
        int64_t covers =
            llvm::count_if(unknown, [&](int64_t q) { return isKnown(step, q, &after[p]); });
        if (covers >= bestCovers) {
          best = p;
          bestCovers = covers;
        }
      }
      awaited.push_back(best);
      join(step, best);
      llvm::erase_if(unknown, [&](int64_t p) { return isKnown(step, p, nullptr); });
    }
    return awaited;
  }

  Value eventOf(size_t step) {
    StepOp producer = steps[step];
    if (!producer.getSignals())
      producer.getSignalsMutable().assign(OpBuilder(producer).create<EventOp>(
          producer.getLoc(), EventType::get(producer.getContext())));
    return producer.getSignals();
  }

  // Writes the waits down; a negative number is a step of the play before, counted from its end.
  LogicalResult place(size_t s, ArrayRef<int64_t> awaited) {
    StepOp step = steps[s];
    if (int64_t most = machine.getWaits(); most && awaited.size() > size_t(most))
      return step.emitError("step \"")
             << step.getLabel() << "\" must wait for " << awaited.size()
             << " events; this machine's steps wait for " << most << " at most";
    SmallVector<Value> events;
    SmallVector<int64_t> until;
    for (int64_t p : awaited) {
      size_t producer = p < 0 ? p + steps.size() : p;
      events.push_back(eventOf(producer));
      if (Operation *event = events.back().getDefiningOp(); step->isBeforeInBlock(event))
        event->moveBefore(step);
      until.push_back(p < 0 ? 0 : active[producer].size());
    }
    if (events.empty())
      return success();
    step.getWaitsMutable().assign(events);
    step.setUntil(until);
    return success();
  }

  tile::MachineAttr machine;
  int64_t workers;
  bool loops;
  std::vector<StepOp> steps;
  std::vector<SmallVector<Use>> uses;
  std::vector<SmallVector<int64_t>> active; // workers with tiles, of each step
  std::vector<Clock> clocks;                // as each worker sees them now
  std::vector<bool> begun;                  // the play, of each worker
  std::vector<Clock> after;                 // what who waits for a step knows, through both plays
};

struct PlaceEvents : impl::PlaceEventsBase<PlaceEvents> {
  void runOnOperation() override {
    tile::MachineAttr machine = tile::getMachine(getOperation());
    if (!machine)
      return signalPassFailure();
    for (ProgramOp program : getOperation().getOps<ProgramOp>())
      if (failed(Placement(program, machine).run()))
        return signalPassFailure();
  }
};

} // namespace
} // namespace pianola
