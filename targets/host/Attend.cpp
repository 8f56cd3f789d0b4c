//===- Attend.cpp - Attention over the context ----------------------------===//
//
// A chunk is 64 positions. Keys are packed as weight rows are, so scores are inner products of keys
// with queries; values are packed with positions as the contracted dimension, so the output is
// inner products of values with probabilities. A row is one query head of one slot, and all rows of
// the tile pass through a chunk together: keys and values are read once.
//
// Then the mask and the online softmax (Milakov and Gimelshein, 2018): each row has the greatest
// score so far and its sum of exponentials, and its output is scaled when the greatest grows.
//
// While a chunk is worked on, memory is asked for the next one's keys and values.
//
// Probabilities are products' activations like any other: see Form.
//
//===----------------------------------------------------------------------===//

#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

namespace {

constexpr int64_t kChunk = 64;
constexpr int64_t kRowBytes = kChunk * 4; // of scores, and of the probabilities that replace them
constexpr float kLowest = -1e30f;         // minus infinity that survives subtraction

class AttendEmitter {
public:
  AttendEmitter(PartEmitter &emit, tile::AttendOp op)
      : e(emit), op(op), context(op.getPast().getType()), size(context.getSize()),
        element(context.getElement()), bytes(element.getIntOrFloatBitWidth() / 8),
        queries(emit.places.lookup(op.getQueries())), group(queries.columns / size),
        form(formFor(emit.cpu, element, queries.element)),
        // Probabilities are at least as exact as queries; only products of bf16 need them rounded.
        weightForm(form == Form::Bf16 && !emit.cpu.hasBf16Products() ? Form::F32 : form) {}

  void run();

private:
  void start(int64_t rows);
  std::pair<Value, Value> chunks();
  void scoreKeys(Value first);
  void softmax(Value first);
  void softmaxRow(Value row, ArrayRef<Value> visible);
  void addValues(Value first);
  void addSteps(Value values, Value probabilities, Value steps);
  void finish();
  void forRows(llvm::function_ref<void(Value slot, Value head, Value row)> body);

  SmallVector<Value> visibleLanes(Value first, Value slot);
  Value positionOf(Value slot) { return e.add(e.position, e.add(e.slotBegin, slot)); }
  Value entry(Value table, Value row) { return e.at(table, e.mul(row, 4)); }
  Value outputRow(Value row) { return e.at(output.base, e.mul(row, size * 4)); }

  PartEmitter &e;
  tile::AttendOp op;
  tile::ContextType context;
  int64_t size;
  Type element;
  int64_t bytes;
  Place queries;
  int64_t group;
  Form form, weightForm;

  Place output;         // dense: row r of [slots * group][size]
  Value keys, values;   // of the head
  Value packed;         // queries in their form, row by row
  Value scores;         // [rows][64]
  Value greatest, sums; // of each row
  Value tail;           // the values of one last odd position
  Value firstRow, rows; // the tile's rows to compute
};

void AttendEmitter::forRows(llvm::function_ref<void(Value, Value, Value)> body) {
  e.loop(e.low, e.high, 1, [&](Value slot) {
    e.loop(e.constant(0), e.constant(group), 1,
           [&](Value head) { body(slot, head, e.add(e.mul(slot, group), head)); });
  });
}

void AttendEmitter::start(int64_t count) {
  output = e.place(op.getOutput());
  packed = e.allocate(e.bf16(), count * rowBytes(form, size) / 2);
  scores = e.allocate(e.f32(), count * kChunk);
  greatest = e.allocate(e.f32(), count);
  sums = e.allocate(e.f32(), count);
  tail = e.allocate(e.f32(), size);
  firstRow = e.mul(e.low, group);
  rows = e.mul(e.sub(e.high, e.low), group);

  Value base = e.bindingOf(op.getPast());
  Value head = e.evaluate(op.getHeadAttr()), headBytes = e.mul(e.capacity, size * bytes);
  keys = e.at(base, e.mul(head, headBytes));
  values = e.at(base, e.mul(e.add(head, context.getHeads()), headBytes));

  Value zero = e.real(e.vector(e.f32()), 0);
  forRows([&](Value slot, Value head, Value row) {
    e.loop(e.constant(0), e.constant(size), 16, [&](Value lane) {
      Value query = e.lanes(queries, slot, e.add(e.mul(head, size), lane));
      storeForm(e, query, form, e.at(packed, e.mul(row, rowBytes(form, size))), lane);
      e.store(zero, e.at(outputRow(row), e.mul(lane, 4)));
    });
    e.store(e.real(kLowest), entry(greatest, row));
    e.store(e.real(0), entry(sums, row));
  });
}

// The chunks that some slot of the tile sees, and of these the tile's part: as many as the others'
// parts, and one more in the first ones if they do not come out even.
std::pair<Value, Value> AttendEmitter::chunks() {
  Value begin = e.constant(0);
  if (int64_t window = op.getWindow())
    begin = e.div(e.max(e.add(positionOf(e.low), 1 - window), begin), kChunk);
  Value end = e.div(e.add(positionOf(e.high), kChunk - 1), kChunk);
  int64_t splits = op.getSplits();
  if (splits == 1)
    return {begin, end};
  Value count = e.sub(end, begin), split = e.evaluate(op.getSplitAttr());
  Value each = e.div(count, splits), more = e.rem(count, splits);
  auto startOf = [&](Value part) {
    return e.add(begin, e.add(e.mul(part, each), e.min(part, more)));
  };
  return {startOf(split), startOf(e.add(split, 1))};
}

void AttendEmitter::scoreKeys(Value first) {
  int64_t perStep = element.isBF16() ? 2 : 1;
  ProductKind kind{
      element, form, kChunk / 16, 16 * perStep * bytes, 16 * size * bytes, kChunk * size * bytes};
  callProducts(e.kernels, e, kind,
               {e.at(keys, e.mul(first, size * bytes)),
                e.at(packed, e.mul(firstRow, rowBytes(form, size))),
                e.constant(rowBytes(form, size)), e.at(scores, e.mul(firstRow, kRowBytes)),
                e.constant(kRowBytes), e.constant(size / perStep), rows,
                e.equal(e.constant(0), e.constant(0))});
}

// Which lanes of the chunk a slot sees, 16 by 16.
SmallVector<Value> AttendEmitter::visibleLanes(Value first, Value slot) {
  auto splat = [&](Value value) {
    return e.splat(e.builder.create<arith::TruncIOp>(e.loc, e.i32(), value));
  };
  auto compare = [&](arith::CmpIPredicate predicate, Value a, Value b) -> Value {
    return e.builder.create<arith::CmpIOp>(e.loc, predicate, a, b);
  };
  Value newest = e.sub(positionOf(slot), first), last = splat(newest), before;
  if (int64_t window = op.getWindow())
    before = splat(e.add(newest, -window));
  SmallVector<Value> visible;
  for (int32_t i = 0; i < kChunk; i += 16) {
    SmallVector<int32_t> ramp;
    for (int32_t lane = i; lane < i + 16; ++lane)
      ramp.push_back(lane);
    Value index = e.builder.create<arith::ConstantOp>(
        e.loc, DenseElementsAttr::get(e.vector(e.i32()), ArrayRef<int32_t>(ramp)));
    Value sees = compare(arith::CmpIPredicate::sle, index, last);
    if (before)
      sees = e.builder.create<arith::AndIOp>(e.loc, sees,
                                             compare(arith::CmpIPredicate::sgt, index, before));
    visible.push_back(sees);
  }
  return visible;
}

// Scores become probabilities. What is masked may be anything before, and is zero after.
void AttendEmitter::softmaxRow(Value row, ArrayRef<Value> visible) {
  VectorType f32x16 = e.vector(e.f32());
  Value place = e.at(scores, e.mul(row, kRowBytes));
  SmallVector<Value> score;
  Value most;
  for (auto [i, sees] : llvm::enumerate(visible)) {
    Value s =
        e.fmul(e.load(f32x16, e.at(place, i * 64)), e.real(f32x16, op.getScale().convertToFloat()));
    score.push_back(e.select(sees, s, e.real(f32x16, kLowest)));
    most = most ? e.fmax(most, score.back()) : score.back();
  }
  Value before = e.load(e.f32(), entry(greatest, row));
  Value now = e.fmax(before, e.greatest(most)), total;
  for (auto [i, sees] : llvm::enumerate(visible)) {
    Value p = e.select(sees, e.exp(e.fsub(score[i], e.splat(now))), e.real(f32x16, 0));
    total = total ? e.fadd(total, p) : p;
    storeForm(e, p, weightForm, place, e.constant(i * 16));
  }
  Value scale = e.exp(e.fsub(before, now));
  e.store(now, entry(greatest, row));
  e.store(e.fma(e.load(e.f32(), entry(sums, row)), scale, e.sum(total)), entry(sums, row));
  Value grew = e.builder.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::ONE, before, now);
  e.when(grew, [&] {
    Value out = outputRow(row), scales = e.splat(scale);
    e.loop(e.constant(0), e.constant(size), 16, [&](Value lane) {
      Value at = e.at(out, e.mul(lane, 4));
      e.store(e.fmul(e.load(f32x16, at), scales), at);
    });
  });
}

void AttendEmitter::softmax(Value first) {
  e.loop(e.low, e.high, 1, [&](Value slot) {
    SmallVector<Value> visible = visibleLanes(first, slot);
    e.loop(e.constant(0), e.constant(group), 1,
           [&](Value head) { softmaxRow(e.add(e.mul(slot, group), head), visible); });
  });
}

// Adds `steps` steps of values, lanes by the row of registers.
void AttendEmitter::addSteps(Value from, Value probabilities, Value steps) {
  int64_t perStep = element.isBF16() ? 2 : 1;
  for (int64_t lane = 0, registers; lane < size; lane += 16 * registers) {
    registers = size - lane >= 64 ? 4 : size - lane >= 32 ? 2 : 1;
    ProductKind kind{element, weightForm,           registers, size * perStep * bytes,
                     64,      kChunk * size * bytes};
    callProducts(e.kernels, e, kind,
                 {e.at(from, lane * perStep * bytes), probabilities, e.constant(kRowBytes),
                  e.at(outputRow(firstRow), lane * 4), e.constant(size * 4), steps, rows,
                  e.less(e.constant(1), e.constant(0))});
  }
}

// Memory beyond the newest position may hold anything, NaN included, which times zero is not zero:
// so products end with it, and the other half of a pair that it is the first of is blanked.
void AttendEmitter::addValues(Value first) {
  Value seen = e.min(e.sub(positionOf(e.high), first), e.constant(kChunk));
  Value from = e.at(values, e.mul(first, size * bytes));
  Value probabilities = e.at(scores, e.mul(firstRow, kRowBytes));
  if (!element.isBF16())
    return addSteps(from, probabilities, seen);
  Value pairs = e.div(seen, 2), odd = e.rem(seen, 2);
  addSteps(from, probabilities, pairs);
  e.when(e.less(e.constant(0), odd), [&] {
    Value last = e.at(from, e.mul(pairs, size * 4));
    e.loop(e.constant(0), e.constant(size), 16, [&](Value lane) {
      Value pair = e.load(e.vector(e.i32()), e.at(last, e.mul(lane, 4)));
      e.store(e.builder.create<arith::AndIOp>(e.loc, pair, e.lanesOf(0xffff)),
              e.at(tail, e.mul(lane, 4)));
    });
    addSteps(tail, e.at(probabilities, offsetIn(e, weightForm, e.mul(pairs, 2))), e.constant(1));
  });
}

void AttendEmitter::finish() {
  Value zero = e.real(e.vector(e.f32()), 0);
  if (op.getSplits() == 1) {
    forRows([&](Value, Value, Value row) {
      Value inverse = e.splat(e.fdiv(e.real(1), e.load(e.f32(), entry(sums, row))));
      e.loop(e.constant(0), e.constant(size), 16, [&](Value lane) {
        Value at = e.at(outputRow(row), e.mul(lane, 4));
        e.store(e.fmul(e.load(e.vector(e.f32()), at), inverse), at);
      });
    });
    return;
  }
  Place statistics = e.place(op.getStatistics());
  e.forLanes(statistics.columns,
             [&](Value slot, Value column) { e.setLanes(zero, statistics, slot, column); });
  forRows([&](Value slot, Value head, Value row) {
    Value sum = e.load(e.f32(), entry(sums, row));
    Value sawNone =
        e.builder.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::OEQ, sum, e.real(0));
    Value most = e.select(sawNone, e.real(-std::numeric_limits<float>::infinity()),
                          e.load(e.f32(), entry(greatest, row)));
    Value to = e.at(e.row(statistics, slot), e.mul(head, 8));
    e.store(most, to);
    e.store(sum, e.at(to, 4));
  });
}

void AttendEmitter::run() {
  start(cast<RankedTensorType>(op.getOutput().getType()).getDimSize(0) * group);
  auto [begin, end] = chunks();
  e.loop(begin, end, 1, [&](Value number) {
    Value first = e.mul(number, kChunk);
    scoreKeys(first);
    softmax(first);
    addValues(first);
  });
  finish();
}

} // namespace

void PartEmitter::lowerAttend(tile::AttendOp op) { AttendEmitter(*this, op).run(); }

} // namespace pianola::host
