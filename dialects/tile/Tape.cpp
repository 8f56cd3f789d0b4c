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

// Registers that a lane needs for panels of a matrix, and for scales of whole rows: of 8 rows'
// scales it wants one row's where weights are the first operand of products, and two rows'
// otherwise.
struct Registers {
  int64_t ofPanel, ofRows;
};
static Registers registersOf(MatrixType matrix, int64_t slots) {
  int64_t lines = matrix.getRows() / 8;
  if (encoding::isPlain(matrix.getElement())) // and perhaps the panel's number
    return {4 * lines + (matrix.getKept() ? 1 : 0), 0};
  if (matrix.isPruned()) // a lane's patterns are two bytes
    return {5 * lines, 0};
  encoding::ScaledType codes = matrix.getCodes();
  int64_t rows = areWeightsFirst(matrix.getRows(), slots) ? 1 : 2;
  auto forScales = [&](int64_t ofRow) {
    return lines * ((rows * ofRow * codes.getScaleBytes() + 3) / 4 + codes.getZeroBytes());
  };
  int64_t ofRow = matrix.getPanelScales();
  return ofRow ? Registers{4 * lines + forScales(ofRow), 0} : Registers{4 * lines, forScales(1)};
}

// A section's panels of a warp, in each matrix of a tile; none if products take its weights as f32.
static SmallVector<int64_t, 2> panelsOf(ArrayRef<MatrixType> matrices, int64_t warps) {
  SmallVector<int64_t, 2> panels;
  for (MatrixType matrix : matrices) {
    if (!matrix.getElement().isBF16() && encoding::isPlain(matrix.getElement()))
      return {};
    panels.push_back((matrix.getPanels() + warps - 1) / warps);
  }
  return panels;
}

SmallVector<EarlyPanels> planEarly(StageOp stage, int64_t workers, int64_t warps, int64_t room,
                                   llvm::function_ref<int64_t(SectionOp)> most) {
  SmallVector<SectionOp> sections = stage.getSections();
  SmallVector<EarlyPanels> plans(sections.size());
  for (auto [section, plan] : llvm::zip_equal(sections, plans)) {
    SmallVector<MatrixType, 2> matrices;
    int64_t slots = 0;
    for (auto contract : section.getBody().front().getOps<ContractOp>()) {
      matrices.push_back(contract.getMatrix().getType());
      slots = cast<RankedTensorType>(contract.getValue().getType()).getDimSize(0);
    }
    SmallVector<int64_t, 2> panels = panelsOf(matrices, warps);
    // What is no plain number needs registers to become one, too.
    if (section == sections.front() && llvm::any_of(matrices, [](MatrixType matrix) {
          return !encoding::isPlain(matrix.getElement());
        }))
      room = room * 3 / 5;
    int64_t ofTile = 0;
    for (auto [matrix, count] : llvm::zip(matrices, panels)) {
      auto [ofPanel, ofRows] = registersOf(matrix, slots);
      ofTile += ofRows + count * ofPanel;
    }
    // What experts' sums are added to is taken with them.
    if (panels.empty() || !section.getBody().front().getOps<ExpertsOp>().empty())
      break;
    plan.panels = panels;
    int64_t usual = (section.getTileCount() + workers - 1) / workers;
    plan.tiles = std::min({room / ofTile, usual, most(section)});
    room -= plan.tiles * ofTile;
    if (plan.tiles == 0 && section == sections.front()) {
      for (auto [matrix, count] : llvm::zip(matrices, plan.panels)) {
        auto [ofPanel, ofRows] = registersOf(matrix, slots);
        count = std::clamp<int64_t>((room - ofRows) / ofPanel, 0, count);
        room -= count ? ofRows + count * ofPanel : 0;
        plan.tiles |= count > 0;
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
