//===- PlaceEvents.cpp - Make every worker wait for what it needs ---------===//

#include "dialects/tile/Access.h"
#include "mlir/IR/Builders.h"
#include "passes/Passes.h"
#include "llvm/ADT/SmallSet.h"

using namespace mlir;

namespace pianola {
#define GEN_PASS_DEF_PLACEEVENTS
#include "passes/Passes.h.inc"

namespace {

struct Touch {
  int64_t step;
  bool write;
};

// What steps have touched of one value or of the bytes that it shares with others.
using Touches = DenseMap<Value, SmallVector<Touch>>;

bool writes(tile::StageOp stage, unsigned argument) {
  for (tile::SectionOp section : stage.getSections())
    for (const tile::Access &access : tile::getTileAccesses(section, 0))
      if (access.argument == argument && access.write)
        return true;
  return false;
}

bool overlap(schedule::BufferOp a, schedule::BufferOp b) {
  if (!a.getAt() || !b.getAt())
    return false;
  int64_t aAt = *a.getAt(), bAt = *b.getAt();
  return aAt < bAt + b.getBuffer().getType().getBytes() &&
         bAt < aAt + a.getBuffer().getType().getBytes();
}

// Earlier steps that step `number` must come after.
llvm::SmallSet<int64_t, 8> predecessors(schedule::StepOp step, int64_t number, Touches &touches) {
  llvm::SmallSet<int64_t, 8> before;
  tile::StageOp stage = step.getStageOp();
  for (BlockArgument argument : stage.getBody().getArguments()) {
    Value value = step.getBindingOf(argument.getArgNumber());
    if (!value || !isa<tile::BufferType, tile::ContextType>(value.getType()))
      continue;
    bool write = writes(stage, argument.getArgNumber());
    for (const Touch &touch : touches[value])
      if (touch.write || write)
        before.insert(touch.step);
    if (auto buffer = value.getDefiningOp<schedule::BufferOp>(); buffer && write)
      for (auto &[other, list] : touches)
        if (auto shared = other.getDefiningOp<schedule::BufferOp>();
            shared && shared != buffer && overlap(shared, buffer))
          for (const Touch &touch : list)
            before.insert(touch.step);
    touches[value].push_back({number, write});
  }
  before.erase(number);
  return before;
}

struct PlaceEvents : impl::PlaceEventsBase<PlaceEvents> {
  void runOnOperation() override {
    tile::MachineAttr machine = tile::getMachine(getOperation());
    if (!machine)
      return signalPassFailure();
    getOperation().walk([&](schedule::ProgramOp program) { run(program, machine.getWorkers()); });
  }

  void run(schedule::ProgramOp program, int64_t workers) {
    std::vector<schedule::StepOp> steps = program.getSteps();
    if (steps.empty())
      return;
    Touches touches;
    // clock[w][v]: steps of worker v that are certainly finished, as worker w sees it now; after[p]
    // the same at the end of step p, for the workers that have tiles in it.
    std::vector<std::vector<int64_t>> clock(workers, std::vector<int64_t>(workers, 0));
    std::vector<DenseMap<int64_t, std::vector<int64_t>>> after(steps.size());
    for (auto [s, step] : llvm::enumerate(steps)) {
      llvm::SmallSet<int64_t, 8> before = predecessors(step, s, touches);
      SmallVector<int64_t> latestFirst(before.begin(), before.end());
      llvm::sort(latestFirst, std::greater<>());
      SmallVector<int64_t> active;
      for (int64_t w = 0; w < workers; ++w)
        if (!step.getTilesOf(w).empty())
          active.push_back(w);

      SmallVector<int64_t> awaited;
      for (int64_t p : latestFirst) {
        bool known = llvm::all_of(active, [&](int64_t w) {
          return llvm::all_of(
              after[p], [&](auto &entry) { return entry.first == w || clock[w][entry.first] > p; });
        });
        if (known)
          continue;
        awaited.push_back(p);
        for (int64_t w : active)
          for (auto &[v, finished] : after[p])
            for (int64_t u = 0; u < workers; ++u)
              clock[w][u] = std::max(clock[w][u], finished[u]);
      }
      for (int64_t w : active) {
        clock[w][w] = s + 1;
        after[s][w] = clock[w];
      }
      awaitSteps(step, awaited, steps, after);
    }
  }

  void awaitSteps(schedule::StepOp step, ArrayRef<int64_t> awaited,
                  ArrayRef<schedule::StepOp> steps,
                  ArrayRef<DenseMap<int64_t, std::vector<int64_t>>> after) {
    SmallVector<Value> events;
    SmallVector<int64_t> until;
    for (int64_t p : awaited) {
      schedule::StepOp producer = steps[p];
      if (!producer.getSignals())
        producer.getSignalsMutable().assign(OpBuilder(producer).create<schedule::EventOp>(
            producer.getLoc(), schedule::EventType::get(&getContext())));
      events.push_back(producer.getSignals());
      until.push_back(after[p].size());
    }
    if (events.empty())
      return;
    step.getWaitsMutable().assign(events);
    step.setUntil(until);
  }
};

} // namespace
} // namespace pianola
