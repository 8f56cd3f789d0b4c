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

Value StageBuilder::emitConvolution(ConvolveOp convolve, int64_t columns, AffineMapAttr first) {
  Layout layout = layoutOf(convolve.getResult());
  auto weight = owner.symbols.lookup<WeightOp>(convolve.getWeight());
  int64_t taps = weight.getShape()[0];
  // Key heads are read by several tiles: a copy for each would have to stand on tapes.
  auto type = tile::VectorType::get(owner.context, taps * layout.blocks, layout.size, layout.pad,
                                    /*perTile=*/false, /*constant=*/true, /*order=*/false);
  return builder.create<tile::ConvolveOp>(
      loc, values(columns, owner.f32()), bindValue(owner.placed.at(convolve.getHistory()).buffer),
      this->weight(convolve.getWeightAttr(), type), builder.getI64IntegerAttr(taps), first);
}

FailureOr<Value> StageBuilder::emitDelta(DeltaOp delta, AffineMap head) {
  Layout layout = layoutOf(delta.getResult());
  int64_t heads = layout.blocks, keySize = width(delta.getKey()) / delta.getKeyHeads();
  AffineMap keyHead = AffineMap::get(
      head.getNumDims(), 0, head.getResult(0).floorDiv(heads / int64_t(delta.getKeyHeads())));
  auto whole = [&](Value value) { return loadWhole(owner.placed.at(value).buffer); };
  SmallVector<Value, 3> inputs;
  for (auto [value, at] : {std::pair(delta.getQuery(), keyHead), std::pair(delta.getKey(), keyHead),
                           std::pair(delta.getValue(), head)}) {
    FailureOr<Value> input = emitHeads(value, AffineMapAttr(), owner.slots, 1, at);
    if (failed(input))
      return failure();
    inputs.push_back(*input);
  }
  auto type = tile::StateType::get(owner.context, heads, keySize, layout.pad);
  Value state = owner.bind(delta, delta.getStateAttr(), type);
  Value decay = whole(delta.getDecay()), strength = whole(delta.getStrength());
  Layout ofHeads = Layout::plain(heads);
  return builder
      .create<tile::DeltaOp>(loc, inputs[2].getType(), inputs[0], inputs[1], inputs[2], decay,
                             vector(delta.getRateAttr(), ofHeads),
                             vector(delta.getOffsetAttr(), ofHeads), strength, bindValue(state),
                             AffineMapAttr::get(head))
      .getResult();
}

// A tile is a head, of which all that follows the rule is computed at once.
LogicalResult StageBuilder::emitDeltaHeads(Value value, Value buffer) {
  Layout layout = layoutOf(value);
  section({layout.blocks});
  AffineMap head = map(1, 0, 1).getValue();
  FailureOr<Value> made = emitHeads(value, AffineMapAttr(), owner.slots, 1, head);
  if (failed(made))
    return failure();
  builder.create<tile::StoreOp>(loc, *made, bindValue(buffer), nullptr, map(1, 0, layout.pad));
  return success();
}

} // namespace pianola::tiling
