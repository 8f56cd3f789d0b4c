//===- Normalise.cpp - Norms of rows and of heads -------------------------===//

#include "targets/nvptx/Stage.h"

using namespace mlir;

namespace pianola::nvptx {

// Of one row that a thread keeps in registers: 4096 columns at least.
static int64_t mostQuads(const Kernel &e) { return e.shape.warps == 8 ? 4 : 5; }
// Columns of a group that one warp normalises.
constexpr int64_t kMostOfWarp = 256;

// What lies in the padding of a row is zero, so that sums may run over it.
void StageEmitter::lowerNormalise(tile::NormaliseOp op) {
  Place from = places.lookup(op.getValue());
  passSlotBegin(op.getValue(), op.getResult());
  // A warp for each group where groups are small, so that no barrier is needed in between: a lane
  // then reads what it writes, in place, if nobody else reads it.
  bool byWarp = from.columns / static_cast<int64_t>(op.getGroups()) <= kMostOfWarp;
  Operation *maker = op.getValue().getDefiningOp();
  bool inPlace = byWarp && op.getValue().hasOneUse() && !isa<tile::LoadOp>(maker) &&
                 maker->getBlock() == op->getBlock() && !isOnlyStored(op.getResult()) &&
                 formOf(op.getResult()) == from.form && from.form == Place::F32;
  Place to = inPlace ? places[op.getResult()] = from : placeFor(op.getResult());
  if (byWarp)
    normaliseByWarp(op, from, to);
  else if (anticipated.contains(op))
    normaliseOneRow(op, from, to);
  else
    normaliseByBlock(op, from, to);
  e.meet();
}

static Value scaleOf(Kernel &e, tile::NormaliseOp op, Value squares) {
  Value mean = e.fmul(squares, e.real(1.0 / op.getSize()));
  return e.rsqrt(e.fadd(mean, e.real(op.getEps().convertToDouble())));
}

static Value meanOf(Kernel &e, tile::NormaliseOp op, Value sum) {
  return e.fmul(sum, e.real(1.0 / op.getSize()));
}

// Four columns less the row's mean, if it has one; what is padding stays zero.
static SmallVector<Value, 4> centre(Kernel &e, tile::NormaliseOp op, Value mean, Value column,
                                    SmallVector<Value, 4> quad) {
  if (!mean)
    return quad;
  auto size = static_cast<int64_t>(op.getSize());
  bool isPadded = cast<RankedTensorType>(op.getValue().getType()).getDimSize(1) != size;
  for (int64_t i = 0; i < 4; ++i) {
    Value rest = e.fsub(quad[i], mean);
    quad[i] = isPadded ? e.select(e.less(e.add(column, i), size), rest, e.real(0)) : rest;
  }
  return quad;
}

// quad * scale * weight + bias, as far as there are such.
static void weigh(Kernel &e, SmallVector<Value, 4> &quad, Value scale, Value weight, Value bias) {
  for (int64_t i = 0; i < 4; ++i) {
    quad[i] = e.fmul(quad[i], scale);
    if (weight)
      quad[i] = e.fmul(quad[i], e.element(weight, i));
    if (bias)
      quad[i] = e.fadd(quad[i], e.element(bias, i));
  }
}

// Four columns of the op's vector and of its bias, if it has them.
std::pair<Value, Value> StageEmitter::loadFactors(tile::NormaliseOp op, Value column) {
  auto load = [&](Value vector) {
    return e.loadConstant(e.vector(e.f32(), 4), e.at(bindingOf(vector), e.mul(column, 4)));
  };
  return {op.getVector() ? load(op.getVector()) : Value(),
          op.getBias() ? load(op.getBias()) : Value()};
}

void StageEmitter::normaliseByWarp(tile::NormaliseOp op, const Place &from, const Place &to) {
  int64_t groups = op.getGroups(), columns = from.columns / groups;
  forWarps(e.mul(highOf(op.getValue()), groups), [&](Value index) {
    Value slot = e.div(index, groups), first = e.mul(e.rem(index, groups), columns);
    Value start = e.mul(e.lane, 4), end = e.constant(columns), step = e.constant(kWarp * 4);
    auto total = [&](llvm::function_ref<Value(Value column, Value before)> addTo) {
      Value own = e.loop(start, end, step, {e.real(0)}, [&](Value column, ValueRange sum) {
                     return SmallVector<Value>{addTo(column, sum.front())};
                   }).front();
      return e.sumLanes(own);
    };
    auto read = [&](Value column) { return loadQuad(from, slot, e.add(first, column)); };
    Value mean;
    if (op.getCentred())
      mean = meanOf(e, op, total([&](Value column, Value sum) {
                      for (Value x : read(column))
                        sum = e.fadd(sum, x);
                      return sum;
                    }));
    Value scale = scaleOf(e, op, total([&](Value column, Value sum) {
                            for (Value x : centre(e, op, mean, column, read(column)))
                              sum = e.fma(x, x, sum);
                            return sum;
                          }));
    e.loop(start, end, kWarp * 4, [&](Value column) {
      SmallVector<Value, 4> quad = centre(e, op, mean, column, read(column));
      auto [weight, bias] = loadFactors(op, column);
      weigh(e, quad, scale, weight, bias);
      storeQuad(quad, to, slot, e.add(first, column));
    });
  });
}

// Quads that a thread has of a row: every consumers-th. Calls `body` with each that is there.
static void forOwnQuads(Kernel &e, int64_t columns,
                        llvm::function_ref<void(int64_t which, Value column)> body) {
  int64_t step = e.shape.consumers() * 4;
  for (int64_t which = 0; which * step < columns; ++which) {
    Value column = e.add(e.mul(e.thread, 4), which * step);
    if ((which + 1) * step <= columns)
      body(which, column);
    else
      e.when(e.less(column, columns), [&] { body(which, column); });
  }
}

static bool isOneRow(const Kernel &e, tile::NormaliseOp op) {
  auto type = cast<RankedTensorType>(op.getValue().getType());
  return type.getDimSize(0) == 1 && op.getGroups() == 1 && type.getDimSize(1) > kMostOfWarp &&
         type.getDimSize(1) <= mostQuads(e) * 4 * e.shape.consumers();
}

// A row's weights are there before the row is.
void StageEmitter::anticipateNorm(tile::NormaliseOp op) {
  if (!op.getVector() || !isOneRow(e, op))
    return;
  int64_t columns = cast<RankedTensorType>(op.getValue().getType()).getDimSize(1);
  VectorType four = e.vector(e.f32(), 4);
  SmallVector<Variable> &factors = anticipated[op], &biases = anticipatedBiases[op];
  for (int64_t at = 0; at < columns; at += e.shape.consumers() * 4) {
    factors.emplace_back(e, e.zeros(four));
    if (op.getBias())
      biases.emplace_back(e, e.zeros(four));
  }
  forOwnQuads(e, columns, [&](int64_t which, Value column) {
    auto [weight, bias] = loadFactors(op, column);
    factors[which].set(e, weight);
    if (bias)
      biases[which].set(e, bias);
  });
}

// The row stays in registers until the sum is known: this is what a token waits for, in every
// stage.
void StageEmitter::normaliseOneRow(tile::NormaliseOp op, const Place &from, const Place &to) {
  int64_t warps = e.shape.warps;
  Value zero = e.constant(0);
  SmallVector<Variable> &factors = anticipated[op], &biases = anticipatedBiases[op];
  SmallVector<Variable> values;
  Type four = e.vector(e.f32(), 4);
  for (size_t which = 0; which < factors.size(); ++which)
    values.emplace_back(e, e.zeros(e.vector(e.f32(), 4)));
  forOwnQuads(e, from.columns, [&](int64_t which, Value column) {
    values[which].set(e, e.load(four, elementAt(from, zero, column)));
  });
  int64_t kept = scratchUsed;
  auto total = [&](llvm::function_ref<Value(Value x, Value before)> addTo) {
    Value own = e.real(0);
    for (Variable &value : values)
      for (int64_t i = 0; i < 4; ++i)
        own = addTo(e.element(value.get(e), i), own);
    Value sums = allocate(warps * 4), sum = e.sumLanes(own);
    e.when(e.equal(e.lane, 0), [&] { e.store(sum, e.at(sums, e.mul(e.warp, 4))); });
    e.meet();
    Value all = e.real(0);
    for (int64_t warp = 0; warp < warps; ++warp)
      all = e.fadd(all, e.load(e.f32(), e.at(sums, warp * 4)));
    return all;
  };
  auto quadOf = [&](int64_t which) {
    SmallVector<Value, 4> quad;
    for (int64_t i = 0; i < 4; ++i)
      quad.push_back(e.element(values[which].get(e), i));
    return quad;
  };
  if (op.getCentred()) {
    Value mean = meanOf(e, op, total([&](Value x, Value sum) { return e.fadd(sum, x); }));
    forOwnQuads(e, from.columns, [&](int64_t which, Value column) {
      values[which].set(e, e.vectorOf(centre(e, op, mean, column, quadOf(which))));
    });
  }
  Value scale = scaleOf(e, op, total([&](Value x, Value sum) { return e.fma(x, x, sum); }));
  forOwnQuads(e, from.columns, [&](int64_t which, Value column) {
    SmallVector<Value, 4> result = quadOf(which);
    weigh(e, result, scale, factors[which].get(e), op.getBias() ? biases[which].get(e) : Value());
    storeQuad(result, to, zero, column);
  });
  scratchUsed = kept;
}

void StageEmitter::normaliseByBlock(tile::NormaliseOp op, const Place &from, const Place &to) {
  int64_t groups = op.getGroups(), columns = from.columns / groups, warps = e.shape.warps;
  int64_t slots = cast<RankedTensorType>(op.getValue().getType()).getDimSize(0);
  Value rows = e.mul(highOf(op.getValue()), groups);
  int64_t kept = scratchUsed;
  Value start = e.mul(e.thread, 4), end = e.constant(columns);
  Value step = e.constant(e.shape.consumers() * 4);
  auto read = [&](Value row, Value column) {
    return loadQuad(from, e.div(row, groups), e.add(e.mul(e.rem(row, groups), columns), column));
  };
  // Sums over each row less its mean, by warps. Returns how to read a row's.
  auto sumRows = [&](llvm::function_ref<Value(Value row)> meanOfRow,
                     llvm::function_ref<Value(Value x, Value before)> addTo) {
    Value sums = allocate(slots * groups * warps * 4);
    auto sumAt = [this, sums, warps](Value row, Value warp) {
      return e.at(sums, e.mul(e.add(e.mul(row, warps), warp), 4));
    };
    e.loop(e.constant(0), rows, 1, [&](Value row) {
      Value mean = meanOfRow(row);
      Value own = e.loop(start, end, step, {e.real(0)}, [&](Value column, ValueRange sum) {
                     Value total = sum.front();
                     for (Value x : centre(e, op, mean, column, read(row, column)))
                       total = addTo(x, total);
                     return SmallVector<Value>{total};
                   }).front();
      Value sum = e.sumLanes(own);
      e.when(e.equal(e.lane, 0), [&] { e.store(sum, sumAt(row, e.warp)); });
    });
    e.meet();
    return [this, sumAt, warps](Value row) {
      Value total = e.real(0);
      for (int64_t warp = 0; warp < warps; ++warp)
        total = e.fadd(total, e.load(e.f32(), sumAt(row, e.constant(warp))));
      return total;
    };
  };
  auto add = [&](Value x, Value sum) { return e.fadd(sum, x); };
  auto addSquare = [&](Value x, Value sum) { return e.fma(x, x, sum); };
  std::function<Value(Value)> meanOfRow = [](Value) { return Value(); };
  if (op.getCentred())
    meanOfRow = [this, op, sumOf = sumRows(meanOfRow, add)](Value row) {
      return meanOf(e, op, sumOf(row));
    };
  auto squaresOf = sumRows(meanOfRow, addSquare);
  e.loop(e.constant(0), rows, 1, [&](Value row) {
    Value mean = meanOfRow(row), scale = scaleOf(e, op, squaresOf(row));
    e.loop(start, end, step, [&](Value column) {
      SmallVector<Value, 4> quad = centre(e, op, mean, column, read(row, column));
      auto [weight, bias] = loadFactors(op, column);
      weigh(e, quad, scale, weight, bias);
      storeQuad(quad, to, e.div(row, groups), e.add(e.mul(e.rem(row, groups), columns), column));
    });
  });
  scratchUsed = kept;
}

} // namespace pianola::nvptx
