//===- Append.cpp - Keys and values become a part of the context ----------===//

#include "targets/nvptx/Stage.h"

using namespace mlir;

namespace pianola::nvptx {

// Each warp takes a head at a time, for which all of its numbers are looked at first.
void StageEmitter::encodeRows(const Place &from, Value count, const ContextLayout &layout,
                              llvm::function_ref<void(Value, Value)> storeScale,
                              llvm::function_ref<void(Value, Value, ArrayRef<Value>)> storeCodes) {
  Value first = e.mul(e.lane, 4), end = e.constant(layout.size), step = e.constant(kWarp * 4);
  forWarps(count, [&](Value slot) {
    Value most = e.loop(first, end, step, e.real(0),
                        [&](Value column, ValueRange before) -> SmallVector<Value> {
                          Value most = before[0];
                          for (Value x : loadQuad(from, slot, column))
                            most = e.fmax(most, e.fabs(x));
                          return {most};
                        })[0];
    most = e.greatestLane(most);
    Value greatest = e.real(layout.greatestCode());
    e.when(e.equal(e.lane, 0), [&] { storeScale(slot, e.fdiv(most, greatest)); });
    Value inverse = e.fdiv(greatest, e.fmax(most, e.real(1e-30)));
    e.loop(first, end, step, [&](Value column) {
      SmallVector<Value, 4> quad = loadQuad(from, slot, column);
      for (Value &x : quad)
        x = e.fmul(x, inverse);
      storeCodes(slot, column, layout.encode(e, quad));
    });
  });
}

// Where each element goes is said at !tile.context.
void StageEmitter::lowerAppend(tile::AppendOp op) {
  ContextLayout layout(op.getContext().getType());
  Place from = places.lookup(op.getValue());
  bool isKey = op.getPart() == tile::ContextPart::Key;
  Value half = layout.half(e, bindingOf(op.getContext()), evaluate(op.getHeadAttr()), op.getPart());
  Value first = e.narrow(e.position()), high = highOf(op.getValue());
  auto narrowed = [&](Value word, Type type) {
    return e.builder.create<arith::TruncIOp>(e.loc, type, word);
  };
  if (layout.hasCodes) {
    auto storeScale = [&](Value slot, Value scale) {
      e.store(scale, layout.scaleAt(e, half, layout.place(e, e.add(first, slot))));
    };
    encodeRows(from, high, layout, storeScale,
               [&](Value slot, Value column, ArrayRef<Value> codes) {
                 Value position = layout.place(e, e.add(first, slot));
                 if (!isKey) {
                   e.store(packBytes(e, codes), e.at(layout.rowAt(e, half, position), column));
                   return;
                 }
                 Value at = e.at(layout.keyAt(e, half, position), e.mul(column, layout.lineBytes));
                 for (auto [i, code] : llvm::enumerate(codes))
                   e.store(narrowed(code, e.builder.getI8Type()), e.at(at, i * layout.lineBytes));
               });
    e.meet();
    return;
  }
  // A line's share of a position, and a number of a row: the neighbours are other positions'.
  int64_t width = isKey ? layout.pair : 1, lines = layout.size / width;
  forThreads(e.mul(high, lines), [&](Value index) {
    Value slot = e.div(index, lines), line = e.rem(index, lines);
    Value position = layout.place(e, e.add(first, slot)), column = e.mul(line, width);
    Value at = isKey ? e.at(layout.keyAt(e, half, position), e.mul(line, layout.lineBytes))
                     : e.at(layout.rowAt(e, half, position), e.mul(line, layout.columnBytes));
    Value number = e.load(e.f32(), elementAt(from, slot, column));
    if (layout.pair == 1) {
      e.store(number, at);
    } else if (isKey) {
      Value next = e.load(e.f32(), elementAt(from, slot, e.add(column, 1)));
      e.store(e.packBf16(number, next), at);
    } else {
      Value rounded = narrowed(e.packBf16(number, e.real(0)), e.i16());
      e.store(rounded, e.at(at, e.mul(e.rem(position, 2), 2)));
    }
  });
  e.meet();
}

} // namespace pianola::nvptx
