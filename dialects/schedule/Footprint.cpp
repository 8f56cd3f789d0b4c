//===- Footprint.cpp - What a program's tiles touch, buffer by buffer -----===//

#include "dialects/schedule/Footprint.h"

using namespace mlir;

namespace pianola::schedule {

Extent Extent::of(Value value, int64_t slots) {
  if (!value)
    return {slots, 1, 4, std::nullopt, "the tokens"};
  if (auto context = dyn_cast<tile::ContextType>(value.getType()))
    return {slots, 2 * context.getHeads() * context.getSize(),
            context.getElement().getIntOrFloatBitWidth() / 8, std::nullopt, "the context"};
  if (auto state = dyn_cast<tile::StateType>(value.getType()))
    return {slots, state.getParts() * state.getColumns(), 4, std::nullopt, "the state"};
  auto type = cast<tile::BufferType>(value.getType());
  auto buffer = value.getDefiningOp<BufferOp>();
  std::optional<int64_t> at;
  if (buffer && buffer.getAt())
    at = *buffer.getAt();
  return {type.getSlots(), type.getColumns(), type.getElementBytes(), at};
}

std::string Extent::describe(const Touch &touch) const {
  int64_t first = (touch.slot * columns + touch.column) * elementBytes;
  int64_t last = ((touch.slotEnd - 1) * columns + touch.columnEnd) * elementBytes - 1;
  std::string text;
  llvm::raw_string_ostream(text) << "bytes " << at.value_or(0) + first << " to "
                                 << at.value_or(0) + last << " of " << space;
  return text;
}

Value getBound(StepOp step, const tile::Access &access) {
  return access.argument == tile::kTokens ? Value() : step.getBindingOf(access.argument);
}

Footprint Footprint::of(ProgramOp program, int64_t workers) {
  Footprint footprint;
  // What a tile touches is the same in each step that plays the stage.
  struct StageTouches {
    SmallVector<tile::Access> prologue;
    std::vector<SmallVector<tile::Access>> tiles;
  };
  DenseMap<Operation *, StageTouches> stages;
  int64_t number = -1;
  for (StepOp step : program.getSteps()) {
    ++number;
    tile::StageOp stage = step.getStageOp();
    auto [entry, isNew] = stages.try_emplace(stage);
    StageTouches &known = entry->second;
    if (isNew) {
      known.prologue = tile::getPrologueAccesses(stage);
      for (tile::SectionOp section : stage.getSections())
        for (int64_t t = 0; t < section.getTileCount(); ++t)
          known.tiles.push_back(tile::getTileAccesses(section, t));
    }
    for (int64_t w = 0; w < workers; ++w) {
      SmallVector<int64_t> tiles = step.getTilesOf(w);
      auto add = [&](int64_t t, ArrayRef<tile::Access> accesses) {
        for (const tile::Access &access : accesses)
          footprint.touches[getBound(step, access)].push_back(
              {number, w, t, access.write, access.slot, access.slot + access.slots, access.column,
               access.column + access.columns, access.past, access.chosen, access.choices});
      };
      if (!tiles.empty())
        add(-1, known.prologue);
      for (int64_t t : tiles)
        add(t, known.tiles[t]);
    }
  }
  return footprint;
}

} // namespace pianola::schedule
