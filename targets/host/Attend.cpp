//===- Attend.cpp - Attention over the context ----------------------------===//
//
// Keys are packed as weight rows are, so scores are inner products of keys with the queries of one
// slot, head by head; values are packed with positions as the contracted dimension, so the output
// is inner products of values with probabilities. A chunk is 64 positions. For each chunk and slot:
// scores, mask, the online softmax (Milakov and Gimelshein, 2018), and the products with the
// values, added to what the slot has. With bf16 contexts queries and probabilities are bf16 too.
//
//===----------------------------------------------------------------------===//

#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

namespace {

constexpr int64_t kChunk = 64;
// Stands for minus infinity and survives subtraction.
constexpr float kLowest = -1e30f;

class AttendEmitter {
public:
  AttendEmitter(PartEmitter &emit, tile::AttendOp op)
      : e(emit), op(op), context(op.getContext().getType()), size(context.getSize()),
        element(context.getElement()), bytes(element.getIntOrFloatBitWidth() / 8),
        queries(emit.places.lookup(op.getQueries())), group(queries.columns / size) {}

  void run();

private:
  void chunk(Value first);
  void slotOfChunk(Value first, Value slot);
  void softmax(Value first, Value slot, Value newest);
  Value statisticsAt(Value slot, Value head) {
    return e.at(statistics, e.mul(e.add(e.mul(slot, group), head), 8));
  }

  PartEmitter &e;
  tile::AttendOp op;
  tile::ContextType context;
  int64_t size;
  Type element;
  int64_t bytes;
  Place queries;
  int64_t group;

  Place output;
  Value keys, values;  // of the head
  Value statistics;    // m and l of each slot and head
  Value scores;        // f32 [group][64]
  Value probabilities; // [group][64] in the context's type
};

// Scores become probabilities; the slot's output and sum are scaled to the new maximum.
void AttendEmitter::softmax(Value first, Value slot, Value newest) {
  OpBuilder &builder = e.builder;
  VectorType f32x16 = e.vector(e.f32());
  SmallVector<int32_t> ramp;
  for (int32_t i = 0; i < 16; ++i)
    ramp.push_back(i);
  Value lanes = builder.create<arith::ConstantOp>(
      e.loc, DenseElementsAttr::get(e.vector(e.i32()), ArrayRef<int32_t>(ramp)));
  auto splatInt = [&](Value value) {
    return e.splat(builder.create<arith::TruncIOp>(e.loc, e.i32(), value));
  };
  Value last =
      splatInt(e.sub(newest, first)); // the newest visible position, from the chunk's start
  Value oldest;
  if (op.getWindow())
    oldest = splatInt(e.sub(e.add(newest, -int64_t(op.getWindow())), first));

  e.loop(e.constant(0), e.constant(group), 1, [&](Value head) {
    Value row = e.at(scores, e.mul(head, kChunk * 4));
    SmallVector<Value> score, visible;
    Value greatest;
    for (int64_t i = 0; i < kChunk; i += 16) {
      Value offset = builder.create<arith::ConstantOp>(
          e.loc,
          DenseElementsAttr::get(e.vector(e.i32()), Attribute(builder.getI32IntegerAttr(i))));
      Value index = builder.create<arith::AddIOp>(e.loc, lanes, offset);
      Value see = builder.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::sle, index, last);
      if (oldest)
        see = builder.create<arith::AndIOp>(
            e.loc, see,
            builder.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::sgt, index, oldest));
      Value s =
          e.fmul(e.load(f32x16, e.at(row, i * 4)), e.real(f32x16, op.getScale().convertToFloat()));
      s = e.select(see, s, e.real(f32x16, kLowest));
      score.push_back(s);
      visible.push_back(see);
      greatest = greatest ? e.fmax(greatest, s) : s;
    }
    Value at = statisticsAt(slot, head);
    Value before = e.load(e.f32(), at), sum = e.load(e.f32(), e.at(at, 4));
    Value now = e.fmax(before, e.greatest(greatest));
    Value scale = e.exp(e.fsub(before, now));
    Value total;
    for (int64_t i = 0; i < kChunk; i += 16) {
      Value p = e.exp(e.fsub(score[i / 16], e.splat(now)));
      p = e.select(visible[i / 16], p, e.real(f32x16, 0));
      total = total ? e.fadd(total, p) : p;
      e.storeLanes(p, element, e.at(probabilities, e.add(e.mul(head, kChunk * bytes), i * bytes)));
    }
    e.store(now, at);
    e.store(e.fma(sum, scale, e.sum(total)), e.at(at, 4));
    Value out = e.at(e.row(output, slot), e.mul(head, size * 4));
    Value scales = e.splat(scale);
    e.loop(e.constant(0), e.constant(size), 16, [&](Value column) {
      Value where = e.at(out, e.mul(column, 4));
      e.store(e.fmul(e.load(f32x16, where), scales), where);
    });
  });
}

void AttendEmitter::slotOfChunk(Value first, Value slot) {
  Value newest = e.add(e.position, e.add(e.slotBegin, slot));
  int64_t run = element.isBF16() ? 2 : 1;
  Products products;
  products.weightElement = products.vectorElement = element;
  products.low = e.constant(0);
  products.high = e.constant(group);

  // 16 positions at a time; what lies beyond the newest is masked.
  products.registers = 1;
  products.weightStride = 16 * run * bytes;
  products.steps = e.constant(size / run);
  products.vectors = e.row(queries, slot);
  products.vectorStride = size * bytes;
  products.resultStride = kChunk * 4;
  e.loop(e.constant(0), e.constant(kChunk), 16, [&](Value position) {
    products.weights = e.at(keys, e.mul(e.add(first, position), size * bytes));
    products.results = e.at(scores, e.mul(position, 4));
    emitProducts(e, products);
  });
  softmax(first, slot, newest);

  // Steps of positions up to the newest; lanes by the row of registers.
  Value seen = e.min(e.add(e.sub(newest, first), 1), e.constant(kChunk));
  products.steps = e.div(e.add(seen, run - 1), run);
  products.weightStride = size * run * bytes;
  products.vectors = probabilities;
  products.vectorStride = kChunk * bytes;
  products.resultStride = size * 4;
  products.accumulate = true;
  auto lanes = [&](Value lane, int64_t registers) {
    products.registers = registers;
    products.weights = e.at(values, e.add(e.mul(first, size * bytes), e.mul(lane, run * bytes)));
    products.results = e.at(e.row(output, slot), e.mul(lane, 4));
    emitProducts(e, products);
  };
  int64_t whole = size / 32 * 32;
  e.loop(e.constant(0), e.constant(whole), 32, [&](Value lane) { lanes(lane, 2); });
  if (whole < size)
    lanes(e.constant(whole), 1);
}

void AttendEmitter::chunk(Value first) {
  e.loop(e.low, e.high, 1, [&](Value slot) {
    // Some slots see nothing of the chunk.
    Value newest = e.add(e.position, e.add(e.slotBegin, slot));
    Value sees = e.less(first, e.add(newest, 1));
    if (op.getWindow()) {
      Value end = e.add(first, kChunk);
      Value oldest = e.add(newest, 1 - int64_t(op.getWindow()));
      sees = e.builder.create<arith::AndIOp>(e.loc, sees, e.less(oldest, end));
    }
    e.when(sees, [&] { slotOfChunk(first, slot); });
  });
}

void AttendEmitter::run() {
  auto type = cast<RankedTensorType>(op.getOutput().getType());
  output = e.place(op.getOutput());
  statistics = e.allocate(e.f32(), 2 * type.getDimSize(0) * group);
  scores = e.allocate(e.f32(), group * kChunk);
  probabilities = e.allocate(element, group * kChunk);

  Value head = e.evaluate(op.getHeadAttr());
  Value base = e.bindingOf(op.getContext());
  Value headBytes = e.mul(e.capacity, size * bytes);
  keys = e.at(base, e.mul(head, headBytes));
  values = e.at(base, e.mul(e.add(head, context.getHeads()), headBytes));

  Value zero = e.real(e.vector(e.f32()), 0);
  e.forLanes(output.columns,
             [&](Value slot, Value column) { e.setLanes(zero, output, slot, column); });
  e.loop(e.low, e.high, 1, [&](Value slot) {
    e.loop(e.constant(0), e.constant(group), 1, [&](Value h) {
      Value at = statisticsAt(slot, h);
      e.store(e.real(kLowest), at);
      e.store(e.real(0), e.at(at, 4));
    });
  });

  // Chunks that some slot of the tile sees, and of these the tile's part.
  Value oldest = e.constant(0);
  if (op.getWindow())
    oldest = e.max(oldest, e.add(e.add(e.position, e.slotBegin), 1 - int64_t(op.getWindow())));
  Value end = e.add(e.position, e.add(e.slotBegin, e.high));
  Value firstChunk = e.div(oldest, kChunk), endChunk = e.div(e.add(end, kChunk - 1), kChunk);
  int64_t splits = op.getSplits();
  if (splits > 1) {
    Value count = e.sub(endChunk, firstChunk), split = e.evaluate(op.getSplitAttr());
    Value from = e.div(e.mul(count, split), splits);
    Value to = e.div(e.mul(count, e.add(split, 1)), splits);
    endChunk = e.add(firstChunk, to);
    firstChunk = e.add(firstChunk, from);
  }
  e.loop(firstChunk, endChunk, 1, [&](Value number) { chunk(e.mul(number, kChunk)); });

  if (splits > 1) {
    Place place = e.place(op.getStatistics());
    e.loop(e.low, e.high, 1, [&](Value slot) {
      e.loop(e.constant(0), e.constant(place.columns), 16,
             [&](Value column) { e.setLanes(zero, place, slot, column); });
      e.loop(e.constant(0), e.constant(2 * group), 1, [&](Value i) {
        Value from = e.at(statisticsAt(slot, e.constant(0)), e.mul(i, 4));
        e.store(e.load(e.f32(), from), e.at(e.row(place, slot), e.mul(i, 4)));
      });
    });
    return;
  }
  e.loop(e.low, e.high, 1, [&](Value slot) {
    e.loop(e.constant(0), e.constant(group), 1, [&](Value h) {
      Value sum = e.load(e.f32(), e.at(statisticsAt(slot, h), 4));
      Value inverse = e.splat(e.fdiv(e.real(1), sum));
      Value first = e.mul(h, size);
      e.loop(e.constant(0), e.constant(size), 16, [&](Value column) {
        Value at = e.add(first, column);
        e.setLanes(e.fmul(e.lanes(output, slot, at), inverse), output, slot, at);
      });
    });
  });
}

} // namespace

void PartEmitter::lowerAttend(tile::AttendOp op) { AttendEmitter(*this, op).run(); }

void PartEmitter::lowerCombine(tile::CombineOp op) {
  Place partials = places.lookup(op.getPartials()), statistics = places.lookup(op.getStatistics());
  Place to = place(op.getResult());
  int64_t heads = op.getHeads(), group = op.getGroup(), splits = op.getSplits();
  int64_t size = to.columns / (heads * group), stride = tile::padToLanes(2 * group);
  loop(low, high, 1, [&](Value slot) {
    loop(constant(0), constant(heads * group), 1, [&](Value query) {
      Value head = div(query, group), inGroup = rem(query, group);
      auto statistic = [&](int64_t split, int64_t which) {
        Value column = add(mul(add(head, split * heads), stride), mul(inGroup, 2));
        return load(f32(), at(row(statistics, slot), mul(add(column, which), 4)));
      };
      Value greatest = statistic(0, 0);
      for (int64_t s = 1; s < splits; ++s)
        greatest = fmax(greatest, statistic(s, 0));
      SmallVector<Value> weights;
      Value sum = real(0);
      for (int64_t s = 0; s < splits; ++s) {
        weights.push_back(exp(fsub(statistic(s, 0), greatest)));
        sum = fma(weights.back(), statistic(s, 1), sum);
      }
      Value inverse = fdiv(real(1), sum);
      loop(constant(0), constant(size), 16, [&](Value lane) {
        Value column = add(mul(query, size), lane);
        Value total = real(vector(f32()), 0);
        for (int64_t s = 0; s < splits; ++s)
          total = fma(splat(weights[s]),
                      lanes(partials, slot, add(column, s * heads * group * size)), total);
        setLanes(fmul(total, splat(inverse)), to, slot, column);
      });
    });
  });
}

} // namespace pianola::host
