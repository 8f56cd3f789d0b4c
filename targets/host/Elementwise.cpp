//===- Elementwise.cpp - Ops on the columns of a slot ---------------------===//

#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

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

// x / (1 + e^-x); x/2 (1 + tanh y) = x / (1 + e^-2y); and erf by Abramowitz and Stegun 7.1.26,
// whose error is below 1.5e-7.
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
    Value t = e.fdiv(c(1), e.fma(magnitude, c(0.3275911), c(1)));
    Value p = c(1.061405429);
    for (double coefficient : {-1.453152027, 1.421413741, -0.284496736, 0.254829592})
      p = e.fma(p, t, c(coefficient));
    Value tail = e.fmul(e.fmul(p, t), e.exp(e.fmul(e.fmul(y, y), c(-1))));
    // 1 + erf(y): 2 - tail for positive y, tail for negative.
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
