//===- PredictCost.cpp - Predict what each step costs on the machine ------===//

#include "dialects/schedule/Timeline.h"
#include "dialects/schedule/Work.h"
#include "passes/Passes.h"

using namespace mlir;

namespace pianola {
#define GEN_PASS_DEF_PREDICTCOST
#include "passes/Passes.h.inc"

using namespace schedule;

namespace {

// The work of one worker, section by section: all tiles of a section weigh the same.
Work workOf(WorkOfProgram &program, StepOp step, int64_t worker) {
  SmallVector<int64_t> tiles = step.getTilesOf(worker);
  if (tiles.empty())
    return {};
  Work work = program.ofPrologue(step);
  int64_t first = 0;
  for (tile::SectionOp section : step.getStageOp().getSections()) {
    int64_t end = first + section.getTileCount();
    int64_t count = llvm::count_if(tiles, [&](int64_t t) { return first <= t && t < end; });
    work += program.ofTile(step, section, 0).times(count);
    first = end;
  }
  return work;
}

struct PredictCost : impl::PredictCostBase<PredictCost> {
  using PredictCostBase::PredictCostBase;

  void runOnOperation() override {
    tile::MachineAttr machine = tile::getMachine(getOperation());
    if (!machine)
      return signalPassFailure();
    for (ProgramOp program : getOperation().getOps<ProgramOp>())
      if (machine.getChunk())
        predictTimeline(program, machine);
      else
        predictSteps(program, machine);
  }

  void predictTimeline(ProgramOp program, tile::MachineAttr machine) {
    Timeline timeline = Timeline::predict(program, machine, positions);
    for (auto [step, cost] : llvm::zip(program.getSteps(), timeline.steps))
      step.setCostAttr(CostAttr::get(&getContext(), cost.tape, cost.memory, cost.flops,
                                     std::llround(cost.ns), std::llround(cost.floor),
                                     std::llround(cost.waiting), cost.worst));
  }

  void predictSteps(ProgramOp program, tile::MachineAttr machine) {
    int64_t workers = machine.getWorkers();
    double bytesPerNs = machine.getBandwidth() * 1e-3 / workers;
    double flopsPerNs = static_cast<double>(machine.getPeak()) / workers;
    WorkOfProgram work(program, std::nullopt);
    for (StepOp step : program.getSteps()) {
      Work all;
      double longest = 0;
      for (int64_t worker = 0; worker < workers; ++worker) {
        Work mine = workOf(work, step, worker);
        longest = std::max({longest, mine.tape / bytesPerNs, mine.flops / flopsPerNs});
        all += mine;
      }
      auto ns = static_cast<int64_t>(longest) + machine.getStep() +
                (step.getWaits().empty() ? 0 : machine.getEvent());
      step.setCostAttr(CostAttr::get(&getContext(), all.tape, all.memory, all.flops, ns, 0, 0,
                                     all.worst > all.tape ? all.worst : 0));
    }
  }
};

} // namespace
} // namespace pianola
