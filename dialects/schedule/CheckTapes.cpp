//===- CheckTapes.cpp - Prove that tapes are consumed as they come --------===//

#include "dialects/schedule/CheckTapes.h"
#include "dialects/schedule/TapeOrder.h"

using namespace mlir;

namespace pianola::schedule {

// "step "q_proj" (stage decode.q_proj), tile 3 of its section, worker 1: takes @q from bytes 0 to
// 63 of the tape".
static InFlightDiagnostic refuse(ProgramOp program, const TapeUse &use, int64_t worker) {
  StepOp step = program.getSteps()[use.step];
  return step.emitError("step \"")
         << step.getLabel() << "\" (stage " << step.getStage() << "), tile " << use.tile
         << " of its section, worker " << worker << ": takes " << use.weight << " from bytes "
         << use.offset << " to " << use.offset + use.bytes - 1 << " of the tape";
}

LogicalResult compareTapes(ProgramOp a, ProgramOp b, int64_t workers) {
  for (int64_t w = 0; w < workers; ++w) {
    std::vector<TapeUse> ofA = getTape(a, w), ofB = getTape(b, w);
    for (size_t i = 0; i < std::max(ofA.size(), ofB.size()); ++i) {
      if (i < ofA.size() && i < ofB.size() && ofA[i].isSamePiece(ofB[i]))
        continue;
      bool inB = i < ofB.size();
      return refuse(inB ? b : a, inB ? ofB[i] : ofA[i], w)
             << ", where program @" << (inB ? a : b).getSymName() << " has something else";
    }
  }
  return success();
}

// A step plays its sections one after the other, each in one ascending run.
static LogicalResult checkRuns(StepOp step, int64_t worker) {
  SmallVector<int64_t> sectionOf;
  for (auto [number, section] : llvm::enumerate(step.getStageOp().getSections()))
    sectionOf.append(section.getTileCount(), number);
  SmallVector<int64_t> tiles = step.getTilesOf(worker);
  for (size_t i = 1; i < tiles.size(); ++i) {
    bool sameRun = tiles[i] == tiles[i - 1] + 1;
    if (sectionOf[tiles[i]] > sectionOf[tiles[i - 1]] || sameRun)
      continue;
    return step.emitError("step \"")
           << step.getLabel() << "\" (stage " << step.getStage() << "), tile " << tiles[i]
           << ", worker " << worker << ": comes after tile " << tiles[i - 1]
           << " on the tape; a step plays one run of neighbours of each section, in their order";
  }
  return success();
}

LogicalResult checkRing(ProgramOp program, tile::MachineAttr machine) {
  int64_t chunk = machine.getChunk();
  if (!chunk)
    return success();
  bool isPacked = llvm::any_of(program.getSteps(), [](StepOp step) {
    return llvm::any_of(step.getStageOp().getBody().getArgumentTypes(), [](Type type) {
      auto matrix = dyn_cast<tile::MatrixType>(type);
      return matrix && !matrix.isPlain();
    });
  });
  if (getRingBytes(program, machine) < (isPacked ? 2 : 1) * chunk)
    return program.emitError("program @")
           << program.getSymName() << " leaves " << getRingBytes(program, machine)
           << " bytes for a ring, which has slots of " << chunk << " bytes";
  for (int64_t w = 0; w < machine.getWorkers(); ++w) {
    for (StepOp step : program.getSteps())
      if (failed(checkRuns(step, w)))
        return failure();
    for (const TapeUse &use : getTape(program, w)) {
      auto matrix = dyn_cast<tile::MatrixType>(use.type);
      if (!matrix || !matrix.getPanel())
        return refuse(program, use, w)
               << ", where only panels of matrices may stand: a worker needs "
               << "it for longer than a slot of the ring is its own";
      // Packed panels may lie across two slots, not three.
      int64_t panel = matrix.getPanelBytes();
      if (isPacked ? panel > chunk : chunk % panel != 0 || use.offset % panel != 0)
        return refuse(program, use, w) << ", where a panel of " << panel
                                       << " bytes lies across two slots of " << chunk << " bytes";
    }
  }
  return success();
}

} // namespace pianola::schedule
