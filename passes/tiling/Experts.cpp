//===- Experts.cpp - Tiles of mixtures of experts -------------------------===//
//
// What a router gives is its logits; who needs the choice makes it in a prologue. Matrices that
// come first are dealt out as pairs of a chosen expert and a tile of its matrix, round the workers:
// so these have as much to do as each other whatever is chosen, and how many it are. The matrix
// that comes last has rows enough for all workers, and its tiles go from expert to expert, so that
// the sum needs no place of its own and nobody to wait for it.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/StageBuilder.h"
#include <numeric>

using namespace mlir;
using namespace pianola::transformer;

namespace pianola::tiling {

Value routesBehind(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto routed = dyn_cast_or_null<RoutedLinearOp>(op))
    return routed.getCombined() ? Value() : Value(routed.getRoutes());
  return isa_and_nonnull<ActivateOp, GluOp, ScaleOp>(op) ? routesBehind(op->getOperand(0))
                                                         : Value();
}

static AffineMapAttr mapOf(AffineExpr expr) {
  return AffineMapAttr::get(AffineMap::get(1, 0, expr));
}

// One expert's columns of what all that a slot has chosen make.
static Layout ofExpert(Layout layout) { return {false, 1, layout.size, layout.pad}; }

Value StageBuilder::emitRoutes(Value value) {
  auto [found, isNew] =
      prologueResults.try_emplace({value, SymbolRefAttr()}, prologueValues.size());
  if (!isNew)
    return prologueValues[found->second];
  OpBuilder::InsertionGuard guard(builder);
  beginPrologue();
  auto router = value.getDefiningOp<RouteOp>();
  if (auto stage = value.getDefiningOp<StageOp>())
    router = cast<YieldOp>(stage.getBody().front().getTerminator())
                 .getOperand(cast<OpResult>(value).getResultNumber())
                 .getDefiningOp<RouteOp>();
  transformer::RoutesType type = router.getResult().getType();
  Value logits = loadWhole(owner.placed.at(value).buffer), correction;
  if (auto symbol = router.getCorrectionAttr())
    correction = vector(symbol, Layout::plain(type.getExperts()));
  tile::GroupScoreAttr by;
  if (router.getBy())
    by = tile::GroupScoreAttr::get(owner.context, static_cast<tile::GroupScore>(*router.getBy()));
  Value routes = builder.create<tile::RouteOp>(
      loc, tile::RoutesType::get(owner.context, owner.slots, type.getChosen(), type.getExperts()),
      logits, correction, router.getGroupsAttr(), router.getKeepAttr(), by,
      static_cast<tile::Score>(router.getScore()), router.getNormalised(), router.getScale());
  prologueValues.push_back(routes);
  return routes;
}

// A region of its own for what is done for an expert.
tile::ExpertsOp StageBuilder::beginExperts(Value routes, AffineMapAttr chosen, Type sum) {
  auto op = builder.create<tile::ExpertsOp>(loc, sum ? TypeRange(sum) : TypeRange(),
                                            emitRoutes(routes), chosen);
  builder.setInsertionPointToEnd(&op.getBody().emplaceBlock());
  members.clear();
  return op;
}

// Of an expert: `rows` rows of its matrix times its members' rows.
FailureOr<Value> StageBuilder::emitOfExpert(RoutedLinearOp routed, Layout layout, int64_t rows,
                                            AffineExpr tile) {
  SymbolRefAttr symbol = routed.getWeightAttr();
  Layout input = ofExpert(layoutOf(routed.getInput()));
  FailureOr<Value> whole = emitOperand(routed.getInput(), symbol, input);
  if (failed(whole))
    return failure();
  Value &row = members[routed.getInput()];
  if (!row) {
    auto type = cast<RankedTensorType>(whole->getType());
    row = builder.create<tile::MembersOp>(loc, values(type.getDimSize(1), type.getElementType()),
                                          *whole);
  }
  auto weight = owner.symbols.lookup<WeightOp>(symbol.getRootReference());
  Type element = owner.elementOnTape(weight, input);
  int64_t experts = routed.getRoutes().getType().getExperts();
  auto matrix =
      tile::MatrixType::get(owner.context, rows, rows, input.blocks, input.size, input.pad, element,
                            owner.panelOf(element), layout.size, layout.pad,
                            owner.keptOnTape(weight, rows, layout.size, input));
  auto pool = tile::PoolType::get(owner.context, experts, layout.pad / rows, matrix);
  Value weights = builder.create<tile::WeightsOp>(
      loc, matrix, bindValue(owner.bind(routed, symbol, pool)), mapOf(tile));
  Value product = builder.create<tile::ContractOp>(loc, values(rows, owner.f32()), weights, row);
  if (auto bias = routed.getBiasAttr()) {
    auto type = tile::VectorType::get(owner.context, experts, layout.size, layout.pad,
                                      /*perTile=*/false, /*constant=*/true, /*order=*/false);
    product = builder.create<tile::BiasOp>(loc, product, this->weight(bias, type),
                                           mapOf(tile * rows), /*of_expert=*/true);
  }
  if (routed.getWeighted())
    product = builder.create<tile::WeighOp>(loc, product);
  return product;
}

FailureOr<Value> StageBuilder::emitSumOfExperts(RoutedLinearOp routed, Layout layout,
                                                int64_t rows) {
  OpBuilder::InsertionGuard guard(builder);
  tile::ExpertsOp experts =
      beginExperts(routed.getRoutes(), AffineMapAttr(), values(rows, owner.f32()));
  FailureOr<Value> product = emitOfExpert(routed, layout, rows, getAffineDimExpr(0, owner.context));
  if (failed(product))
    return failure();
  builder.create<tile::YieldOp>(loc, *product);
  return experts.getSum();
}

LogicalResult StageBuilder::emitExperts(Value value, Value routes, const Placed &to) {
  Layout layout = layoutOf(value);
  int64_t chosen = layout.blocks, workers = owner.machine.getWorkers();
  // Rows of all experts of a slot, of which there are always as many.
  int64_t rows = owner.rowsOf({false, 1, chosen * layout.pad, chosen * layout.pad});
  while (layout.pad % rows != 0)
    rows /= 2;
  int64_t tiles = layout.pad / rows;
  auto type = cast<transformer::RoutesType>(routes.getType());
  int64_t most = std::min(type.getExperts(), owner.slots * type.getChosen());
  // Tiles are shared out to as many groups of workers as come out even, and in a group pairs of an
  // expert and a tile go round its workers. What a worker reads of an expert then lies together, if
  // it can.
  int64_t groups = std::gcd(tiles, workers), inGroup = tiles / groups, round = workers / groups;
  int64_t each = (most * inGroup + round - 1) / round; // pairs of a worker
  section({each * workers});
  AffineExpr number = getAffineDimExpr(0, owner.context), worker = number.floorDiv(each);
  AffineExpr pair = number % each * round + worker % round;
  AffineExpr tile = worker.floorDiv(round) * inGroup + pair % inGroup;
  {
    OpBuilder::InsertionGuard guard(builder);
    beginExperts(routes, mapOf(pair.floorDiv(inGroup)), Type());
    tileOfExpert = tile;
    FailureOr<Value> made = emitTile(value, layout, rows);
    tileOfExpert = {};
    if (failed(made))
      return failure();
    builder.create<tile::ScatterOp>(loc, *made, bindValue(to.buffer), mapOf(tile * rows));
    builder.create<tile::YieldOp>(loc, ValueRange());
  }
  return success();
}

} // namespace pianola::tiling
