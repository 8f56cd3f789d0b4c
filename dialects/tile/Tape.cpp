//===- Tape.cpp - In which order a stage consumes its weights -------------===//

#include "dialects/tile/Tape.h"

using namespace mlir;

namespace pianola::tile {

SmallVector<TapePiece> getResidentPieces(StageOp stage) {
  SmallVector<TapePiece> pieces;
  for (BlockArgument argument : stage.getBody().getArguments())
    if (auto vector = dyn_cast<VectorType>(argument.getType());
        vector && !vector.getPerTile() && !vector.getConstant())
      pieces.push_back({argument.getArgNumber(), getTapeBytes(pieces), vector.getBytes()});
  return pieces;
}

SmallVector<TapePiece> getTilePieces(SectionOp section) {
  SmallVector<TapePiece> pieces;
  auto add = [&](Value weight, int64_t bytes) {
    unsigned argument = cast<BlockArgument>(weight).getArgNumber();
    if (llvm::none_of(pieces, [&](TapePiece &piece) { return piece.argument == argument; }))
      pieces.push_back({argument, getTapeBytes(pieces), bytes});
  };
  for (Operation &op : section.getBody().front())
    for (Value operand : op.getOperands()) {
      if (auto matrix = dyn_cast<MatrixType>(operand.getType()))
        add(operand, matrix.getTileBytes());
      else if (auto vector = dyn_cast<VectorType>(operand.getType());
               vector && vector.getPerTile() && !vector.getConstant())
        add(operand, vector.getBytes());
    }
  return pieces;
}

int64_t getTapeBytes(ArrayRef<TapePiece> pieces) {
  return pieces.empty() ? 0 : pieces.back().offset + pieces.back().bytes;
}

// A section's panels of a warp, in each matrix of a tile, and the lines that each panel has; none
// if its weights are not bf16.
static std::pair<SmallVector<int64_t, 2>, int64_t> panelsOf(SectionOp section, int64_t warps) {
  SmallVector<int64_t, 2> panels;
  int64_t lines = 0;
  for (auto contract : section.getBody().front().getOps<ContractOp>()) {
    MatrixType matrix = contract.getMatrix().getType();
    if (!matrix.getElement().isBF16())
      return {};
    panels.push_back((matrix.getPanels() + warps - 1) / warps);
    lines = matrix.getRowPad() / 8;
  }
  return {panels, lines};
}

SmallVector<EarlyPanels> planEarly(StageOp stage, int64_t workers, int64_t warps, int64_t room,
                                   llvm::function_ref<int64_t(SectionOp)> most) {
  SmallVector<SectionOp> sections = stage.getSections();
  SmallVector<EarlyPanels> plans(sections.size());
  for (auto [section, plan] : llvm::zip_equal(sections, plans)) {
    auto [panels, lines] = panelsOf(section, warps);
    int64_t ofTile = 0;
    for (int64_t each : panels)
      ofTile += each * lines;
    if (ofTile == 0)
      break;
    plan.panels = panels;
    int64_t usual = (section.getTileCount() + workers - 1) / workers;
    plan.tiles = std::min({room / ofTile, usual, most(section)});
    room -= plan.tiles * ofTile;
    if (plan.tiles == 0 && section == sections.front() && room >= lines) {
      plan.tiles = 1;
      for (int64_t &each : plan.panels) {
        each = std::min(each, room / lines);
        room -= each * lines;
      }
      break;
    }
    // A worker's weights come in the order of the tape.
    if (plan.tiles < usual)
      break;
  }
  return plans;
}

} // namespace pianola::tile
