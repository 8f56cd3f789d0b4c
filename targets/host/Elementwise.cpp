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
  Value bias = weightAt(op.getVector());
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
  }
  llvm_unreachable("unknown activation");
}

void PartEmitter::lowerActivate(tile::ActivateOp op) {
  Place gate = places.lookup(op.getGate());
  Place to = place(op.getResult());
  forLanes(to.columns, [&](Value slot, Value column) {
    Value activated = emitActivation(*this, op.getFunction(), lanes(gate, slot, column));
    if (op.getUp())
      activated = fmul(activated, lanes(places.lookup(op.getUp()), slot, column));
    setLanes(activated, to, slot, column);
  });
}

} // namespace pianola::host
