//===- Elementwise.cpp - Ops on the columns of a slot ---------------------===//

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

// x / (1 + e^-x), and x/2 (1 + tanh y) = x / (1 + e^-2y). For x/2 (1 + erf(x / sqrt 2)) the smaller
// of the two halves of 1 + erf must keep its digits: with z >= 0 and t = 1 / (1 + 0.4 z),
// erfc(z) = t e^(-z^2) q(t), where q of degree 8 interpolates at the Chebyshev points of 0 <= z
// <= 9.5 with a relative error below 1e-7.
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
    Value q = c(0.0373838358);
    for (double coefficient : {-0.121834666, 0.0465339124, 0.1298884, 0.0514787249, 0.205131158,
                               0.198966056, 0.226841092, 0.225611538})
      q = e.fma(q, t, c(coefficient));
    Value tail = e.fmul(e.fmul(q, t), e.exp(e.fmul(e.fmul(y, y), c(-1))));
    // 1 + erf(y): 2 - erfc(y) for positive y, erfc(-y) for negative.
    Value positive = e.builder.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::OGE, y, c(0));
    return e.fmul(e.fmul(x, c(0.5)), e.select(positive, e.fsub(c(2), tail), tail));
  }
  }
  llvm_unreachable("unknown activation");
}

void PartEmitter::lowerActivate(tile::ActivateOp op) {
  Place gate = places.lookup(op.getGate()), up = places.lookup(op.getUp());
  Place to = place(op.getResult());
  forLanes(to.columns, [&](Value slot, Value column) {
    Value activated = emitActivation(*this, op.getFunction(), lanes(gate, slot, column));
    setLanes(fmul(activated, lanes(up, slot, column)), to, slot, column);
  });
}

} // namespace pianola::host
