//===- AssignTiles.cpp - Give every tile to a worker ----------------------===//

#include "dialects/tile/Tape.h"
#include "mlir/IR/Builders.h"
#include "passes/Passes.h"
#include <numeric>

using namespace mlir;

namespace pianola {
#define GEN_PASS_DEF_ASSIGNTILES
#include "passes/Passes.h.inc"

namespace {

bool hasWeights(tile::StageOp stage) {
  return llvm::any_of(stage.getSections(), [](tile::SectionOp section) {
    return !tile::getTilePieces(section).empty();
  });
}

// Tiles that are dealt out together.
int64_t runOf(tile::SectionOp section) { return section.getRun().value_or(1); }

// What each run of tiles of the stage weighs: its bytes on the tape, or one if no tile has any.
SmallVector<int64_t> loadsOf(tile::StageOp stage) {
  SmallVector<int64_t> loads;
  for (tile::SectionOp section : stage.getSections())
    loads.append(section.getTileCount() / runOf(section),
                 runOf(section) * tile::getTapeBytes(tile::getTilePieces(section)));
  if (!hasWeights(stage))
    loads.assign(loads.size(), 1);
  return loads;
}

// How many tiles of the stage stand in its first `runs` runs.
int64_t tilesIn(tile::StageOp stage, int64_t runs) {
  int64_t tiles = 0;
  for (tile::SectionOp section : stage.getSections()) {
    int64_t here = std::min(runs, section.getTileCount() / runOf(section));
    tiles += here * runOf(section);
    runs -= here;
  }
  return tiles;
}

// Ends of the runs if no worker may carry more than `most`; empty if the workers do not suffice.
SmallVector<int64_t> deal(ArrayRef<int64_t> loads, int64_t workers, int64_t most) {
  SmallVector<int64_t> ends;
  int64_t carried = 0;
  for (auto [tile, load] : llvm::enumerate(loads)) {
    if (carried + load > most) {
      ends.push_back(tile);
      carried = 0;
    }
    carried += load;
  }
  ends.push_back(loads.size());
  if (static_cast<int64_t>(ends.size()) > workers)
    ends.clear();
  return ends;
}

// The runs with the smallest greatest load.
SmallVector<int64_t> balance(ArrayRef<int64_t> loads, int64_t workers) {
  int64_t low = *llvm::max_element(loads), high = 0;
  for (int64_t load : loads)
    high += load;
  while (low < high) {
    int64_t middle = low + (high - low) / 2;
    if (deal(loads, workers, middle).empty())
      low = middle + 1;
    else
      high = middle;
  }
  return deal(loads, workers, low);
}

// The runs with the smallest greatest load, as [begin, end) of each worker.
SmallVector<SmallVector<int64_t>> assignRuns(tile::StageOp stage, int64_t workers) {
  SmallVector<SmallVector<int64_t>> lists(workers);
  int64_t begin = 0;
  for (auto [worker, end] : llvm::enumerate(balance(loadsOf(stage), workers))) {
    lists[worker] = {tilesIn(stage, begin), tilesIn(stage, end)};
    begin = end;
  }
  return lists;
}

// Deals each section out by itself: every worker gets as many tiles as every other, in one run, and
// who has carried least so far gets one of those that are left over. `carried` goes on from step to
// step, so that in the end all have carried the same but for about a tile.
SmallVector<SmallVector<int64_t>> assignSections(tile::StageOp stage, ArrayRef<int64_t> loads,
                                                 MutableArrayRef<int64_t> carried) {
  int64_t workers = carried.size();
  SmallVector<SmallVector<int64_t>> lists(workers);
  int64_t first = 0, begin = 0; // run, tile
  for (tile::SectionOp section : stage.getSections()) {
    int64_t run = runOf(section), runs = section.getTileCount() / run;
    SmallVector<int64_t> counts(workers, runs / workers), order(workers);
    std::iota(order.begin(), order.end(), 0);
    llvm::sort(order, [&](int64_t a, int64_t b) {
      return std::pair(carried[a], a) < std::pair(carried[b], b);
    });
    for (int64_t worker : ArrayRef<int64_t>(order).take_front(runs % workers))
      ++counts[worker];
    for (int64_t worker = 0; worker < workers; ++worker) {
      if (counts[worker] == 0)
        continue;
      lists[worker].append({begin, begin + counts[worker] * run});
      carried[worker] += counts[worker] * loads[first];
      begin += counts[worker] * run;
    }
    first += runs;
  }
  return lists;
}

struct AssignTiles : impl::AssignTilesBase<AssignTiles> {
  void runOnOperation() override {
    tile::MachineAttr machine = tile::getMachine(getOperation());
    if (!machine)
      return signalPassFailure();
    getOperation().walk([&](schedule::ProgramOp program) { run(program, machine); });
  }

  void run(schedule::ProgramOp program, tile::MachineAttr machine) {
    Builder builder(&getContext());
    // Steps without weights leave no trace here: programs that differ in them share their tapes.
    SmallVector<int64_t> tapes(machine.getWorkers(), 0);
    for (schedule::StepOp step : program.getSteps()) {
      tile::StageOp stage = step.getStageOp();
      SmallVector<SmallVector<int64_t>> lists;
      if (machine.getRows()) {
        SmallVector<int64_t> tilesHere(machine.getWorkers(), 0);
        lists = assignSections(stage, loadsOf(stage), hasWeights(stage) ? tapes : tilesHere);
      } else {
        lists = assignRuns(stage, machine.getWorkers());
      }
      SmallVector<Attribute> attributes;
      for (ArrayRef<int64_t> list : lists)
        attributes.push_back(builder.getDenseI64ArrayAttr(list));
      step.setTilesAttr(builder.getArrayAttr(attributes));
    }
  }
};

} // namespace
} // namespace pianola
