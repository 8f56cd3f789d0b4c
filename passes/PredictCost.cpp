//===- PredictCost.cpp - Predict what each step costs on the machine ------===//

#include "dialects/tile/Access.h"
#include "dialects/tile/Tape.h"
#include "mlir/IR/Builders.h"
#include "passes/Passes.h"

using namespace mlir;

namespace pianola {
#define GEN_PASS_DEF_PREDICTCOST
#include "passes/Passes.h.inc"

namespace {

struct Work {
  int64_t tape = 0, memory = 0, flops = 0;

  void add(const Work &other) {
    tape += other.tape;
    memory += other.memory;
    flops += other.flops;
  }
};

int64_t bytesOf(tile::StageOp stage, ArrayRef<tile::Access> accesses) {
  int64_t bytes = 0;
  for (const tile::Access &access : accesses) {
    if (access.argument == tile::kTokens)
      continue;
    Type type = stage.getBody().getArgument(access.argument).getType();
    Type element = isa<tile::BufferType>(type) ? cast<tile::BufferType>(type).getElement()
                                               : cast<tile::ContextType>(type).getElement();
    bytes += access.slots * access.columns * (element.getIntOrFloatBitWidth() / 8);
  }
  return bytes;
}

Work workOfTile(tile::StageOp stage, tile::SectionOp section) {
  Work work;
  work.tape = tile::getTapeBytes(tile::getTilePieces(section));
  work.memory = bytesOf(stage, tile::getTileAccesses(section, 0));
  section.walk([&](tile::ContractOp contract) {
    tile::MatrixType matrix = contract.getMatrix().getType();
    int64_t slots = cast<RankedTensorType>(contract.getValue().getType()).getDimSize(0);
    // In a stage with outputs one slot's logits are wanted.
    work.flops += 2 * matrix.getRowPad() * matrix.getDepth() * (stage.getOutputs() ? 1 : slots);
  });
  return work;
}

Work workOfPrologue(tile::StageOp stage) {
  return {tile::getTapeBytes(tile::getResidentPieces(stage)),
          bytesOf(stage, tile::getPrologueAccesses(stage)), 0};
}

// The work of one worker, section by section: all tiles of a section weigh the same.
Work workOf(schedule::StepOp step, int64_t worker) {
  tile::StageOp stage = step.getStageOp();
  SmallVector<int64_t> tiles = step.getTilesOf(worker);
  Work work;
  if (tiles.empty())
    return work;
  work = workOfPrologue(stage);
  int64_t first = 0;
  for (tile::SectionOp section : stage.getSections()) {
    int64_t end = first + section.getTileCount();
    int64_t count = llvm::count_if(tiles, [&](int64_t t) { return first <= t && t < end; });
    Work tile = workOfTile(stage, section);
    work.add({tile.tape * count, tile.memory * count, tile.flops * count});
    first = end;
  }
  return work;
}

struct PredictCost : impl::PredictCostBase<PredictCost> {
  void runOnOperation() override {
    tile::MachineAttr machine = tile::getMachine(getOperation());
    if (!machine)
      return signalPassFailure();
    int64_t workers = machine.getWorkers();
    double bytesPerNs = machine.getBandwidth() * 1e-3 / workers;
    double flopsPerNs = static_cast<double>(machine.getPeak()) / workers;
    getOperation().walk([&](schedule::StepOp step) {
      Work all;
      double longest = 0;
      for (int64_t worker = 0; worker < workers; ++worker) {
        Work work = workOf(step, worker);
        longest = std::max({longest, work.tape / bytesPerNs, work.flops / flopsPerNs});
        all.add(work);
      }
      auto ns = static_cast<int64_t>(longest) + machine.getStep() +
                (step.getWaits().empty() ? 0 : machine.getEvent());
      step.setCostAttr(schedule::CostAttr::get(&getContext(), all.tape, all.memory, all.flops, ns));
    });
  }
};

} // namespace
} // namespace pianola
