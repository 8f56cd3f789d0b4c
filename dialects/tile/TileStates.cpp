//===- TileStates.cpp - Tiles of layers that remember ---------------------===//

#include "dialects/tile/Tile.h"

using namespace mlir;

namespace pianola::tile {

LogicalResult StateType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, int64_t parts,
                                int64_t rows, int64_t columns) {
  if (parts < 1 || rows < 1 || columns < 1 || columns != padToLanes(columns))
    return emitError() << "a state has parts of rows of whole groups of 16 columns, not " << parts
                       << " x " << rows << " x " << columns;
  return success();
}

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

LogicalResult RecordOp::verify() {
  StateType state = getState().getType();
  if (state.getParts() != 1 || typeOf(getValue()).getDimSize(1) > state.getColumns())
    return emitOpError("writes rows of ") << getValue().getType() << " to " << state;
  return verifyMap(*this, getColumnsAttr(), "columns");
}

LogicalResult ConvolveOp::verify() {
  StateType state = getState().getType();
  VectorType weight = getWeight().getType();
  int64_t taps = getTaps();
  if (state.getParts() != 1 || taps < 1 ||
      weight.getBlocks() * weight.getPad() != taps * state.getColumns())
    return emitOpError("has ") << weight << " for " << taps << " taps of " << state;
  if (typeOf(getResult()).getDimSize(1) > state.getColumns() ||
      !typeOf(getResult()).getElementType().isF32())
    return emitOpError("makes ") << getResult().getType() << " of " << state;
  int64_t needed = typeOf(getResult()).getDimSize(0) + taps - 1;
  if (state.getRows() < needed)
    return emitOpError("of ") << taps << " taps and " << typeOf(getResult()).getDimSize(0)
                              << " slots needs " << needed << " rows, found " << state;
  return failure(failed(verifyMap(*this, getSlotsAttr(), "slots")) ||
                 failed(verifyMap(*this, getColumnsAttr(), "columns")));
}

LogicalResult DeltaOp::verify() {
  StateType state = getState().getType();
  VectorType vector = getRate().getType();
  RankedTensorType key = typeOf(getKey()), value = typeOf(getValue()), gates = typeOf(getGates());
  if (padToLanes(state.getRows()) != key.getDimSize(1) || state.getColumns() != value.getDimSize(1))
    return emitOpError("has keys of ") << key << " and values of " << value << " for " << state;
  if (vector.getBlocks() != 1 || vector.getSize() != state.getParts() ||
      gates.getDimSize(1) < 2 * state.getParts())
    return emitOpError("has ") << vector << " and " << gates << " for the heads of " << state;
  for (RankedTensorType type : {key, value, gates})
    if (!type.getElementType().isF32() || type.getDimSize(0) != value.getDimSize(0))
      return emitOpError("takes f32 values of the same slots, found ") << type;
  return failure(failed(verifyMap(*this, getHeadAttr(), "head")) ||
                 failed(verifyMap(*this, getSlotsAttr(), "slots")));
}

} // namespace pianola::tile
