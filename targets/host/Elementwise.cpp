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

void PartEmitter::lowerNormalise(tile::NormaliseOp op) {
  Place from = places.lookup(op.getValue());
  Place to = place(op.getResult());
  Value weights = weightAt(op.getVector());
  int64_t groups = op.getGroups(), columns = to.columns / groups;
  Value zero = real(vector(f32()), 0);
  loop(low, high, 1, [&](Value slot) {
    loop(constant(0), constant(groups), 1, [&](Value group) {
      Value first = mul(group, columns);
      // Padding is zero and adds nothing.
      Value squares = loop(constant(0), constant(columns), 16, zero,
                           [&](Value column, ValueRange carried) -> SmallVector<Value> {
                             Value x = lanes(from, slot, add(first, column));
                             return {fma(x, x, carried[0])};
                           })[0];
      Value mean = fmul(sum(squares), real(1.0f / op.getSize()));
      Value factor = fdiv(real(1), sqrt(fadd(mean, real(op.getEps().convertToFloat()))));
      Value factors = splat(factor);
      loop(constant(0), constant(columns), 16, [&](Value column) {
        Value x = lanes(from, slot, add(first, column));
        Value weight = loadLanes(f32(), at(weights, mul(column, 4)));
        setLanes(fmul(fmul(x, factors), weight), to, slot, add(first, column));
      });
    });
  });
}

void PartEmitter::lowerRotate(tile::RotateOp op) {
  Place from = places.lookup(op.getValue());
  Place to = place(op.getResult());
  int64_t pairs = op.getRotation().getType().getPairs(), groups = op.getGroups();
  int64_t columns = to.columns / groups;
  Value table = bindingOf(op.getRotation());
  copyRows(from, to); // lanes that do not turn
  loop(low, high, 1, [&](Value slot) {
    Value p = add(position, add(slotBegin, slot));
    Value cosines = at(table, mul(p, 2 * pairs * 4)), sines = at(cosines, pairs * 4);
    loop(constant(0), constant(groups), 1, [&](Value group) {
      Value source = at(row(from, slot), mul(group, columns * from.elementBytes()));
      Value target = at(row(to, slot), mul(group, columns * to.elementBytes()));
      auto turn = [&](Value i, bool wide) {
        auto read = [&](Type element, Value base, Value index) {
          Value where = at(base, mul(index, element.getIntOrFloatBitWidth() / 8));
          return wide ? loadLanes(element, where) : loadScalar(element, where);
        };
        auto write = [&](Value value, Value index) {
          store(value, at(target, mul(index, to.elementBytes())));
        };
        Value a = read(from.element, source, i), b = read(from.element, source, add(i, pairs));
        Value c = read(f32(), cosines, i), s = read(f32(), sines, i);
        write(fsub(fmul(a, c), fmul(b, s)), i);
        write(fadd(fmul(b, c), fmul(a, s)), add(i, pairs));
      };
      loop(constant(0), constant(pairs / 16 * 16), 16, [&](Value i) { turn(i, true); });
      loop(constant(pairs / 16 * 16), constant(pairs), 1, [&](Value i) { turn(i, false); });
    });
  });
}

} // namespace pianola::host
