//===- States.cpp - Layers that remember ----------------------------------===//
//
// A slot's part of a state is rows of lanes, which pass through registers twice: once to be
// multiplied by the key and the query as they were, and once to be changed. What the query finds in
// the changed matrix follows from both:
//
//     M = g S + k d',  d = b (v - g S' k)     M' q = g S' q + (k . q) d
//
//===----------------------------------------------------------------------===//

#include "targets/Softplus.h"
#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

// Of the slot's sequence.
Value PartEmitter::stateOf(TypedValue<tile::StateType> state, Value slot) {
  return at(bindingOf(state), mul(sequenceOf(slot), state.getType().getBytes()));
}

void PartEmitter::lowerRecord(tile::RecordOp op) {
  tile::StateType type = op.getState().getType();
  Place from = places.lookup(op.getValue());
  Value first = evaluate(op.getColumnsAttr());
  loop(low, high, 1, [&](Value slot) {
    Value row = rem(positionOf(slot), type.getRows());
    Value to = at(stateOf(op.getState(), slot), mul(add(mul(row, type.getColumns()), first), 4));
    loop(constant(0), constant(from.columns), 16, [&](Value column) {
      storeLanes(lanes(from, slot, column), f32(), at(to, mul(column, 4)));
    });
  });
}

void PartEmitter::lowerConvolve(tile::ConvolveOp op) {
  tile::StateType type = op.getState().getType();
  Place to = place(op.getResult());
  int64_t taps = op.getTaps(), rowBytes = type.getColumns() * 4;
  Value first = mul(evaluate(op.getColumnsAttr()), 4),
        weight = at(bindingOf(op.getWeight()), first);
  loop(low, high, 1, [&](Value slot) {
    Value position = positionOf(slot), history = at(stateOf(op.getState(), slot), first);
    SmallVector<Value> rows, areThere;
    for (int64_t tap = 0; tap < taps; ++tap) {
      Value seen = add(position, tap - taps + 1);
      areThere.push_back(less(constant(-1), seen));
      rows.push_back(at(history, mul(rem(max(seen, constant(0)), type.getRows()), rowBytes)));
    }
    loop(constant(0), constant(to.columns), 16, [&](Value column) {
      Value offset = mul(column, 4), sum = real(vector(f32()), 0);
      for (int64_t tap = 0; tap < taps; ++tap) {
        Value w = loadLanes(f32(), at(at(weight, tap * rowBytes), offset));
        Value more = fma(w, loadLanes(f32(), at(rows[tap], offset)), sum);
        sum = select(areThere[tap], more, sum);
      }
      setLanes(sum, to, slot, column);
    });
  });
}

// How much of a head's matrix a slot keeps, and how strongly it changes it.
static std::pair<Value, Value> gatesOf(PartEmitter &e, tile::DeltaOp op, Value slot, Value head) {
  Place gates = e.places.lookup(op.getGates());
  auto ofSlot = [&](int64_t first) {
    Value column = e.add(head, first);
    return e.loadScalar(gates.element,
                        e.at(e.row(gates, slot), e.mul(column, gates.elementBytes())));
  };
  auto ofHead = [&](Value vector) {
    Value base = cast<tile::VectorType>(vector.getType()).getConstant() ? e.bindingOf(vector)
                                                                        : e.weightAt(vector);
    return e.load(e.f32(), e.at(base, e.mul(head, 4)));
  };
  Value x = e.fadd(ofSlot(op.getState().getType().getParts()), ofHead(op.getOffset()));
  Value rate = e.exp(ofHead(op.getRate()));
  Value kept = e.exp(e.fmul(e.fmul(rate, e.real(-1)), emitSoftplus(e, x)));
  Value minus = e.fmul(ofSlot(0), e.real(-1));
  return {kept, e.fdiv(e.real(1), e.fadd(e.real(1), e.exp(minus)))};
}

void PartEmitter::lowerDelta(tile::DeltaOp op) {
  tile::StateType type = op.getState().getType();
  Place query = places.lookup(op.getQuery()), key = places.lookup(op.getKey());
  Place value = places.lookup(op.getValue()), to = place(op.getResult());
  Value head = evaluate(op.getHeadAttr());
  int64_t rows = type.getRows(), rowBytes = type.getColumns() * 4;
  VectorType f32x16 = vector(f32());
  Value zero = real(f32x16, 0);
  auto laneOf = [&](const Place &place, Value slot, Value i) {
    return splat(loadScalar(place.element, at(row(place, slot), mul(i, place.elementBytes()))));
  };
  loop(low, high, 1, [&](Value slot) {
    auto [kept, strength] = gatesOf(*this, op, slot, head);
    Value g = splat(kept), b = splat(strength);
    Value isFirst = equal(positionOf(slot), constant(0));
    Value matrix = at(stateOf(op.getState(), slot), mul(head, rows * rowBytes));
    Value products = loop(constant(0), constant(query.columns), 16, {zero},
                          [&](Value lane, ValueRange sum) -> SmallVector<Value> {
                            return {fma(lanes(query, slot, lane), lanes(key, slot, lane), sum[0])};
                          })[0];
    Value keyByQuery = splat(sum(products));
    auto columns = [&](Value first, int64_t registers) {
      auto place = [&](Value i, int64_t r) {
        return at(matrix, add(mul(i, rowBytes), add(mul(first, 4), r * 64)));
      };
      auto before = [&](Value i, int64_t r) {
        return select(isFirst, zero, loadLanes(f32(), place(i, r)));
      };
      SmallVector<Value> found =
          loop(constant(0), constant(rows), 1, SmallVector<Value>(2 * registers, zero),
               [&](Value i, ValueRange sums) {
                 Value k = laneOf(key, slot, i), q = laneOf(query, slot, i);
                 SmallVector<Value> next;
                 for (int64_t r = 0; r < registers; ++r) {
                   Value s = before(i, r);
                   next.push_back(fma(k, s, sums[2 * r]));
                   next.push_back(fma(q, s, sums[2 * r + 1]));
                 }
                 return next;
               });
      SmallVector<Value> changes;
      for (int64_t r = 0; r < registers; ++r) {
        Value column = add(first, r * 16);
        Value byKey = fmul(g, found[2 * r]), byQuery = fmul(g, found[2 * r + 1]);
        changes.push_back(fmul(b, fsub(lanes(value, slot, column), byKey)));
        Value y = fma(keyByQuery, changes.back(), byQuery);
        setLanes(fmul(y, real(f32x16, op.getScale().convertToFloat())), to, slot, column);
      }
      loop(constant(0), constant(rows), 1, [&](Value i) {
        Value k = laneOf(key, slot, i);
        for (int64_t r = 0; r < registers; ++r)
          storeLanes(fma(k, changes[r], fmul(g, before(i, r))), f32(), place(i, r));
      });
    };
    int64_t whole = to.columns / 64 * 64;
    loop(constant(0), constant(whole), 64, [&](Value first) { columns(first, 4); });
    if (whole < to.columns)
      columns(constant(whole), (to.columns - whole) / 16);
  });
}

} // namespace pianola::host
