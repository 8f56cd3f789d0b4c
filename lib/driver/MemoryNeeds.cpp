//===- MemoryNeeds.cpp - What a scheduled model takes of a device's memory ===//

#include "lib/driver/MemoryNeeds.h"
#include "dialects/tile/Tape.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace pianola {

MemoryNeeds MemoryNeeds::of(ModuleOp module, int64_t workers, int64_t positions) {
  MemoryNeeds needs;
  auto programs = llvm::to_vector(module.getOps<schedule::ProgramOp>());
  // All programs share the tapes: each tile stands on one, resident vectors on each that has tiles.
  for (schedule::StepOp step : programs.front().getSteps()) {
    tile::StageOp stage = step.getStageOp();
    for (tile::SectionOp section : stage.getSections())
      needs.weights += section.getTileCount() * tile::getTapeBytes(tile::getTilePieces(section));
    int64_t resident = tile::getTapeBytes(tile::getResidentPieces(stage));
    for (int64_t worker = 0; resident && worker < workers; ++worker)
      needs.weights += step.getTilesOf(worker).empty() ? 0 : resident;
  }
  llvm::DenseSet<Attribute> seen; // all programs share these
  for (schedule::ProgramOp program : programs) {
    needs.activations = std::max<uint64_t>(needs.activations, program.getArena().value_or(0));
    for (Operation &op : program.getBody().front()) {
      if (auto pool = dyn_cast<schedule::PoolOp>(op)) {
        if (seen.insert(pool.getWeight()).second)
          needs.weights += pool.getPool().getType().getBytes();
      } else if (auto table = dyn_cast<schedule::TableOp>(op)) {
        tile::TableType type = table.getTable().getType();
        if (type.getTileRows() == 0 && seen.insert(table.getWeight()).second)
          needs.weights +=
              type.getRows() * encoding::rowBytes(type.getElement(), type.getColumnPad());
      } else if (auto context = dyn_cast<schedule::ContextOp>(op)) {
        tile::ContextType type = context.getContext().getType();
        int64_t kept = type.getRing() ? std::min(positions, type.getRing()) : positions;
        if (seen.insert(context.getCache()).second)
          needs.contexts += 2 * type.getHeads() * type.getPositionBytes() * kept;
      } else if (auto state = dyn_cast<schedule::StateOp>(op)) {
        if (seen.insert(state.getSymbol()).second)
          needs.contexts += state.getState().getType().getBytes();
      }
    }
  }
  return needs;
}

std::string gigabytes(uint64_t bytes) { return llvm::formatv("{0:f1} GB", double(bytes) * 1e-9); }

} // namespace pianola
