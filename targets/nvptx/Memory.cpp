//===- Memory.cpp - Buffers and tables ------------------------------------===//

#include "targets/nvptx/Stage.h"
#include "targets/nvptx/WeightPanels.h"
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
  if (isOnlyStored(op.getValue()) && !op.getValue().getDefiningOp<tile::LoadOp>())
    return; // see placeFor
  Place from = places.lookup(op.getValue());
  Place to = slice(op.getBuffer(), from.columns, op.getSlotsAttr(), op.getColumnsAttr());
  forQuads(highOf(op.getValue()), from.columns, [&](Value slot, Value column) {
    storeQuad(loadQuad(from, slot, column), to, slot, column);
  });
  e.meet();
}

// Where a row of codes has what four columns of one group need.
struct CodesOfQuad {
  Value scale, zero;
  std::array<Value, 4> bytes;
  Value upper;             // of 4 bits, i1: all four in the upper halves
  bool alternates = false; // of 4 bits: two in the lower halves, then two in the upper
};

// Rows of a table are groups of one row, and tiles stand in panels: see !tile.matrix.
static CodesOfQuad findQuad(Kernel &e, tile::TableType table, Value base, Value id, Value column) {
  auto type = cast<encoding::ScaledType>(table.getElement());
  int64_t depth = table.getColumnPad(), bits = type.getCodeBits();
  int64_t scaleBytes = type.getScaleBytes();
  CodesOfQuad quad;
  if (int64_t rows = table.getTileRows()) {
    auto matrix = tile::MatrixType::get(table.getContext(), rows, rows, 1, table.getColumns(),
                                        depth, type, table.getPanel(), 0, 0, 0);
    int64_t ofRow = std::max<int64_t>(matrix.getPanelScales(), 1);
    Value address = e.loadConstant(e.i64(), e.at(base, e.mul(e.widen(e.div(id, rows)), 8)));
    Value tile = e.globalAt(address), row = e.rem(id, rows);
    Value panel = e.div(column, table.getPanel()), k = e.rem(column, table.getPanel());
    Value from = e.at(tile, e.add(e.mul(panel, matrix.getPanelBytes()), matrix.getFirstPanel()));
    Value scales = tile, which = row;
    if (matrix.getPanelScales()) {
      scales = from;
      which = e.add(e.mul(row, ofRow), e.div(k, matrix.getScaleColumns()));
    }
    quad.scale = e.at(scales, e.mul(which, scaleBytes));
    quad.zero = e.at(e.at(scales, which), matrix.getScalesBytes(ofRow));
    Value inLane = e.add(e.mul(row, 64), e.mul(e.rem(e.div(k, 8), 4), 16));
    Value codes = e.at(e.at(from, inLane), matrix.getPanelBytes() - rows * 64);
    Value step = e.div(k, 32), isSecond = e.rem(e.div(k, 4), 2);
    Value first =
        bits == 8 ? e.add(e.mul(step, 8), e.mul(isSecond, 4)) : e.add(e.mul(step, 4), isSecond);
    for (int64_t i = 0; i < 4; ++i)
      quad.bytes[i] = e.at(e.at(codes, first), bits == 8 ? i : i % 2 * 2);
    quad.alternates = bits == 4;
    return quad;
  }
  int64_t group = type.getGroupOf(depth);
  int64_t groupBytes = scaleBytes + type.getZeroBytes() + group * bits / 8;
  Value from = e.at(base, e.mul(e.widen(id), encoding::rowBytes(type, depth)));
  Value k = e.rem(column, group);
  quad.scale = e.at(from, e.mul(e.div(column, group), groupBytes));
  quad.zero = e.at(quad.scale, scaleBytes);
  Value codes = e.at(quad.scale, scaleBytes + type.getZeroBytes());
  for (int64_t i = 0; i < 4; ++i)
    quad.bytes[i] = e.at(e.at(codes, bits == 8 ? k : e.mul(e.div(k, 8), 4)), i);
  if (bits == 4)
    quad.upper = e.differ(e.both(k, e.constant(4)), 0);
  return quad;
}

// Four columns of a token's row, byte by byte: rows of codes need not be aligned.
static SmallVector<Value, 4> decodeQuad(Kernel &e, tile::TableType table, Value base, Value id,
                                        Value column) {
  auto type = cast<encoding::ScaledType>(table.getElement());
  CodesOfQuad quad = findQuad(e, table, base, id, column);
  auto byteAt = [&](Value pointer, int64_t index) -> Value {
    Value byte = e.loadConstant(e.builder.getI8Type(), e.at(pointer, index));
    return e.builder.create<arith::ExtUIOp>(e.loc, e.i32(), byte);
  };
  Value word = byteAt(quad.scale, 0);
  for (int64_t i = 1; i < type.getScaleBytes(); ++i)
    word = e.either(word, e.shiftLeft(byteAt(quad.scale, i), 8 * i));
  Value scale = scaleIn(e, type.getScale(), word, 0);
  bool isByte = type.getCodeBits() == 8;
  Value zero = !type.isInteger() ? Value()
               : type.getZeros() ? e.toReal(byteAt(quad.zero, 0))
                                 : e.real(isByte ? 128 : 8);
  // A small float's bits, those below the sign moved by `bits` and the sign to bit 31, are an f32's
  // but for the bias of the exponent.
  auto toFloat = [&](Value code, int64_t sign, int64_t bits, double factor) {
    Value magnitude = e.shiftLeft(e.both(code, e.constant((1 << sign) - 1)), bits);
    Value signBit = e.shiftLeft(e.shiftRight(code, sign), 31);
    return e.fmul(e.bits(e.either(magnitude, signBit), e.f32()), e.real(factor));
  };
  SmallVector<Value, 4> values;
  for (int64_t i = 0; i < 4; ++i) {
    Value code = byteAt(quad.bytes[i], 0);
    if (!isByte) {
      Value lower = e.both(code, e.constant(15)), upper = e.shiftRight(code, 4);
      code = quad.alternates ? (i < 2 ? lower : upper) : e.select(quad.upper, upper, lower);
    }
    Value value;
    switch (type.getCode()) {
    case encoding::Code::I8:
    case encoding::Code::I4:
      value = e.fsub(e.toReal(code), zero);
      break;
    case encoding::Code::F8E4M3:
      value = toFloat(code, 7, 20, 0x1p120);
      break;
    case encoding::Code::F4E2M1:
      value = toFloat(code, 3, 22, 0x1p126);
      break;
    }
    values.push_back(e.fmul(value, scale));
  }
  return values;
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
  auto rowOf = [&](Value slot) {
    return op.getByPosition() ? e.narrow(e.add(e.position(), e.widen(e.add(begin, slot))))
                              : e.load(e.i32(), e.at(tokens, e.mul(e.add(begin, slot), 4)));
  };
  if (isa<encoding::ScaledType>(element)) {
    Value scale = e.real(op.getScale().convertToDouble());
    forQuads(highOf(op.getResult()), to.columns, [&](Value slot, Value column) {
      Value id = rowOf(slot);
      SmallVector<Value, 4> values = decodeQuad(e, table, base, id, column);
      for (Value &value : values)
        value = e.fmul(value, scale);
      storeQuad(values, to, slot, column);
    });
    e.meet();
    return;
  }
  int64_t bytes = element.getIntOrFloatBitWidth() / 8, rows = table.getTileRows();
  forQuads(highOf(op.getResult()), to.columns, [&](Value slot, Value column) {
    Value id = rowOf(slot);
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

} // namespace pianola::nvptx
