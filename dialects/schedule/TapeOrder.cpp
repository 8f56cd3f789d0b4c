//===- TapeOrder.cpp - The bytes of one worker's tape, in order -----------===//

#include "dialects/schedule/TapeOrder.h"
#include "dialects/tile/Tape.h"

using namespace mlir;

namespace pianola::schedule {

std::vector<TapeUse> getTape(ProgramOp program, int64_t worker) {
  std::vector<TapeUse> tape;
  int64_t number = -1;
  for (StepOp step : program.getSteps()) {
    ++number;
    SmallVector<int64_t> tiles = step.getTilesOf(worker);
    if (tiles.empty())
      continue;
    tile::StageOp stage = step.getStageOp();
    auto use = [&](const tile::TapePiece &piece, int64_t tile) {
      tape.push_back({step.getWeightOf(piece.argument),
                      stage.getBody().getArgument(piece.argument).getType(), tile, number,
                      getTapeBytes(tape), piece.bytes});
    };
    for (const tile::TapePiece &piece : tile::getResidentPieces(stage))
      use(piece, -1);
    SmallVector<std::pair<int64_t, SmallVector<tile::TapePiece>>> sections;
    for (tile::SectionOp section : stage.getSections())
      sections.push_back({section.getTileCount(), tile::getTilePieces(section)});
    for (int64_t tile : tiles) {
      auto *section = sections.begin();
      while (tile >= section->first)
        tile -= (section++)->first;
      for (const tile::TapePiece &piece : section->second)
        use(piece, tile);
    }
  }
  return tape;
}

int64_t getRingBytes(ProgramOp program, tile::MachineAttr machine) {
  // Partial sums of a batch of tiles, and padding, in a program of one slot; others have some more.
  constexpr int64_t kBesides = 9 << 10;
  int64_t greatest = 0;
  for (StepOp step : program.getSteps())
    if (tile::PrologueOp prologue = step.getStageOp().getPrologue()) {
      int64_t bytes = 0;
      for (Type type : prologue.getResultTypes())
        if (auto value = dyn_cast<RankedTensorType>(type))
          bytes += value.getNumElements() * 4;
      greatest = std::max(greatest, bytes);
    }
  int64_t left = machine.getRing() - greatest - kBesides;
  return machine.getChunk() ? std::max<int64_t>(left, 0) / machine.getChunk() * machine.getChunk()
                            : left;
}

} // namespace pianola::schedule
