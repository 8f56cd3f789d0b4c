//===- Pipeline.cpp - From the transformer dialect to a proven schedule ---===//
//
// The whole pipeline, and why it is in this order.
//
//===----------------------------------------------------------------------===//

#include "lib/driver/Pipeline.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Passes.h"

using namespace mlir;

namespace pianola {

LogicalResult runPipeline(ModuleOp module, tile::MachineAttr machine,
                          const ProgramOptions &programs, Phase until, Proof proof) {
  module->setAttr("tile.machine", machine);
  PassManager passes(module.getContext());

  // What is computed together. Needs whole layers as values, so it comes before anything is cut.
  passes.addPass(createFuseStages());

  // What one tile does. The machine enters here: the type of products, and how many workers the
  // tiles must be enough for. After this, nothing of the transformer dialect is left but symbols.
  TileStagesOptions tiling;
  tiling.slots = programs.slots;
  tiling.narrowFrom = programs.narrowFrom;
  tiling.hiddenStates = programs.hiddenStates;
  passes.addPass(createTileStages(tiling));
  if (until == Phase::Tile)
    return passes.run(module);

  // Who does it. Before the memory plan, because the plan is the same whoever does it, and before
  // events, because a worker never waits for itself.
  passes.addPass(createAssignTiles());

  // Where it lies. Before events, because sharing bytes makes dependencies of its own.
  passes.addPass(createPlanMemory());

  // When it may begin.
  passes.addPass(createPlaceEvents());

  // What that will cost, and the proof: last, on exactly what will be played.
  passes.addPass(createPredictCost());
  if (proof == Proof::Wanted)
    passes.addPass(createCheckSchedule());
  return passes.run(module);
}

} // namespace pianola
