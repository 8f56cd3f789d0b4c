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

} // namespace pianola::tile
