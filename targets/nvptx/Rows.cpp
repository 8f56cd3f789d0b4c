//===- Rows.cpp - Norms, rotations and joined attention -------------------===//

#include "targets/nvptx/Stage.h"

using namespace mlir;

namespace pianola::nvptx {

//===----------------------------------------------------------------------===//
// Norms
//===----------------------------------------------------------------------===//

// Of one row that a thread keeps in registers: 4096 columns at least.
static int64_t mostQuads(const Kernel &e) { return e.shape.warps == 8 ? 4 : 5; }
// Columns of a group that one warp normalises.
constexpr int64_t kMostOfWarp = 256;

// What lies in the padding of a row is zero, so that sums may run over it.
void StageEmitter::lowerNormalise(tile::NormaliseOp op) {
  Place from = places.lookup(op.getValue());
  passSlotBegin(op.getValue(), op.getResult());
  Place to = placeFor(op.getResult());
  // A warp for each group where groups are small, so that no barrier is needed in between.
  if (from.columns / static_cast<int64_t>(op.getGroups()) <= kMostOfWarp)
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

void StageEmitter::normaliseByWarp(tile::NormaliseOp op, const Place &from, const Place &to) {
  int64_t groups = op.getGroups(), columns = from.columns / groups;
  Value weights = bindingOf(op.getVector());
  forWarps(e.mul(highOf(op.getValue()), groups), [&](Value index) {
    Value slot = e.div(index, groups), first = e.mul(e.rem(index, groups), columns);
    Value start = e.mul(e.lane, 4), end = e.constant(columns);
    Value squares =
        e.loop(start, end, e.constant(kWarp * 4), {e.real(0)}, [&](Value column, ValueRange sum) {
           Value total = sum.front();
           for (Value x : loadQuad(from, slot, e.add(first, column)))
             total = e.fma(x, x, total);
           return SmallVector<Value>{total};
         }).front();
    Value scale = scaleOf(e, op, e.sumLanes(squares));
    e.loop(start, end, kWarp * 4, [&](Value column) {
      SmallVector<Value, 4> quad = loadQuad(from, slot, e.add(first, column));
      Value weight = e.loadConstant(e.vector(e.f32(), 4), e.at(weights, e.mul(column, 4)));
      for (int64_t i = 0; i < 4; ++i)
        quad[i] = e.fmul(e.fmul(quad[i], scale), e.element(weight, i));
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
  if (!isOneRow(e, op))
    return;
  int64_t columns = cast<RankedTensorType>(op.getValue().getType()).getDimSize(1);
  Value weights = bindingOf(op.getVector());
  VectorType four = e.vector(e.f32(), 4);
  SmallVector<Variable> &factors = anticipated[op];
  for (int64_t at = 0; at < columns; at += e.shape.consumers() * 4)
    factors.emplace_back(e, e.zeros(four));
  forOwnQuads(e, columns, [&](int64_t which, Value column) {
    factors[which].set(e, e.loadConstant(four, e.at(weights, e.mul(column, 4))));
  });
}

// The row stays in registers until the sum is known: this is what a token waits for, in every
// stage.
void StageEmitter::normaliseOneRow(tile::NormaliseOp op, const Place &from, const Place &to) {
  int64_t warps = e.shape.warps;
  Value zero = e.constant(0);
  SmallVector<Variable> values, &factors = anticipated[op];
  Type four = e.vector(e.f32(), 4);
  for (size_t which = 0; which < factors.size(); ++which)
    values.emplace_back(e, e.zeros(e.vector(e.f32(), 4)));
  forOwnQuads(e, from.columns, [&](int64_t which, Value column) {
    values[which].set(e, e.load(four, elementAt(from, zero, column)));
  });
  Value squares = e.real(0);
  for (Variable &value : values)
    for (int64_t i = 0; i < 4; ++i) {
      Value x = e.element(value.get(e), i);
      squares = e.fma(x, x, squares);
    }
  int64_t kept = scratchUsed;
  Value sums = allocate(warps * 4), sum = e.sumLanes(squares);
  e.when(e.equal(e.lane, 0), [&] { e.store(sum, e.at(sums, e.mul(e.warp, 4))); });
  e.meet();
  Value total = e.real(0);
  for (int64_t warp = 0; warp < warps; ++warp)
    total = e.fadd(total, e.load(e.f32(), e.at(sums, warp * 4)));
  Value scale = scaleOf(e, op, total);
  forOwnQuads(e, from.columns, [&](int64_t which, Value column) {
    SmallVector<Value, 4> result;
    for (int64_t i = 0; i < 4; ++i)
      result.push_back(e.fmul(e.fmul(e.element(values[which].get(e), i), scale),
                              e.element(factors[which].get(e), i)));
    storeQuad(result, to, zero, column);
  });
  scratchUsed = kept;
}

void StageEmitter::normaliseByBlock(tile::NormaliseOp op, const Place &from, const Place &to) {
  int64_t groups = op.getGroups(), columns = from.columns / groups, warps = e.shape.warps;
  int64_t slots = cast<RankedTensorType>(op.getValue().getType()).getDimSize(0);
  Value weights = bindingOf(op.getVector());
  Value rows = e.mul(highOf(op.getValue()), groups);
  int64_t kept = scratchUsed;
  Value sums = allocate(slots * groups * warps * 4);
  auto sumAt = [&](Value row, Value warp) {
    return e.at(sums, e.mul(e.add(e.mul(row, warps), warp), 4));
  };
  Value start = e.mul(e.thread, 4), end = e.constant(columns);
  Value step = e.constant(e.shape.consumers() * 4);
  auto slotOf = [&](Value row) { return e.div(row, groups); };
  auto firstOf = [&](Value row) { return e.mul(e.rem(row, groups), columns); };
  e.loop(e.constant(0), rows, 1, [&](Value row) {
    Value squares = e.loop(start, end, step, {e.real(0)}, [&](Value column, ValueRange sum) {
                       Value total = sum.front();
                       for (Value x : loadQuad(from, slotOf(row), e.add(firstOf(row), column)))
                         total = e.fma(x, x, total);
                       return SmallVector<Value>{total};
                     }).front();
    Value sum = e.sumLanes(squares);
    e.when(e.equal(e.lane, 0), [&] { e.store(sum, sumAt(row, e.warp)); });
  });
  e.meet();
  e.loop(e.constant(0), rows, 1, [&](Value row) {
    Value total = e.real(0);
    for (int64_t warp = 0; warp < warps; ++warp)
      total = e.fadd(total, e.load(e.f32(), sumAt(row, e.constant(warp))));
    Value scale = scaleOf(e, op, total);
    e.loop(start, end, step, [&](Value column) {
      Value at = e.add(firstOf(row), column);
      SmallVector<Value, 4> quad = loadQuad(from, slotOf(row), at);
      Value weight = e.loadConstant(e.vector(e.f32(), 4), e.at(weights, e.mul(column, 4)));
      for (int64_t i = 0; i < 4; ++i)
        quad[i] = e.fmul(e.fmul(quad[i], scale), e.element(weight, i));
      storeQuad(quad, to, slotOf(row), at);
    });
  });
  scratchUsed = kept;
}

//===----------------------------------------------------------------------===//
// Rotations
//===----------------------------------------------------------------------===//

void StageEmitter::lowerRotate(tile::RotateOp op) {
  Place from = places.lookup(op.getValue());
  passSlotBegin(op.getValue(), op.getResult());
  // A pair is read and written by one thread: in place, if nobody else reads it.
  bool inPlace = op.getValue().hasOneUse() && !op.getValue().getDefiningOp<tile::LoadOp>();
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
