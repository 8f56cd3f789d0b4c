//===- TileStages.cpp - Turn stages into tiles ----------------------------===//
//
// Builds a program for each number of slots; tiling/ has how.
//
//===----------------------------------------------------------------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Passes.h"
#include "passes/tiling/ProgramBuilder.h"

using namespace mlir;

namespace pianola {
#define GEN_PASS_DEF_TILESTAGES
#include "passes/Passes.h.inc"

namespace {

struct TileStages : impl::TileStagesBase<TileStages> {
  using TileStagesBase::TileStagesBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    tile::MachineAttr machine = tile::getMachine(module);
    auto forward = module.lookupSymbol<func::FuncOp>("forward");
    if (!machine || !forward) {
      if (!forward)
        module.emitError("the module has no function @forward");
      return signalPassFailure();
    }
    SmallVector<int64_t> counts(slots.begin(), slots.end());
    if (counts.empty())
      counts = {1, 64};
    int64_t most = *llvm::max_element(counts);
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    for (int64_t count : counts) {
      llvm::StringMap<tile::StageOp> stages;
      std::string name = count == 1 ? "decode" : "prefill_" + std::to_string(count);
      auto program = builder.create<schedule::ProgramOp>(
          module.getLoc(), name, count, IntegerAttr(), machine.getLoops() && count == 1);
      program.getBody().emplaceBlock();
      Type product = narrowFrom > 0 && count >= narrowFrom ? Type(builder.getBF16Type())
                                                           : machine.getProduct();
      tiling::ProgramBuilder programBuilder(module, machine, product, count, most, stages, program);
      if (failed(programBuilder.build(forward, hiddenStates)))
        return signalPassFailure();
    }
    forward.erase();
  }
};

} // namespace
} // namespace pianola
