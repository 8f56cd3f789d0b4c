//===- Memory.cpp - Buffers, contexts and tables --------------------------===//

#include "targets/nvptx/Stage.h"
#include <cstddef>

using namespace mlir;

namespace pianola::nvptx {

Place StageEmitter::slice(Value buffer, int64_t columns, AffineMapAttr slots,
                          AffineMapAttr firstColumn) {
  auto type = cast<tile::BufferType>(buffer.getType());
  Value offset = e.add(e.mul(evaluate(slots), type.getColumns()), evaluate(firstColumn));
  return {Place::F32,
          e.at(bindingOf(buffer), e.mul(e.widen(offset), 4)),
          {},
          columns,
          type.getColumns()};
}

// A slice is read where it lies: no tile of a stage writes what another one reads.
void StageEmitter::lowerLoad(tile::LoadOp op) {
  int64_t columns = cast<RankedTensorType>(op.getResult().getType()).getDimSize(1);
  places[op.getResult()] = slice(op.getBuffer(), columns, op.getSlotsAttr(), op.getColumnsAttr());
  if (op.getSlots())
    slotBegins[op.getResult()] = evaluate(op.getSlotsAttr());
}

void StageEmitter::lowerStore(tile::StoreOp op) {
  if (op.getValue().hasOneUse() && !op.getValue().getDefiningOp<tile::LoadOp>())
    return; // see placeFor
  Place from = places.lookup(op.getValue());
  Place to = slice(op.getBuffer(), from.columns, op.getSlotsAttr(), op.getColumnsAttr());
  forQuads(highOf(op.getValue()), from.columns, [&](Value slot, Value column) {
    storeQuad(loadQuad(from, slot, column), to, slot, column);
  });
  e.meet();
}

void StageEmitter::lowerGather(tile::GatherOp op) {
  tile::TableType table = op.getTable().getType();
  if (op.getSlots())
    slotBegins[op.getResult()] = evaluate(op.getSlotsAttr());
  Place to = placeFor(op.getResult());
  Value base = bindingOf(op.getTable());
  Value tokens = e.globalAt(e.field(e.i64(), e.state, offsetof(PianolaCudaState, tokens)));
  Value begin = slotBeginOf(op.getResult());
  Type element = table.getElement();
  int64_t bytes = element.getIntOrFloatBitWidth() / 8, rows = table.getTileRows();
  forQuads(highOf(op.getResult()), to.columns, [&](Value slot, Value column) {
    Value id = e.load(e.i32(), e.at(tokens, e.mul(e.add(begin, slot), 4)));
    Value from;
    if (rows == 0) {
      Value offset = e.add(e.mul(e.widen(id), table.getColumnPad()), e.widen(column));
      from = e.at(base, e.mul(offset, bytes));
    } else {
      // Element (r, k) of a tile: see !tile.matrix. Four columns are always of one panel.
      int64_t panel = table.getPanel();
      Value address = e.loadConstant(e.i64(), e.at(base, e.mul(e.widen(e.div(id, rows)), 8)));
      Value run = e.add(e.mul(e.div(column, panel), rows), e.rem(id, rows));
      Value offset = e.add(e.mul(run, panel), e.rem(column, panel));
      from = e.at(e.globalAt(address), e.mul(offset, bytes));
    }
    Value quad = e.loadConstant(e.vector(element, 4), from);
    SmallVector<Value, 4> values;
    for (int64_t i = 0; i < 4; ++i)
      values.push_back(
          e.fmul(e.widenElement(e.element(quad, i)), e.real(op.getScale().convertToDouble())));
    storeQuad(values, to, slot, column);
  });
  e.meet();
}

// Where each element goes is said at !tile.context.
void StageEmitter::lowerAppend(tile::AppendOp op) {
  tile::ContextType context = op.getContext().getType();
  Place from = places.lookup(op.getValue());
  int64_t size = context.getSize();
  bool isKey = op.getPart() == tile::ContextPart::Key;
  Value head = evaluate(op.getHeadAttr());
  if (!isKey)
    head = e.add(head, context.getHeads());
  Value base = e.at(bindingOf(op.getContext()), e.mul(e.mul(e.widen(head), e.capacity), size * 4));
  Value first = e.position();
  forThreads(e.mul(highOf(op.getValue()), size), [&](Value index) {
    Value slot = e.div(index, size), lane = e.rem(index, size);
    Value position = e.add(first, e.widen(slot)), at;
    if (isKey)
      at = e.add(e.mul(e.add(e.mul(e.div(position, 16), size), e.widen(lane)), 16),
                 e.rem(position, 16));
    else
      at = e.add(e.mul(position, size), e.widen(lane));
    e.store(e.load(e.f32(), elementAt(from, slot, lane)), e.at(base, e.mul(at, 4)));
  });
  e.meet();
}

} // namespace pianola::nvptx
