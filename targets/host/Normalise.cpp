//===- Normalise.cpp - Normalisation and rotary embedding -----------------===//

#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

void PartEmitter::lowerNormalise(tile::NormaliseOp op) {
  Place from = places.lookup(op.getValue());
  Place to = place(op.getResult());
  Value weights = op.getVector() ? weightAt(op.getVector()) : Value();
  Value biases = op.getBias() ? weightAt(op.getBias()) : Value();
  int64_t groups = op.getGroups(), columns = to.columns / groups, size = op.getSize();
  Value zero = real(vector(f32()), 0);
  loop(low, high, 1, [&](Value slot) {
    loop(constant(0), constant(groups), 1, [&](Value group) {
      Value first = mul(group, columns);
      auto sumOf = [&](llvm::function_ref<Value(Value column, Value before)> addTo) {
        return sum(loop(constant(0), constant(columns), 16, zero,
                        [&](Value column, ValueRange carried) -> SmallVector<Value> {
                          return {addTo(column, carried[0])};
                        })[0]);
      };
      auto read = [&](Value column) { return lanes(from, slot, add(first, column)); };
      // Padding is zero and adds nothing.
      Value mean;
      if (op.getCentred())
        mean = splat(
            fmul(sumOf([&](Value column, Value before) { return fadd(before, read(column)); }),
                 real(1.0f / size)));
      auto centred = [&](Value column) { return mean ? fsub(read(column), mean) : read(column); };
      Value squares = sumOf([&](Value column, Value before) {
        Value x = centred(column);
        if (mean && size != columns) // what was padding is not zero any more
          x = select(lanesBelow(sub(constant(size), column)), x, zero);
        return fma(x, x, before);
      });
      Value factor =
          fdiv(real(1),
               sqrt(fadd(fmul(squares, real(1.0f / size)), real(op.getEps().convertToFloat()))));
      Value factors = splat(factor);
      loop(constant(0), constant(columns), 16, [&](Value column) {
        Value y = fmul(centred(column), factors);
        if (weights)
          y = fmul(y, loadLanes(f32(), at(weights, mul(column, 4))));
        if (biases)
          y = fadd(y, loadLanes(f32(), at(biases, mul(column, 4))));
        setLanes(y, to, slot, add(first, column));
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
    Value cosines = at(table, mul(positionOf(slot), 2 * pairs * 4)), sines = at(cosines, pairs * 4);
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
