//===- Selections.cpp - The positions that are attended to ---------------===//
//
// A selection is two stages: tiles that score parts of the positions, and tiles that choose, one
// for each slot. Attention reads a bit for each position.
//
//===----------------------------------------------------------------------===//

#include "passes/tiling/StageBuilder.h"

using namespace mlir;
using namespace pianola::transformer;

namespace pianola::tiling {

int64_t ProgramBuilder::slotBlockOf(SelectOp select) {
  int64_t block = std::min(kSlotBlock, slots);
  if (!machine.getRows())
    return block;
  // The queries, and the keys of all slots, as numbers and perhaps as codes.
  int64_t size = tile::padToLanes(select.getContext().getType().getHeadSize());
  int64_t room = roomBeside(13 << 10) - slots * (size * 5 + 4);
  int64_t ofSlot = int64_t(select.getHeads()) * size * 4;
  return greatestBlock(block, [&](int64_t block) { return block * ofSlot <= room; });
}

int64_t ProgramBuilder::partsOf(SelectOp select) {
  int64_t block = slotBlockOf(select), blocks = (slots + block - 1) / block;
  // Where heads are the readers' business a worker has the append.
  int64_t workers = machine.getWorkers() - (machine.getRows() ? 1 : 0);
  int64_t groups = (select.getResult().getType().getPositions() + tile::ScoreOp::kGroup - 1) /
                   tile::ScoreOp::kGroup;
  return std::clamp<int64_t>(workers / blocks, 1, groups);
}

Placed ProgramBuilder::placeSelection(SelectOp select, StringRef label) {
  SelectionType type = select.getResult().getType();
  OpBuilder builder = OpBuilder::atBlockEnd(&program.getBody().front());
  auto buffer = [&](StringRef suffix, int64_t columns, Type element) -> Value {
    return builder.create<schedule::BufferOp>(
        select.getLoc(), tile::BufferType::get(context, slots, columns, element),
        builder.getStringAttr(label + suffix), IntegerAttr());
  };
  Placed to;
  to.scores =
      buffer(".scores", tile::ScoreOp::columnsFor(type.getPositions(), partsOf(select)), f32());
  to.buffer = buffer("", tile::ChooseOp::columnsFor(type.getPositions()), builder.getI32Type());
  return to;
}

LogicalResult StageBuilder::emitScores(SelectOp select, Value scores) {
  int64_t block = owner.slotBlockOf(select), parts = owner.partsOf(select);
  section({(owner.slots + block - 1) / block, parts});
  AffineMapAttr slots = owner.slots > block ? map(2, 0, block) : AffineMapAttr();
  AffineMap first = AffineMap::get(2, 0, getAffineConstantExpr(0, owner.context));
  FailureOr<Value> queries = emitHeads(select.getQuery(), slots, block, select.getHeads(), first);
  FailureOr<Value> weights = emitHeads(select.getWeights(), slots, block, 1, first);
  if (failed(queries) || failed(weights))
    return failure();
  auto append = select.getContext().getDefiningOp<AppendOp>();
  Value cache, keys;
  if (append && append->getParentOp() == source) {
    cache = owner.bindContext(append);
    FailureOr<Value> fresh = emitHeads(append.getKeys(), AffineMapAttr(), owner.slots, 1, first);
    if (failed(fresh))
      return failure();
    keys = *fresh;
  } else {
    cache = owner.placed.at(select.getContext()).buffer;
  }
  builder.create<tile::ScoreOp>(loc, *queries, *weights, bindValue(cache), keys, bindValue(scores),
                                select.getHeadsAttr(), select.getScaleAttr(), slots,
                                parts > 1 ? map(2, 1, 1) : AffineMapAttr(),
                                builder.getI64IntegerAttr(parts));
  return keys ? emitFreshAppend(append) : success();
}

void ProgramBuilder::buildChoice(SelectOp select, const Placed &to, StringRef label) {
  OpBuilder builder(context);
  auto stage = builder.create<tile::StageOp>(select.getLoc(), "stage", /*outputs=*/false,
                                             /*hidden_states=*/false);
  Block &body = stage.getBody().emplaceBlock();
  Value values[] = {to.scores, to.buffer};
  for (Value value : values)
    body.addArgument(value.getType(), select.getLoc());
  builder.setInsertionPointToEnd(&body);
  auto section = builder.create<tile::SectionOp>(
      select.getLoc(), builder.getDenseI64ArrayAttr(slots), IntegerAttr());
  Block &block = section.getBody().emplaceBlock();
  block.addArgument(builder.getIndexType(), select.getLoc());
  builder.setInsertionPointToEnd(&block);
  builder.create<tile::ChooseOp>(
      select.getLoc(), body.getArgument(0), body.getArgument(1),
      builder.getI64IntegerAttr(select.getResult().getType().getTop()),
      AffineMapAttr::get(AffineMap::get(1, 0, getAffineDimExpr(0, context))),
      builder.getI64IntegerAttr(partsOf(select)));
  addStep(stage, select.getLoc(), builder.getStringAttr(label + ".chosen"), values, {});
}

} // namespace pianola::tiling
