//===- AssignTiles.cpp - Give every tile to a worker ----------------------===//

#include "dialects/tile/Tape.h"
#include "mlir/IR/Builders.h"
#include "passes/Passes.h"

using namespace mlir;

namespace pianola {
#define GEN_PASS_DEF_ASSIGNTILES
#include "passes/Passes.h.inc"

namespace {

// What each tile of the stage weighs: its bytes on the tape, or one if no tile has any.
SmallVector<int64_t> loadsOf(tile::StageOp stage) {
  SmallVector<int64_t> loads;
  bool weightless = true;
  for (tile::SectionOp section : stage.getSections()) {
    int64_t bytes = tile::getTapeBytes(tile::getTilePieces(section));
    weightless &= bytes == 0;
    loads.append(section.getTileCount(), bytes);
  }
  if (weightless)
    loads.assign(loads.size(), 1);
  return loads;
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

struct AssignTiles : impl::AssignTilesBase<AssignTiles> {
  void runOnOperation() override {
    tile::MachineAttr machine = tile::getMachine(getOperation());
    if (!machine)
      return signalPassFailure();
    Builder builder(&getContext());
    getOperation().walk([&](schedule::StepOp step) {
      SmallVector<int64_t> ends = balance(loadsOf(step.getStageOp()), machine.getWorkers());
      SmallVector<Attribute> lists;
      int64_t begin = 0;
      for (int64_t end : ends) {
        lists.push_back(builder.getDenseI64ArrayAttr({begin, end}));
        begin = end;
      }
      lists.resize(machine.getWorkers(), builder.getDenseI64ArrayAttr({}));
      step.setTilesAttr(builder.getArrayAttr(lists));
    });
  }
};

} // namespace
} // namespace pianola
