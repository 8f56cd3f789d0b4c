//===- Rows.cpp - Rotations, sums and joined attention --------------------===//

#include "targets/Erfc.h"
#include "targets/nvptx/Stage.h"

using namespace mlir;

namespace pianola::nvptx {

//===----------------------------------------------------------------------===//
// Rotations
//===----------------------------------------------------------------------===//

void StageEmitter::lowerRotate(tile::RotateOp op) {
  Place from = places.lookup(op.getValue());
  passSlotBegin(op.getValue(), op.getResult());
  // A pair is read and written by one thread: in place, if nobody else reads it.
  bool inPlace = op.getValue().hasOneUse() && !op.getValue().getDefiningOp<tile::LoadOp>() &&
                 !isOnlyStored(op.getResult());
  Place to = inPlace ? places[op.getResult()] = from : placeFor(op.getResult());
  int64_t groups = op.getGroups(), columns = from.columns / groups;
  int64_t pairs = op.getRotation().getType().getPairs();
  Value table = bindingOf(op.getRotation());
  Value first = e.add(e.position(), e.widen(slotBeginOf(op.getValue())));
  Value high = highOf(op.getValue());
  forThreads(e.mul(high, groups * pairs), [&](Value index) {
    Value pair = e.rem(index, pairs), row = e.div(index, pairs);
    Value slot = e.div(row, groups);
    Value column = e.add(e.mul(e.rem(row, groups), columns), pair);
    Value angles =
        e.at(table, e.mul(e.add(e.mul(e.add(first, e.widen(slot)), 2 * pairs), e.widen(pair)), 4));
    Value cosine = e.loadConstant(e.f32(), angles);
    Value sine = e.loadConstant(e.f32(), e.at(angles, pairs * 4));
    Value a = e.load(e.f32(), elementAt(from, slot, column));
    Value b = e.load(e.f32(), elementAt(from, slot, e.add(column, pairs)));
    e.store(e.fsub(e.fmul(a, cosine), e.fmul(b, sine)), elementAt(to, slot, column));
    e.store(e.fadd(e.fmul(b, cosine), e.fmul(a, sine)), elementAt(to, slot, e.add(column, pairs)));
  });
  // Lanes beyond the pairs stay.
  if (int64_t rest = columns - 2 * pairs; rest && !inPlace)
    forThreads(e.mul(high, groups * rest), [&](Value index) {
      Value row = e.div(index, rest), slot = e.div(row, groups);
      Value column =
          e.add(e.mul(e.rem(row, groups), columns), e.add(e.rem(index, rest), 2 * pairs));
      e.store(e.load(e.f32(), elementAt(from, slot, column)), elementAt(to, slot, column));
    });
  e.meet();
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

void StageEmitter::lowerAdd(tile::AddOp op) {
  Place lhs = places.lookup(op.getLhs()), rhs = places.lookup(op.getRhs());
  passSlotBegin(op.getLhs(), op.getResult());
  Place to = placeFor(op.getResult());
  forQuads(highOf(op.getResult()), to.columns, [&](Value slot, Value column) {
    SmallVector<Value, 4> sum = loadQuad(lhs, slot, column), other = loadQuad(rhs, slot, column);
    for (int64_t i = 0; i < 4; ++i)
      sum[i] = e.fadd(sum[i], other[i]);
    storeQuad(sum, to, slot, column);
  });
  e.meet();
}

void StageEmitter::lowerScale(tile::ScaleOp op) {
  Place from = places.lookup(op.getValue());
  passSlotBegin(op.getValue(), op.getResult());
  Place to = placeFor(op.getResult());
  forQuads(highOf(op.getResult()), to.columns, [&](Value slot, Value column) {
    SmallVector<Value, 4> quad = loadQuad(from, slot, column);
    for (Value &value : quad)
      value = e.fmul(value, e.real(op.getFactor().convertToFloat()));
    storeQuad(quad, to, slot, column);
  });
  e.meet();
}

static Value activateOne(Kernel &e, tile::Activation function, Value x) {
  switch (function) {
  case tile::Activation::Silu:
    return e.fdiv(x, e.fadd(e.real(1), e.exp(e.fsub(e.real(0), x))));
  case tile::Activation::GeluTanh: {
    Value cube = e.fmul(e.fmul(x, x), x);
    Value inner = e.fmul(e.real(0.7978845608028654), e.fma(cube, e.real(0.044715), x));
    return e.fmul(e.fmul(e.real(0.5), x), e.fadd(e.real(1), e.tanh(inner)));
  }
  case tile::Activation::Gelu: {
    Value y = e.fmul(x, e.real(0.7071067811865476));
    Value t = e.fdiv(e.real(1), e.fma(e.fabs(y), e.real(0.4), e.real(1)));
    Value q = e.real(kErfcTail[0]);
    for (double coefficient : llvm::ArrayRef(kErfcTail).drop_front())
      q = e.fma(q, t, e.real(coefficient));
    Value tail = e.fmul(e.fmul(q, t), e.exp(e.fmul(e.fmul(y, y), e.real(-1))));
    Value sum = e.select(e.fless(y, e.real(0)), tail, e.fsub(e.real(2), tail));
    return e.fmul(e.fmul(x, e.real(0.5)), sum);
  }
  case tile::Activation::SwigluOai:
    return e.fdiv(x, e.fadd(e.real(1), e.exp(e.fmul(x, e.real(-1.702)))));
  }
  llvm_unreachable("unknown activation");
}

Value activate(Kernel &e, tile::ActivateOp op, Value gate, Value up) {
  if (op.getLimit()) {
    double limit = op.getLimit()->convertToDouble();
    gate = e.fmin(gate, e.real(limit));
    up = e.fadd(e.fmax(e.fmin(up, e.real(limit)), e.real(-limit)), e.real(1));
  }
  Value activated = activateOne(e, op.getFunction(), gate);
  return up ? e.fmul(activated, up) : activated;
}

void StageEmitter::lowerActivate(tile::ActivateOp op) {
  Place gate = places.lookup(op.getGate());
  passSlotBegin(op.getGate(), op.getResult());
  Place to = placeFor(op.getResult());
  forQuads(highOf(op.getResult()), to.columns, [&](Value slot, Value column) {
    SmallVector<Value, 4> quad = loadQuad(gate, slot, column), up(4);
    if (op.getUp())
      up = loadQuad(places.lookup(op.getUp()), slot, column);
    for (auto [x, other] : llvm::zip_equal(quad, up))
      x = activate(e, op, x, other);
    storeQuad(quad, to, slot, column);
  });
  e.meet();
}

void StageEmitter::lowerGate(tile::GateOp op) {
  Place from = places.lookup(op.getValue()), by = places.lookup(op.getBy());
  passSlotBegin(op.getValue(), op.getResult());
  Place to = placeFor(op.getResult());
  forQuads(highOf(op.getResult()), to.columns, [&](Value slot, Value column) {
    SmallVector<Value, 4> quad = loadQuad(from, slot, column), gates;
    if (op.getByRow())
      gates.assign(4, e.load(e.f32(), elementAt(by, slot, e.constant(0))));
    else
      gates = loadQuad(by, slot, column);
    for (auto [value, gate] : llvm::zip_equal(quad, gates))
      value = e.fdiv(value, e.fadd(e.real(1), e.exp(e.fsub(e.real(0), gate))));
    storeQuad(quad, to, slot, column);
  });
  e.meet();
}

void StageEmitter::lowerJoin(tile::JoinOp op) {
  Place first = places.lookup(op.getFirst()), second = places.lookup(op.getSecond());
  passSlotBegin(op.getFirst(), op.getResult());
  Place to = placeFor(op.getResult());
  int64_t heads = op.getHeads(), size = op.getSize(), both = size + op.getBehind();
  int64_t columns = to.columns / heads;
  forThreads(e.mul(highOf(op.getResult()), to.columns), [&](Value index) {
    Value slot = e.div(index, to.columns), column = e.rem(index, to.columns);
    Value head = e.div(column, columns), lane = e.rem(column, columns);
    auto from = [&](const Place &place, Value lane) {
      return SmallVector<Value>{
          e.load(e.f32(), elementAt(place, slot, e.add(e.mul(head, place.columns / heads), lane)))};
    };
    Value number = e.choose(
                        e.less(lane, size), [&] { return from(first, lane); },
                        [&] {
                          if (both == columns)
                            return from(second, e.sub(lane, size));
                          return e.choose(
                              e.less(lane, both), [&] { return from(second, e.sub(lane, size)); },
                              [&] { return SmallVector<Value>{e.real(0)}; });
                        })
                       .front();
    e.store(number, elementAt(to, slot, column));
  });
  e.meet();
}

//===----------------------------------------------------------------------===//
// Parts of an attention
//===----------------------------------------------------------------------===//

// First what each part counts for each query head, then the sum of the parts.
void StageEmitter::lowerCombine(tile::CombineOp op) {
  Place partials = places.lookup(op.getPartials()), statistics = places.lookup(op.getStatistics());
  passSlotBegin(op.getPartials(), op.getResult());
  Place to = placeFor(op.getResult());
  int64_t heads = op.getHeads(), group = op.getGroup(), splits = op.getSplits();
  int64_t queries = heads * group, size = to.columns / queries;
  int64_t statisticsPad = tile::padToLanes(2 * group);
  int64_t slots = cast<RankedTensorType>(op.getResult().getType()).getDimSize(0);
  Value high = highOf(op.getResult());
  int64_t kept = scratchUsed;
  Place factors{
      Place::F32, allocate(slots * queries * splits * 4), {}, queries * splits, queries * splits};
  forThreads(e.mul(high, queries), [&](Value index) {
    Value slot = e.div(index, queries), query = e.rem(index, queries);
    Value first = e.add(e.mul(e.div(query, group), statisticsPad), e.mul(e.rem(query, group), 2));
    auto statisticAt = [&](int64_t split, int64_t which) {
      return e.load(e.f32(), elementAt(statistics, slot,
                                       e.add(first, split * heads * statisticsPad + which)));
    };
    // All at once, so that they are on their way together.
    SmallVector<Value> greatest, sums;
    for (int64_t split = 0; split < splits; ++split) {
      greatest.push_back(statisticAt(split, 0));
      sums.push_back(statisticAt(split, 1));
    }
    Value most = greatest.front();
    for (Value other : ArrayRef(greatest).drop_front())
      most = e.fmax(most, other);
    Value total = e.real(0);
    for (int64_t split = 0; split < splits; ++split) {
      greatest[split] = e.exp(e.fsub(greatest[split], most)); // 0 for a part that saw no key
      total = e.fma(greatest[split], sums[split], total);
    }
    Value inverse = e.fdiv(e.real(1), total);
    for (int64_t split = 0; split < splits; ++split)
      e.store(e.fmul(greatest[split], inverse),
              elementAt(factors, slot, e.add(e.mul(query, splits), split)));
  });
  e.meet();
  forQuads(high, to.columns, [&](Value slot, Value column) {
    Value factor = e.mul(e.div(column, size), splits);
    SmallVector<Variable, 4> sums;
    for (int64_t i = 0; i < 4; ++i)
      sums.emplace_back(e, e.real(0));
    for (int64_t split = 0; split < splits; ++split) {
      Value weight = e.load(e.f32(), elementAt(factors, slot, e.add(factor, split)));
      // A part without keys has zeros, and they are not read.
      e.when(e.fless(e.real(0), weight), [&] {
        SmallVector<Value, 4> part = loadQuad(partials, slot, e.add(column, split * to.columns));
        for (int64_t i = 0; i < 4; ++i)
          sums[i].set(e, e.fma(weight, part[i], sums[i].get(e)));
      });
    }
    SmallVector<Value, 4> quad;
    for (Variable &sum : sums)
      quad.push_back(sum.get(e));
    storeQuad(quad, to, slot, column);
  });
  e.meet();
  scratchUsed = kept;
}

} // namespace pianola::nvptx
