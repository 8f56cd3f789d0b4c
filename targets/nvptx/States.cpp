//===- States.cpp - Layers that remember ----------------------------------===//
//
// A part of a state has a thread, or a few neighbouring lanes, for each column, which keep it in
// registers while the play's slots pass; so a column's sums over rows stay in the lanes. What the
// query finds in the changed matrix follows from the matrix as it was:
//
//     M = g S + k d',  d = b (v - g S' k)     M' q = g S' q + (k . q) d
//
//===----------------------------------------------------------------------===//

#include "targets/Softplus.h"
#include "targets/nvptx/Stage.h"

using namespace mlir;

namespace pianola::nvptx {

Value StageEmitter::recordAt(tile::RecordOp op, Value slot, Value column) {
  tile::StateType type = op.getState().getType();
  Value row = e.rem(e.add(e.narrow(e.position()), slot), type.getRows());
  Value index = e.add(e.mul(row, type.getColumns()), e.add(evaluate(op.getColumnsAttr()), column));
  return e.at(bindingOf(op.getState()), e.mul(index, 4));
}

void StageEmitter::lowerConvolve(tile::ConvolveOp op) {
  tile::StateType type = op.getState().getType();
  if (op.getSlots())
    slotBegins[op.getResult()] = evaluate(op.getSlotsAttr());
  Place to = placeFor(op.getResult());
  Value history = bindingOf(op.getState()), weight = bindingOf(op.getWeight());
  Value first = evaluate(op.getColumnsAttr());
  Value position = e.add(e.narrow(e.position()), slotBeginOf(op.getResult()));
  int64_t taps = op.getTaps();
  forQuads(highOf(op.getResult()), to.columns, [&](Value slot, Value column) {
    Value from = e.add(first, column);
    SmallVector<Value, 4> sum(4, e.real(0));
    for (int64_t tap = 0; tap < taps; ++tap) {
      Value seen = e.add(e.add(position, slot), tap - taps + 1);
      Value isThere = e.negate(e.less(seen, 0));
      Value row = e.rem(e.max(seen, e.constant(0)), type.getRows());
      auto quadAt = [&](Value base, Value row) {
        return e.at(base, e.mul(e.add(e.mul(row, type.getColumns()), from), 4));
      };
      Value h = e.load(e.vector(e.f32(), 4), quadAt(history, row));
      Value w = e.loadConstant(e.vector(e.f32(), 4), quadAt(weight, e.constant(tap)));
      for (int64_t i = 0; i < 4; ++i)
        sum[i] = e.select(isThere, e.fma(e.element(w, i), e.element(h, i), sum[i]), sum[i]);
    }
    storeQuad(sum, to, slot, column);
  });
  e.meet();
}

// How much of a head's matrix a slot keeps, and how strongly it changes it.
std::pair<Value, Value> StageEmitter::gatesOf(tile::DeltaOp op, Value slot, Value head) {
  Place gates = places.lookup(op.getGates());
  auto ofSlot = [&](int64_t first) {
    return e.load(e.f32(), elementAt(gates, slot, e.add(head, first)));
  };
  auto ofHead = [&](Value vector) {
    return e.loadConstant(e.f32(), e.at(bindingOf(vector), e.mul(head, 4)));
  };
  Value x = e.fadd(ofSlot(op.getState().getType().getParts()), ofHead(op.getOffset()));
  Value rate = e.exp(ofHead(op.getRate()));
  Value kept = e.exp(e.fmul(e.fmul(rate, e.real(-1)), emitSoftplus(e, x)));
  Value minus = e.fmul(ofSlot(0), e.real(-1));
  return {kept, e.fdiv(e.real(1), e.fadd(e.real(1), e.exp(minus)))};
}

void StageEmitter::lowerDelta(tile::DeltaOp op) {
  // Of a lane, in registers; before sm_90 ptxas would spill twice as many.
  int64_t mostRows = e.shape.bulk ? 64 : 32;
  tile::StateType type = op.getState().getType();
  Place query = places.lookup(op.getQuery()), key = places.lookup(op.getKey());
  passSlotBegin(op.getValue(), op.getResult());
  Place value = places.lookup(op.getValue()), to = placeFor(op.getResult());
  int64_t rows = type.getRows(), columns = type.getColumns(), lanes = 1;
  while (rows > lanes * mostRows)
    lanes *= 2;
  int64_t each = llvm::alignTo((rows + lanes - 1) / lanes, 4), ofWarp = kWarp / lanes;
  Value head = evaluate(op.getHeadAttr()), share = e.rem(e.lane, lanes);
  Value firstRow = e.mul(share, each), high = highOf(op.getValue());
  Value part = e.at(bindingOf(op.getState()), e.mul(head, rows * columns * 4));
  Value begins = e.equal(e.add(e.narrow(e.position()), slotBeginOf(op.getValue())), 0);
  forWarps(e.constant((columns + ofWarp - 1) / ofWarp), [&](Value group) {
    Value wanted = e.add(e.mul(group, ofWarp), e.div(e.lane, lanes));
    // Lanes beyond the last column and the last row do as others do, with zeros, and leave nothing
    // behind.
    Value isColumn = columns % ofWarp ? e.less(wanted, columns) : Value();
    Value column = isColumn ? e.min(wanted, e.constant(columns - 1)) : wanted;
    auto isRow = [&](int64_t r) {
      return lanes * each == rows ? Value() : e.less(e.add(firstRow, r), rows);
    };
    auto isElement = [&](int64_t r) {
      Value row = isRow(r);
      return row && isColumn ? e.both(row, isColumn) : row ? row : isColumn;
    };
    Value first = e.at(part, e.mul(e.add(e.mul(firstRow, columns), column), 4));
    auto place = [&](int64_t r) { return e.at(first, r * columns * 4); };
    SmallVector<Value> before;
    for (int64_t r = 0; r < each; ++r) {
      auto read = [&] { return SmallVector<Value>{e.load(e.f32(), place(r))}; };
      Value isThere = isElement(r);
      Value number =
          isThere ? e.choose(isThere, read, [&] { return SmallVector<Value>{e.real(0)}; }).front()
                  : read().front();
      before.push_back(e.select(begins, e.real(0), number));
    }
    SmallVector<Value> after = e.loop(
        e.constant(0), high, e.constant(1), before,
        [&](Value slot, ValueRange matrix) -> SmallVector<Value> {
          auto quadOf = [&](const Place &from, int64_t r) {
            // Lanes of a key are padded with zeros to 16, no further.
            Value lane = e.min(e.add(firstRow, r), e.constant(from.columns - 4));
            SmallVector<Value, 4> quad = loadQuad(from, slot, lane);
            for (int64_t i = 0; i < 4; ++i)
              if (Value isThere = isRow(r + i))
                quad[i] = e.select(isThere, quad[i], e.real(0));
            return quad;
          };
          SmallVector<Value> changed;
          Value byKey = e.real(0), byQuery = e.real(0), both = e.real(0);
          for (int64_t r = 0; r < each; r += 4) {
            SmallVector<Value, 4> k = quadOf(key, r), q = quadOf(query, r);
            for (int64_t i = 0; i < 4; ++i) {
              byKey = e.fma(k[i], matrix[r + i], byKey);
              byQuery = e.fma(q[i], matrix[r + i], byQuery);
              both = e.fma(q[i], k[i], both);
            }
          }
          if (lanes > 1)
            for (Value *sum : {&byKey, &byQuery, &both})
              *sum = e.sumLanes(*sum, lanes);
          auto [kept, strength] = gatesOf(op, slot, head);
          Value v = e.load(e.f32(), elementAt(value, slot, column));
          Value change = e.fmul(strength, e.fsub(v, e.fmul(kept, byKey)));
          // Keys are read again: with all of them in registers, too, some would spill.
          e.syncWarp();
          for (int64_t r = 0; r < each; r += 4)
            for (auto [i, k] : llvm::enumerate(quadOf(key, r)))
              changed.push_back(e.fma(k, change, e.fmul(kept, matrix[r + int64_t(i)])));
          Value y = e.fma(both, change, e.fmul(kept, byQuery));
          Value isFirst = e.equal(share, 0);
          e.when(isColumn ? e.both(isColumn, isFirst) : isFirst, [&] {
            e.store(e.fmul(y, e.real(op.getScale().convertToFloat())), elementAt(to, slot, column));
          });
          return changed;
        });
    for (int64_t r = 0; r < each; ++r) {
      auto write = [&] { e.store(after[r], place(r)); };
      if (Value isThere = isElement(r))
        e.when(isThere, write);
      else
        write();
    }
  });
  e.meet();
}

} // namespace pianola::nvptx
