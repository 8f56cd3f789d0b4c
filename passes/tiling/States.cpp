//===- States.cpp - Sections of layers that remember ---------------------===//

#include "passes/tiling/StageBuilder.h"

using namespace mlir;
using namespace pianola::transformer;

namespace pianola::tiling {

LogicalResult StageBuilder::emitRecord(RecordOp record, Value state) {
  Layout layout = layoutOf(record.getInput());
  int64_t rows = owner.rowsOf(layout);
  section({layout.columns() / rows});
  FailureOr<Value> value = emitTile(record.getInput(), layout, rows);
  if (failed(value))
    return failure();
  builder.create<tile::RecordOp>(loc, *value, bindValue(state), map(1, 0, rows).getValue());
  return success();
}

Value StageBuilder::emitConvolution(ConvolveOp convolve, AffineMapAttr slots, int64_t count,
                                    int64_t columns, AffineMapAttr first) {
  Layout layout = layoutOf(convolve.getResult());
  auto weight = owner.symbols.lookup<WeightOp>(convolve.getWeight());
  int64_t taps = weight.getShape()[0];
  // Key heads are read by several tiles: a copy for each would have to stand on tapes.
  auto type = tile::VectorType::get(owner.context, taps * layout.blocks, layout.size, layout.pad,
                                    /*perTile=*/false, /*constant=*/true, /*order=*/false);
  return builder.create<tile::ConvolveOp>(loc, values(count, columns, owner.f32()),
                                          bindValue(owner.placed.at(convolve.getHistory()).buffer),
                                          this->weight(convolve.getWeightAttr(), type),
                                          builder.getI64IntegerAttr(taps), slots, first);
}

FailureOr<Value> StageBuilder::emitDelta(DeltaOp delta, AffineMapAttr slots, int64_t count,
                                         AffineMap head) {
  Layout layout = layoutOf(delta.getResult());
  int64_t heads = layout.blocks, keyHeads = delta.getKeyHeads();
  AffineExpr keyHead = head.getResult(0).floorDiv(heads / keyHeads);
  auto emit = [&](Value value, AffineExpr first) {
    return emitHeads(value, slots, count, 1, AffineMap::get(head.getNumDims(), 0, first));
  };
  FailureOr<Value> query = emit(delta.getQueryKey(), keyHead);
  FailureOr<Value> key = emit(delta.getQueryKey(), keyHead + keyHeads);
  FailureOr<Value> value = emit(delta.getValue(), head.getResult(0));
  if (failed(query) || failed(key) || failed(value))
    return failure();
  int64_t keySize = width(delta.getQueryKey()) / (2 * keyHeads);
  auto type = tile::StateType::get(owner.context, heads, keySize, layout.pad);
  Value state = bindValue(owner.bind(delta, delta.getStateAttr(), type));
  Value buffer = owner.placed.at(delta.getGates()).buffer;
  int64_t ofGates = cast<tile::BufferType>(buffer.getType()).getColumns();
  Value gates = builder.create<tile::LoadOp>(loc, values(count, ofGates, owner.f32()),
                                             bindValue(buffer), slots, nullptr);
  Layout ofHeads = Layout::plain(heads);
  return builder
      .create<tile::DeltaOp>(loc, value->getType(), *query, *key, *value, gates,
                             vector(delta.getRateAttr(), ofHeads),
                             vector(delta.getOffsetAttr(), ofHeads), state,
                             AffineMapAttr::get(head), slots, delta.getScaleAttr())
      .getResult();
}

// Tiles are heads, of which all that follows the rule is computed at once; where scratch memory is
// short, some slots of a head after the others.
LogicalResult StageBuilder::emitDeltaHeads(Value value, Value buffer) {
  Layout layout = layoutOf(value);
  int64_t block = owner.slotBlockOf(*source.getBody().front().getOps<DeltaOp>().begin());
  int64_t blocks = owner.slots / block;
  section({layout.blocks, blocks}, blocks);
  AffineMapAttr slots = blocks > 1 ? map(2, 1, block) : AffineMapAttr();
  FailureOr<Value> made = emitHeads(value, slots, block, 1, map(2, 0, 1).getValue());
  if (failed(made))
    return failure();
  builder.create<tile::StoreOp>(loc, *made, bindValue(buffer), slots, map(2, 0, layout.pad));
  return success();
}

} // namespace pianola::tiling
