//===- Memory.cpp - Buffers, the embedding table and the context ----------===//

#include "targets/host/Codes.h"
#include "targets/host/ContextCodes.h"
#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

Place PartEmitter::slice(Value buffer, int64_t columns, AffineMapAttr slots,
                         AffineMapAttr firstColumn) {
  auto type = cast<tile::BufferType>(buffer.getType());
  Value offset = add(mul(evaluate(slots), type.getColumns()), evaluate(firstColumn));
  Value base = at(bindingOf(buffer), mul(offset, type.getElementBytes()));
  return {base, type.getElement(), columns, type.getColumns()};
}

// Whether the buffer is written before the last use of what was loaded from it.
static bool isOverwritten(tile::LoadOp load) {
  bool written = false;
  for (Operation *op = load->getNextNode(); op; op = op->getNextNode()) {
    if (written && llvm::is_contained(op->getOperands(), load.getResult()))
      return true;
    auto store = dyn_cast<tile::StoreOp>(op);
    written |= store && store.getBuffer() == load.getBuffer();
  }
  return false;
}

// A slice is read where it lies: no tile of a stage writes what another of its tiles reads. Only
// where the tile itself writes there it is copied first.
void PartEmitter::lowerLoad(tile::LoadOp op) {
  int64_t columns = cast<RankedTensorType>(op.getResult().getType()).getDimSize(1);
  Place from = slice(op.getBuffer(), columns, op.getSlotsAttr(), op.getColumnsAttr());
  if (isOverwritten(op))
    copyRows(from, place(op.getResult()));
  else
    places[op.getResult()] = from;
}

void PartEmitter::lowerStore(tile::StoreOp op) {
  Place from = places.lookup(op.getValue());
  copyRows(from, slice(op.getBuffer(), from.columns, op.getSlotsAttr(), op.getColumnsAttr()));
}

Value PartEmitter::rowToGather(tile::GatherOp op, Value slot) {
  if (op.getByPosition())
    return positionOf(slot);
  return builder.create<arith::ExtUIOp>(loc, i64(),
                                        load(i32(), at(tokens, mul(add(slotBegin, slot), 4))));
}

void PartEmitter::lowerGather(tile::GatherOp op) {
  tile::TableType table = op.getTable().getType();
  Place to = place(op.getResult());
  Value base = bindingOf(op.getTable());
  Value scale = real(op.getScale().convertToFloat());
  Type element = table.getElement();
  if (auto scaled = dyn_cast<encoding::ScaledType>(element))
    return gatherCodes(op, scaled, to);
  int64_t bytes = element.getIntOrFloatBitWidth() / 8, depth = table.getColumnPad();
  loop(low, high, 1, [&](Value slot) {
    Value id = rowToGather(op, slot);
    if (table.getTileRows() == 0) {
      Value from = at(base, mul(id, depth * bytes));
      loop(constant(0), constant(to.columns), 16, [&](Value column) {
        Value values = loadLanes(element, at(from, mul(column, bytes)));
        setLanes(fmul(values, splat(scale)), to, slot, column);
      });
      return;
    }
    // Element k of row r of a group of G rows: see !tile.matrix. Groups have 32 rows, the last one
    // perhaps 16.
    int64_t rows = table.getTileRows(), padded = tile::padToLanes(rows);
    int64_t whole = padded / 32 * 32, run = element.isBF16() ? 2 : 1;
    Value tile = load(pointer(), at(base, mul(div(id, rows), 8)), 8);
    Value row = rem(id, rows), inGroup = rem(row, 32);
    Value group = select(less(row, constant(whole)), constant(32), constant(16));
    Value from = at(tile, mul(sub(row, inGroup), depth * bytes));
    Value out = this->row(to, slot);
    loop(constant(0), constant(depth / run), 1, [&](Value k) {
      Value at0 = at(from, mul(add(mul(k, group), inGroup), run * bytes));
      for (int64_t e = 0; e < run; ++e) {
        Value value = fmul(loadScalar(element, at(at0, e * bytes)), scale);
        store(value, at(out, add(mul(k, run * 4), e * 4)));
      }
    });
  });
}

// A row's codes, one by one: they are few beside all products. Where they stand is said at
// !tile.matrix; rows of a table are groups of one row.
void PartEmitter::gatherCodes(tile::GatherOp op, encoding::ScaledType type, const Place &to) {
  tile::TableType table = op.getTable().getType();
  Value base = bindingOf(op.getTable());
  int64_t depth = table.getColumnPad(), rowBytes = encoding::rowBytes(type, depth);
  int64_t group = type.getGroupOf(depth), bits = type.getCodeBits(), perStep = 32 / bits;
  int64_t scaleBytes = type.getScaleBytes(), zeroBytes = type.getZeroBytes();
  int64_t impliedZero = type.isInteger() ? middleOf(type.getCode()) : 0;
  Type i8 = builder.getI8Type();
  auto byteAt = [&](Value pointer) -> Value {
    return builder.create<arith::ExtUIOp>(loc, i64(), load(i8, pointer, 1));
  };
  loop(low, high, 1, [&](Value slot) {
    Value id = rowToGather(op, slot);
    Value from, lanes = constant(1), lane = constant(0);
    if (int64_t rows = table.getTileRows()) {
      int64_t whole = tile::padToLanes(rows) / 32 * 32;
      Value row = rem(id, rows);
      lane = rem(row, 32);
      lanes = select(less(row, constant(whole)), constant(32), constant(16));
      from = at(load(pointer(), at(base, mul(div(id, rows), 8)), 8), mul(sub(row, lane), rowBytes));
    } else {
      from = at(base, mul(id, rowBytes));
    }
    Value out = this->row(to, slot);
    loop(constant(0), constant((depth + group - 1) / group), 1, [&](Value number) {
      int64_t groupBytes = scaleBytes + zeroBytes + group * bits / 8;
      Value first = mul(number, group), here = at(from, mul(mul(lanes, groupBytes), number));
      Value scale = loadScale(*this, type.getScale(), at(here, mul(lane, scaleBytes)));
      scale = fmul(scale, real(op.getScale().convertToFloat()));
      Value zeros = at(here, mul(lanes, scaleBytes)), codes = at(zeros, mul(lanes, zeroBytes));
      Value zero = constant(impliedZero);
      if (zeroBytes)
        zero = byteAt(at(zeros, lane));
      loop(constant(0), min(constant(group), sub(constant(depth), first)), 1, [&](Value k) {
        Value step = add(mul(div(k, perStep), lanes), lane);
        Value code = byteAt(at(codes, add(mul(step, 4), rem(k, 4))));
        if (bits == 4) {
          Value isUpper = less(constant(3), rem(k, 8));
          Value upper = div(code, 16);
          code = select(isUpper, upper, sub(code, mul(upper, 16)));
        }
        Value number;
        if (type.isInteger()) {
          number = builder.create<arith::SIToFPOp>(loc, f32(), sub(code, zero));
        } else {
          Value narrow =
              builder.create<arith::TruncIOp>(loc, i32(), mul(code, int64_t(1) << (32 - bits)));
          number = floatOf(*this, type.getCode(), narrow);
        }
        store(fmul(number, scale), at(out, mul(add(first, k), 4)));
      });
    });
  });
}

// Where each element goes is said at !tile.context.
void PartEmitter::lowerAppend(tile::AppendOp op) {
  tile::ContextType context = op.getContext().getType();
  Place from = places.lookup(op.getValue());
  int64_t size = context.getSize(), bytes = context.getElement().getIntOrFloatBitWidth() / 8;
  bool isKey = op.getPart() == tile::ContextPart::Key, isPair = context.getElement().isBF16();
  Value head = evaluate(op.getHeadAttr());
  auto halfOfSlot = [&](Value slot) {
    return halfOf(op.getContext(), sequenceOf(slot), head, op.getPart());
  };
  int64_t keep = scratchUsed;
  if (context.hasScales()) {
    Value codes = allocate(context.getElement(), size);
    loop(low, high, 1, [&](Value slot) {
      appendCodes(*this, context, op.getPart(), row(from, slot), from.element, halfOfSlot(slot),
                  placeOf(context, positionOf(slot)), codes);
    });
    scratchUsed = keep;
    return;
  }
  Place rounded{allocate(context.getElement(), size), context.getElement(), size, 0};
  loop(low, high, 1, [&](Value slot) {
    Value p = placeOf(context, positionOf(slot)), base = halfOfSlot(slot);
    loop(constant(0), constant(size), 16,
         [&](Value column) { setLanes(lanes(from, slot, column), rounded, constant(0), column); });
    auto copy = [&](Type element, int64_t count, Value to, int64_t step) {
      int64_t width = element.getIntOrFloatBitWidth() / 8;
      loop(constant(0), constant(count), 1, [&](Value i) {
        store(load(element, at(rounded.base, mul(i, width)), width), at(to, mul(i, step)), width);
      });
    };
    if (isKey) {
      // Groups of 16 positions: a step of lanes (two of bf16) is 64 bytes.
      Value group = at(base, mul(div(p, 16), 16 * size * bytes));
      copy(i32(), size * bytes / 4, at(group, mul(rem(p, 16), 4)), 64);
    } else if (!isPair) {
      copy(i32(), size, at(base, mul(p, size * 4)), 4);
    } else {
      // The first position of a pair also clears the second one's place: a product with weight zero
      // must find a number there.
      Value pair = at(base, mul(div(p, 2), size * 4));
      Value odd = rem(p, 2);
      auto isOdd = builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::ne, odd, constant(0));
      loop(constant(0), constant(size), 1, [&](Value i) {
        Value value = load(builder.getI16Type(), at(rounded.base, mul(i, 2)), 2);
        Value to = at(pair, mul(i, 4));
        Value wide = builder.create<arith::ExtUIOp>(loc, i32(), value);
        Value shifted = builder.create<arith::ShLIOp>(
            loc, wide, builder.create<arith::ConstantOp>(loc, builder.getI32IntegerAttr(16)));
        Value first = builder.create<arith::AndIOp>(
            loc, load(i32(), to),
            builder.create<arith::ConstantOp>(loc, builder.getI32IntegerAttr(0xffff)));
        Value both = builder.create<arith::OrIOp>(loc, first, shifted);
        store(select(isOdd, both, wide), to);
      });
    }
  });
  scratchUsed = keep;
}

} // namespace pianola::host
