//===- TileExperts.cpp - Tiles of mixtures of experts ---------------------===//

#include "dialects/tile/Tile.h"
#include <cmath>

using namespace mlir;

namespace pianola::tile {

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

LogicalResult PoolType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, int64_t experts,
                               int64_t tiles, MatrixType matrix) {
  int64_t rows = matrix.getRowBlockPad();
  if (experts < 1 || tiles < 1 || rows != tiles * matrix.getRows())
    return emitError() << "a pool has " << tiles << " tiles of " << matrix.getRows()
                       << " rows for each of " << experts << " experts, which are blocks of "
                       << rows << " rows";
  return success();
}

LogicalResult RoutesType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, int64_t slots,
                                 int64_t chosen, int64_t experts) {
  if (slots < 1 || chosen < 1 || chosen > experts)
    return emitError() << slots << " slots cannot choose " << chosen << " of " << experts
                       << " experts each";
  return success();
}

double RoutesType::getMean() const {
  double share = double(getChosen()) / double(getExperts());
  return double(getExperts()) * (1 - std::pow(1 - share, double(getSlots())));
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

static RankedTensorType shapeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

static RoutesType routesOf(Operation *op) {
  return op->getParentOfType<ExpertsOp>().getRoutes().getType();
}

LogicalResult RouteOp::verify() {
  RoutesType routes = getResult().getType();
  RankedTensorType logits = shapeOf(getLogits());
  int64_t experts = routes.getExperts();
  if (logits.getDimSize(0) != routes.getSlots() || logits.getDimSize(1) < experts ||
      !logits.getElementType().isF32())
    return emitOpError("needs f32 logits of ")
           << routes.getSlots() << " slots and at least " << experts << " experts, got " << logits;
  if (Value correction = getCorrection())
    if (auto type = cast<VectorType>(correction.getType()); type.getSize() != experts)
      return emitOpError("has a correction of ")
             << type.getSize() << " elements for " << experts << " experts";
  if (bool(getGroups()) != bool(getKeep()) || bool(getGroups()) != bool(getBy()))
    return emitOpError("needs `groups`, `keep` and `by`, or none of them");
  if (!getGroups())
    return success();
  auto groups = int64_t(*getGroups()), keep = int64_t(*getKeep());
  if (groups < 1 || experts % groups != 0 || keep < 1 || keep > groups ||
      keep * (experts / groups) < routes.getChosen())
    return emitOpError("cannot choose ") << routes.getChosen() << " experts of " << keep << " of "
                                         << groups << " groups of " << experts;
  return success();
}

LogicalResult ExpertsOp::verify() {
  if (getChosen() && getSum())
    return emitOpError("of one expert has no sum");
  auto yield = cast<YieldOp>(getBody().front().getTerminator());
  if (yield.getOperandTypes() != (*this)->getResultTypes())
    return emitOpError("yields other types than its results");
  if (getSum() && shapeOf(getSum()).getDimSize(0) != getRoutes().getType().getSlots())
    return emitOpError("has a sum of ")
           << shapeOf(getSum()) << ", not of " << getRoutes().getType().getSlots() << " slots";
  return getChosen() ? verifyMap(*this, getChosenAttr(), "chosen") : success();
}

LogicalResult MembersOp::verify() {
  RoutesType routes = routesOf(*this);
  RankedTensorType value = shapeOf(getValue()), result = shapeOf(getResult());
  int64_t slots = routes.getSlots(), rows = value.getDimSize(0);
  if (rows != slots && rows != slots * routes.getChosen())
    return emitOpError("takes a value with a row for each of ")
           << slots << " slots, or for each of their " << routes.getChosen() << " choices, got "
           << value;
  if (result != RankedTensorType::get({slots, value.getDimSize(1)}, value.getElementType()))
    return emitOpError("gives rows of ")
           << value << " for up to " << slots << " slots, got " << result;
  return success();
}

LogicalResult WeightsOp::verify() {
  if (getPool().getType().getExperts() != routesOf(*this).getExperts())
    return emitOpError("has weights of ")
           << getPool().getType().getExperts() << " experts of " << routesOf(*this).getExperts();
  return verifyMap(*this, getTileAttr(), "tile");
}

LogicalResult ScatterOp::verify() {
  RoutesType routes = routesOf(*this);
  BufferType buffer = getBuffer().getType();
  if (buffer.getSlots() != routes.getSlots() * routes.getChosen())
    return emitOpError("needs a buffer with a row for each of ")
           << routes.getSlots() * routes.getChosen() << " choices, got " << buffer;
  if (shapeOf(getValue()).getDimSize(1) > buffer.getColumns())
    return emitOpError("writes ") << shapeOf(getValue()) << " into " << buffer;
  return verifyMap(*this, getColumnsAttr(), "columns");
}

} // namespace pianola::tile
