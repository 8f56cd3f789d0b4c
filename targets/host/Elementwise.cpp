//===- Elementwise.cpp - Ops on the columns of a slot ---------------------===//

#include "targets/Erfc.h"
#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

void PartEmitter::lowerReorder(tile::ReorderOp op) {
  Place from = places.lookup(op.getValue());
  Place to = place(op.getResult());
  Value order = weightAt(op.getOrder());
  tile::VectorType type = op.getOrder().getType();
  int64_t count = type.getBlocks() * type.getSize();
  loop(low, high, 1, [&](Value slot) {
    Value out = row(to, slot);
    setLanes(real(vector(f32()), 0), to, slot, constant(to.columns - 16));
    loop(constant(0), constant(count), 1, [&](Value j) {
      Value column = builder.create<arith::ExtUIOp>(loc, i64(), load(i32(), at(order, mul(j, 4))));
      Value value = load(to.element, at(row(from, slot), mul(column, to.elementBytes())), 2);
      store(value, at(out, mul(j, to.elementBytes())), 2);
    });
  });
}

void PartEmitter::lowerBias(tile::BiasOp op) {
  Place from = places.lookup(op.getValue());
  Place to = place(op.getResult());
  tile::VectorType type = op.getVector().getType();
  Value bias;
  if (type.getConstant()) {
    Value first = evaluate(op.getColumnsAttr());
    if (op.getOfExpert())
      first = add(first, mul(expert, type.getPad()));
    bias = at(bindingOf(op.getVector()), mul(first, 4));
  } else {
    bias = weightAt(op.getVector());
  }
  forLanes(to.columns, [&](Value slot, Value column) {
    Value value = loadLanes(f32(), at(bias, mul(column, 4)));
    setLanes(fadd(lanes(from, slot, column), value), to, slot, column);
  });
}

void PartEmitter::lowerAdd(tile::AddOp op) {
  Place lhs = places.lookup(op.getLhs()), rhs = places.lookup(op.getRhs());
  Place to = place(op.getResult());
  forLanes(to.columns, [&](Value slot, Value column) {
    setLanes(fadd(lanes(lhs, slot, column), lanes(rhs, slot, column)), to, slot, column);
  });
}

void PartEmitter::lowerScale(tile::ScaleOp op) {
  Place from = places.lookup(op.getValue()), to = place(op.getResult());
  forLanes(to.columns, [&](Value slot, Value column) {
    Value value = lanes(from, slot, column);
    setLanes(fmul(value, real(value.getType(), op.getFactor().convertToFloat())), to, slot, column);
  });
}

void PartEmitter::lowerGate(tile::GateOp op) {
  Place from = places.lookup(op.getValue()), by = places.lookup(op.getBy());
  Place to = place(op.getResult());
  forLanes(to.columns, [&](Value slot, Value column) {
    Value gate =
        op.getByRow() ? splat(loadScalar(by.element, row(by, slot))) : lanes(by, slot, column);
    Value minus = fmul(gate, real(gate.getType(), -1));
    Value sum = fadd(real(gate.getType(), 1), exp(minus));
    setLanes(fdiv(lanes(from, slot, column), sum), to, slot, column);
  });
}

void PartEmitter::lowerJoin(tile::JoinOp op) {
  Place first = places.lookup(op.getFirst()), second = places.lookup(op.getSecond());
  Place to = place(op.getResult());
  int64_t heads = op.getHeads(), size = op.getSize(), behind = op.getBehind();
  int64_t columns = to.columns / heads;
  // Lanes by the register as long as the parts have such, or else one by one.
  int64_t step = size % 16 == 0 && behind % 16 == 0 ? 16 : 1;
  auto number = [&](const Place &from, Value slot, Value column) {
    Value at = this->at(row(from, slot), mul(column, from.elementBytes()));
    return step == 16 ? loadLanes(from.element, at) : loadScalar(from.element, at);
  };
  auto put = [&](Value value, Value slot, Value column) {
    Value at = this->at(row(to, slot), mul(column, to.elementBytes()));
    step == 16 ? storeLanes(value, to.element, at) : store(value, at);
  };
  Value zero = step == 16 ? real(vector(f32()), 0) : real(0);
  loop(low, high, 1, [&](Value slot) {
    loop(constant(0), constant(heads), 1, [&](Value head) {
      Value begin = mul(head, columns);
      auto copy = [&](const Place &from, int64_t count, int64_t at) {
        Value source = mul(head, from.columns / heads);
        loop(constant(0), constant(count), step, [&](Value lane) {
          put(number(from, slot, add(source, lane)), slot, add(begin, add(lane, at)));
        });
      };
      copy(first, size, 0);
      copy(second, behind, size);
      loop(constant(size + behind), constant(columns), step,
           [&](Value lane) { put(zero, slot, add(begin, lane)); });
    });
  });
}

void PartEmitter::lowerSoftcap(tile::SoftcapOp op) {
  Place from = places.lookup(op.getValue()), to = place(op.getResult());
  forLanes(to.columns, [&](Value slot, Value column) {
    setLanes(softcap(lanes(from, slot, column), op.getCap().convertToFloat()), to, slot, column);
  });
}

// x / (1 + e^-x), x/2 (1 + tanh y) = x / (1 + e^-2y), and x/2 (1 + erf(x / sqrt 2)): see Erfc.h.
static Value emitActivation(PartEmitter &e, tile::Activation function, Value x) {
  Type type = x.getType();
  auto c = [&](double value) { return e.real(type, static_cast<float>(value)); };
  auto sigmoidTimes = [&](Value y) { return e.fdiv(x, e.fadd(c(1), e.exp(e.fmul(y, c(-1))))); };
  switch (function) {
  case tile::Activation::Silu:
    return sigmoidTimes(x);
  case tile::Activation::GeluTanh: {
    Value cube = e.fmul(e.fmul(x, x), x);
    return sigmoidTimes(e.fmul(e.fma(cube, c(0.044715), x), c(2 * 0.7978845608028654)));
  }
  case tile::Activation::Gelu: {
    Value y = e.fmul(x, c(0.7071067811865476));
    Value magnitude = e.fmax(y, e.fmul(y, c(-1)));
    Value t = e.fdiv(c(1), e.fma(magnitude, c(0.4), c(1)));
    Value q = c(kErfcTail[0]);
    for (double coefficient : ArrayRef(kErfcTail).drop_front())
      q = e.fma(q, t, c(coefficient));
    Value tail = e.fmul(e.fmul(q, t), e.exp(e.fmul(e.fmul(y, y), c(-1))));
    Value positive = e.builder.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::OGE, y, c(0));
    return e.fmul(e.fmul(x, c(0.5)), e.select(positive, e.fsub(c(2), tail), tail));
  }
  case tile::Activation::SwigluOai:
    return sigmoidTimes(e.fmul(x, c(1.702)));
  }
  llvm_unreachable("unknown activation");
}

void PartEmitter::lowerActivate(tile::ActivateOp op) {
  Place gate = places.lookup(op.getGate());
  Place to = place(op.getResult());
  forLanes(to.columns, [&](Value slot, Value column) {
    Value x = lanes(gate, slot, column), up;
    if (op.getUp())
      up = lanes(places.lookup(op.getUp()), slot, column);
    if (op.getLimit()) {
      float limit = op.getLimit()->convertToFloat();
      Value most = real(x.getType(), limit);
      x = fmin(x, most);
      up = fadd(fmax(fmin(up, most), real(x.getType(), -limit)), real(x.getType(), 1));
    }
    Value activated = emitActivation(*this, op.getFunction(), x);
    if (up)
      activated = fmul(activated, up);
    setLanes(activated, to, slot, column);
  });
}

} // namespace pianola::host
