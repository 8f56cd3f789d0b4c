//===- CheckStage.cpp - What the host target cannot lower -----------------===//
//
// The dialect allows more than is made by the passes before this target. What the target does not
// do is refused here, so that lowering has no cases that go wrong in silence.
//
//===----------------------------------------------------------------------===//

#include "targets/host/Stage.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace pianola::host {

namespace {

bool isStored(Type type) { return type.isBF16() || type.isF32(); }

LogicalResult checkMatrix(tile::MatrixType type,
                          llvm::function_ref<LogicalResult(const Twine &)> refuse) {
  auto scaled = dyn_cast<encoding::ScaledType>(type.getElement());
  if (!encoding::isEncoding(type.getElement()))
    return refuse("weights must be bf16, f16, f32, codes or two of four columns");
  if (scaled && scaled.getGroup() && type.getBlocks() > 1 &&
      type.getColumns() != type.getColumnPad())
    return refuse("groups of columns must have no padding in between");
  if (type.getRowPad() % 16 != 0 || type.getColumnPad() % 16 != 0 || type.getDepth() < 16)
    return refuse("padded rows and columns must be multiples of 16");
  return success();
}

LogicalResult checkArgument(tile::StageOp stage, BlockArgument argument) {
  auto refuse = [&](const Twine &what) {
    return LogicalResult(stage.emitOpError("argument ") << argument.getArgNumber() << ": " << what
                                                        << ", got " << argument.getType());
  };
  return TypeSwitch<Type, LogicalResult>(argument.getType())
      .Case([&](tile::PoolType type) { return checkMatrix(type.getMatrix(), refuse); })
      .Case([&](tile::MatrixType type) { return checkMatrix(type, refuse); })
      .Case([&](tile::TableType type) -> LogicalResult {
        auto scaled = dyn_cast<encoding::ScaledType>(type.getElement());
        if (scaled && scaled.getOrder())
          return refuse("a table's columns must be in order");
        if (!encoding::isPlain(type.getElement()) && !scaled)
          return refuse("a table must be of bf16, f16, f32 or codes");
        if (type.getColumnPad() % 16 != 0)
          return refuse("padded columns must be a multiple of 16");
        return success();
      })
      .Case([&](tile::ContextType type) -> LogicalResult {
        if (type.getSize() % 16 != 0 || type.getSize() < 16)
          return refuse("the size of a head must be a multiple of 16");
        return success();
      })
      .Case([&](tile::BufferType type) -> LogicalResult {
        return isStored(type.getElement()) || type.getElement().isInteger(32)
                   ? success()
                   : refuse("a buffer must be of bf16, f32 or i32");
      })
      .Default(success());
}

bool isLinear(AffineExpr expr) {
  if (isa<AffineConstantExpr, AffineDimExpr>(expr))
    return true;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary || !isLinear(binary.getLHS()))
    return false;
  auto factor = dyn_cast<AffineConstantExpr>(binary.getRHS());
  if (expr.getKind() == AffineExprKind::Add)
    return isLinear(binary.getRHS());
  if (expr.getKind() == AffineExprKind::CeilDiv)
    return false;
  return factor && (expr.getKind() == AffineExprKind::Mul || factor.getValue() > 0);
}

// What any op must be like, those that are done for an expert too. `count` is how many slots the
// values of the part have, once one is known; with routes there may be a row for each choice.
LogicalResult checkOp(Operation &op, bool hasRoutes, std::optional<int64_t> &count) {
  for (NamedAttribute attribute : op.getAttrs())
    if (auto map = dyn_cast<AffineMapAttr>(attribute.getValue());
        map && !isLinear(map.getValue().getResult(0)))
      return op.emitOpError() << attribute.getName().strref()
                              << " must be a linear form of the tile's "
                              << "coordinates, got " << map;
  SmallVector<Value> values(op.getOperands());
  llvm::append_range(values, op.getResults());
  for (Value value : values) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type)
      continue;
    if (type.getRank() != 2 || type.getDimSize(1) % 16 != 0)
      return op.emitOpError("has a value whose columns are not a multiple of 16: ") << type;
    int64_t rows = type.getDimSize(0);
    bool fits =
        !count || rows == *count || (hasRoutes && (rows % *count == 0 || *count % rows == 0));
    if (!fits)
      return op.emitOpError("has a value of ")
             << rows << " slots in a part of " << *count << " slots";
    count = std::min(rows, count.value_or(rows));
  }
  return success();
}

// Values of a part all have the same slots: one range of valid slots serves all its ops.
LogicalResult checkPart(Block &block) {
  AffineMapAttr slots;
  std::optional<int64_t> count;
  bool hasRoutes = false;
  block.walk([&](Operation *op) { hasRoutes |= isa<tile::RouteOp, tile::ExpertsOp>(op); });
  WalkResult checked = block.walk([&](Operation *op) {
    return failed(checkOp(*op, hasRoutes, count)) ? WalkResult::interrupt() : WalkResult::advance();
  });
  if (checked.wasInterrupted())
    return failure();
  for (Operation &op : block) {
    // An append takes slots from 0 on, as an op without the attribute does.
    if (!isa<tile::LoadOp, tile::StoreOp, tile::GatherOp, tile::AttendOp, tile::AppendOp,
             tile::ScoreOp, tile::ChooseOp, tile::RecordOp, tile::ConvolveOp, tile::DeltaOp>(op))
      continue;
    auto map = op.getAttrOfType<AffineMapAttr>("slots");
    if (!map)
      map = AffineMapAttr::get(AffineMap::get(
          block.getNumArguments(), 0, getAffineConstantExpr(0, block.getParent()->getContext())));
    if (slots && map != slots)
      return op.emitOpError("begins at other slots than the part's first op: ")
             << map << ", not " << slots;
    slots = map;
  }
  // A prologue's values begin at slot 0.
  if (!slots)
    return success();
  if (slots.getValue().isSingleConstant()) {
    if (slots.getValue().getSingleConstantResult() == 0)
      return success();
    return block.front().emitOpError("begins at a fixed slot that is not 0");
  }
  for (Operation &op : block)
    for (Value operand : op.getOperands())
      if (operand.getDefiningOp<tile::PrologueOp>())
        return op.emitOpError("takes a prologue's value in a section of blocks of slots");
  return success();
}

} // namespace

LogicalResult checkStage(tile::StageOp stage) {
  for (BlockArgument argument : stage.getBody().getArguments())
    if (failed(checkArgument(stage, argument)))
      return failure();
  for (Operation &part : stage.getBody().front())
    if (failed(checkPart(part.getRegion(0).front())))
      return failure();
  LogicalResult result = success();
  stage.walk([&](Operation *op) {
    auto attend = dyn_cast<tile::AttendOp>(op);
    auto score = dyn_cast<tile::ScoreOp>(op);
    if ((attend && attend.getKeys()) || (score && score.getKeys()))
      result = op->emitOpError("takes no fresh keys here: all stand in the context");
  });
  stage.walk([&](tile::ConvolveOp op) {
    if (!op.getWeight().getType().getConstant())
      result = op.emitOpError("needs a constant vector");
  });
  stage.walk([&](tile::GatherOp op) {
    int64_t columns = cast<RankedTensorType>(op.getResult().getType()).getDimSize(1);
    if (columns != op.getTable().getType().getColumnPad())
      result = op.emitOpError("gathers ")
               << columns << " columns of " << op.getTable().getType().getColumnPad();
  });
  return result;
}

} // namespace pianola::host
