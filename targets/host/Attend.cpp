//===- Attend.cpp - Attention over the context ----------------------------===//
//
// A chunk is 64 positions. Keys are packed as weight rows are, so scores are inner products of keys
// with queries; values are packed with positions as the contracted dimension, so the output is
// inner products of values with probabilities. A row is one query head of one slot.
//
// A run is slots of one sequence at consecutive positions. All its rows pass through a chunk
// together: keys and values are read once. A chunk of a prompt is one run, tokens of several
// sequences are a run each; which runs the tile has is found out when it is played. What a slot
// gets has nothing to do with other runs.
//
// Then the mask and the online softmax (Milakov and Gimelshein, 2018): each row has the greatest
// score so far and its sum of exponentials, and its output is scaled when the greatest grows.
//
// While a chunk is worked on, memory is asked for the next one's keys and values.
//
// Queries and probabilities that are f32 stay so: of products of bf16, of which each would take two
// (see Form), CPUs begin one a cycle, and of those of f32 two.
//
// Codes become numbers where they are multiplied, if that is by few rows; a read of memory then has
// all of the products to hide behind. For many rows, or where registers hold the sums of few, a
// chunk's codes become numbers first, once for all rows, and lie in scratch memory as a context of
// f32 does. Either way scales are kept out of it: scores are multiplied by those of the keys, and
// probabilities by those of the values.
//
//===----------------------------------------------------------------------===//

#include "targets/host/ContextCodes.h"
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
        isWidened(context.hasScales() && !(emit.oneSlot && emit.cpu.hasAvx512())),
        element(isWidened ? emit.f32() : context.getElement()),
        bytes(element.getIntOrFloatBitWidth() / 8), queries(emit.places.lookup(op.getQueries())),
        group(queries.columns / size),
        form(queries.element.isF32() ? Form::F32 : formFor(emit.cpu, element, queries.element)),
        // Probabilities are at least as exact as queries; only products of bf16 need them rounded.
        weightForm(form == Form::Bf16 && !emit.cpu.hasBf16Products() ? Form::F32 : form) {}

  void run();

private:
  void start(int64_t rows);
  std::pair<Value, Value> before(Value head);
  void forRuns(llvm::function_ref<void(Value begin, Value end)> body);
  void attendRun(Value begin, Value end);
  std::pair<Value, Value> chunks();
  Value placeIn(Value half, Value first);
  Value chunkOf(Value half, Value first, tile::ContextPart part);
  void scoreKeys(Value first);
  void softmax(Value first);
  void softmaxRows(Value first, ArrayRef<Value> rows, ArrayRef<Value> visible);
  void addValues(Value first);
  void addSteps(Value values, Value probabilities, Value steps);
  void finish();
  void forRows(llvm::function_ref<void(Value slot, Value head, Value row)> body);

  SmallVector<Value> visibleLanes(Value first, Value slot);
  Value bitsOf(Value slot, Value first);
  Value isChosen(Value first);
  // Of positions that attention keeps apart: see tile.attend.
  Value startOfChunk(Value position) {
    return e.sub(position, e.rem(position, int64_t(*op.getChunk())));
  }
  Value positionOf(Value slot) { return e.add(origin, slot); } // of the run, or its end
  Value entry(Value table, Value row) { return e.at(table, e.mul(row, 4)); }
  // Of keys or values as products find them, from one position to the next on average.
  int64_t positionBytes() { return isWidened ? size * 4 : context.getPositionBytes(); }
  int64_t ahead() { return isWidened ? 0 : kChunk * positionBytes(); }
  Value outputRow(Value row) { return e.at(output.base, e.mul(row, size * 4)); }

  PartEmitter &e;
  tile::AttendOp op;
  tile::ContextType context;
  int64_t size;
  bool isWidened; // before it is multiplied
  Type element;   // that products take, and its bytes
  int64_t bytes;
  Place queries;
  int64_t group;
  Form form, weightForm;

  Place output;         // dense: row r of [slots * group][size]
  Value packed;         // queries in their form, row by row
  Value scores;         // [rows][64]
  Value greatest, sums; // of each row
  Value tail;           // the values of one last odd position
  Value widened;        // the numbers of a chunk's codes

  // Of the run.
  Value low, high;    // its slots
  Value origin;       // position of its slot s, less s
  Value keys, values; // of the head
  Value firstRow, rows;
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
  if (isWidened)
    widened = e.allocate(element, kChunk * size);

  Value zero = e.real(e.vector(e.f32()), 0);
  forRows([&](Value slot, Value head, Value row) {
    e.loop(e.constant(0), e.constant(size), 16, [&](Value lane) {
      Value query = e.lanes(queries, slot, e.add(e.mul(head, size), lane));
      storeForm(e, query, form, e.at(packed, e.mul(row, rowBytes(form, size))), lane);
      e.store(zero, e.at(outputRow(row), e.mul(lane, 4)));
    });
    auto [most, sum] = before(head);
    e.store(most, entry(greatest, row));
    e.store(sum, entry(sums, row));
  });
}

// The greatest score of a head before any key's, and the sum: a sink is a score of the first part.
std::pair<Value, Value> AttendEmitter::before(Value head) {
  Value sinks = op.getSinks();
  if (!sinks)
    return {e.real(kLowest), e.real(0)};
  Value index = e.add(e.mul(e.evaluate(op.getHeadAttr()), group), head);
  Value sink = e.load(e.f32(), e.at(e.weightAt(sinks), e.mul(index, 4)));
  Value isFirst = e.equal(e.evaluate(op.getSplitAttr()), e.constant(0));
  return {e.select(isFirst, sink, e.real(kLowest)), e.select(isFirst, e.real(1), e.real(0))};
}

// Calls `body` for each run of the tile.
void AttendEmitter::forRuns(llvm::function_ref<void(Value, Value)> body) {
  if (e.oneSlot)
    return body(e.low, e.high);
  Value last = e.sub(e.high, e.constant(1));
  e.loop(e.low, e.high, 1, {e.low}, [&](Value slot, ValueRange carried) {
    Value end = e.add(slot, 1);
    // The tile's last slot is not followed by itself.
    Value next = e.min(end, last);
    Value follows = e.builder.create<arith::AndIOp>(
        e.loc, e.equal(e.positionOf(next), e.add(e.positionOf(slot), 1)),
        e.equal(e.sequenceOf(next), e.sequenceOf(slot)));
    Value ends = e.equal(follows, e.less(e.constant(1), e.constant(0)));
    e.when(ends, [&] { body(carried[0], end); });
    return SmallVector<Value>{e.select(ends, end, carried[0])};
  });
}

// The chunks that some slot of the run sees, and of these the tile's part: as many as the others'
// parts, and one more in the first ones if they do not come out even.
std::pair<Value, Value> AttendEmitter::chunks() {
  Value begin = e.constant(0);
  if (int64_t window = op.getWindow())
    begin = e.div(e.max(e.add(positionOf(low), 1 - window), begin), kChunk);
  else if (op.getChunk())
    begin = e.div(startOfChunk(positionOf(low)), kChunk);
  Value end = e.div(e.add(positionOf(high), kChunk - 1), kChunk);
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

Value AttendEmitter::placeIn(Value half, Value first) {
  return e.at(half, e.mul(e.placeOf(context, first), context.getPositionBytes()));
}

// Keys or values of the chunk, as products take them.
Value AttendEmitter::chunkOf(Value half, Value first, tile::ContextPart part) {
  Value from = placeIn(half, first);
  if (!context.hasScales())
    return from;
  if (!isWidened) {
    for (int64_t group = 0; group < kChunk; group += 16)
      e.prefetch(e.at(from, ahead() + group * positionBytes())); // scales: products pass them by
    return e.at(from, kScaleBytes);
  }
  widenCodes(e, context, part, from, kChunk, widened);
  return widened;
}

void AttendEmitter::scoreKeys(Value first) {
  int64_t perStep = element.isBF16() ? 2 : 1;
  ProductKind kind{element, form, kChunk / 16, 16 * perStep * bytes, 16 * positionBytes(), ahead()};
  callProducts(e.kernels, e, kind,
               {chunkOf(keys, first, tile::ContextPart::Key),
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
  else if (op.getChunk())
    before = splat(e.add(e.sub(startOfChunk(positionOf(slot)), first), -1));
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
    // Of positions that a slot does not see the bits may be anything.
    if (op.getSelection()) {
      Value bits = e.load(e.builder.getI16Type(), e.at(bitsOf(slot, first), i / 8), 2);
      Value chosen =
          e.builder.create<LLVM::BitcastOp>(e.loc, e.vector(e.builder.getI1Type()), bits);
      sees = e.builder.create<arith::AndIOp>(e.loc, sees, chosen);
    }
    visible.push_back(sees);
  }
  return visible;
}

// Scores of some rows of one slot become probabilities. What is masked may be anything before, and
// is zero after. The rows are written side by side because each by itself is one long chain of
// instructions that wait for each other.
void AttendEmitter::softmaxRows(Value first, ArrayRef<Value> rows, ArrayRef<Value> visible) {
  VectorType f32x16 = e.vector(e.f32());
  auto scaled = [&](Value lanes, Value half, int64_t group) {
    if (!context.hasScales())
      return lanes;
    Value scales = placeIn(half, first);
    return e.fmul(lanes, e.load(f32x16, e.at(scales, group * 16 * context.getPositionBytes())));
  };
  struct Row {
    Value place, before, now, total;
    SmallVector<Value, 4> score;
  };
  SmallVector<Row> all(rows.size());
  for (auto [each, row] : llvm::zip(all, rows)) {
    each.place = e.at(scores, e.mul(row, kRowBytes));
    Value most;
    for (auto [i, sees] : llvm::enumerate(visible)) {
      Value s = e.fmul(e.load(f32x16, e.at(each.place, i * 64)),
                       e.real(f32x16, op.getScale().convertToFloat()));
      s = scaled(s, keys, i);
      if (op.getCap())
        s = e.softcap(s, op.getCap()->convertToFloat());
      each.score.push_back(e.select(sees, s, e.real(f32x16, kLowest)));
      most = most ? e.fmax(most, each.score.back()) : each.score.back();
    }
    each.before = e.load(e.f32(), entry(greatest, row));
    each.now = e.fmax(each.before, e.greatest(most));
  }
  for (auto [i, sees] : llvm::enumerate(visible))
    for (Row &each : all) {
      Value p = e.exp(e.fsub(each.score[i], e.splat(each.now)));
      p = e.select(sees, p, e.real(f32x16, 0));
      each.total = each.total ? e.fadd(each.total, p) : p;
      // Scales beyond the newest position may be anything too.
      Value weight = e.select(sees, scaled(p, values, i), e.real(f32x16, 0));
      storeForm(e, weight, weightForm, each.place, e.constant(i * 16));
    }
  SmallVector<Value> scales;
  for (auto [each, row] : llvm::zip(all, rows)) {
    scales.push_back(e.exp(e.fsub(each.before, each.now)));
    e.store(each.now, entry(greatest, row));
    Value sum = e.load(e.f32(), entry(sums, row));
    e.store(e.fma(sum, scales.back(), e.sum(each.total)), entry(sums, row));
  }
  for (auto [each, row, scale] : llvm::zip(all, rows, scales)) {
    Value grew =
        e.builder.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::ONE, each.before, each.now);
    e.when(grew, [&, row = row, scale = scale] {
      Value out = outputRow(row), factors = e.splat(scale);
      e.loop(e.constant(0), e.constant(size), 16, [&](Value lane) {
        Value at = e.at(out, e.mul(lane, 4));
        e.store(e.fmul(e.load(f32x16, at), factors), at);
      });
    });
  }
}

void AttendEmitter::softmax(Value first) {
  int64_t together = e.cpu.hasAvx512() ? 4 : 2, whole = group / together * together;
  e.loop(low, high, 1, [&](Value slot) {
    SmallVector<Value> visible = visibleLanes(first, slot);
    auto some = [&](Value head, int64_t count) {
      SmallVector<Value> rows;
      for (int64_t i = 0; i < count; ++i)
        rows.push_back(e.add(e.mul(slot, group), e.add(head, i)));
      softmaxRows(first, rows, visible);
    };
    e.loop(e.constant(0), e.constant(whole), together, [&](Value head) { some(head, together); });
    if (whole < group)
      some(e.constant(whole), group - whole);
  });
}

// Adds `steps` steps of values, lanes by the row of registers.
void AttendEmitter::addSteps(Value from, Value probabilities, Value steps) {
  int64_t perStep = element.isBF16() ? 2 : 1;
  for (int64_t lane = 0, registers; lane < size; lane += 16 * registers) {
    registers = size - lane >= 64 ? 4 : size - lane >= 32 ? 2 : 1;
    ProductKind kind{element, weightForm, registers, size * perStep * bytes, 16 * perStep * bytes,
                     ahead()};
    callProducts(e.kernels, e, kind,
                 {e.at(from, lane * perStep * bytes), probabilities, e.constant(kRowBytes),
                  e.at(outputRow(firstRow), lane * 4), e.constant(size * 4), steps, rows,
                  e.less(e.constant(1), e.constant(0))});
  }
}

// Memory beyond the newest position may hold anything, NaN included, which times zero is not zero:
// so products end with it, and the other half of a pair that it is the first of is blanked.
void AttendEmitter::addValues(Value first) {
  Value seen = e.min(e.sub(positionOf(high), first), e.constant(kChunk));
  Value from = chunkOf(values, first, tile::ContextPart::Value);
  Value probabilities = e.at(scores, e.mul(firstRow, kRowBytes));
  if (context.hasScales() && !isWidened) {
    // Between groups are scales. Codes are numbers all, so it does no harm to end with a group.
    e.loop(e.constant(0), seen, 16, [&](Value group) {
      addSteps(e.at(from, e.mul(group, positionBytes())), e.at(probabilities, e.mul(group, 4)),
               e.constant(16));
    });
    return;
  }
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

void AttendEmitter::attendRun(Value begin, Value end) {
  low = begin;
  high = end;
  origin = e.sub(e.positionOf(low), low);
  firstRow = e.mul(low, group);
  rows = e.mul(e.sub(high, low), group);
  Value sequence = e.sequenceOf(low), head = e.evaluate(op.getHeadAttr());
  keys = e.halfOf(op.getPast(), sequence, head, tile::ContextPart::Key);
  values = e.halfOf(op.getPast(), sequence, head, tile::ContextPart::Value);
  auto [from, to] = chunks();
  e.loop(from, to, 1, [&](Value number) {
    Value first = e.mul(number, kChunk);
    auto attend = [&] {
      scoreKeys(first);
      softmax(first);
      addValues(first);
    };
    if (op.getSelection())
      e.when(isChosen(first), attend);
    else
      attend();
  });
}

// The bits of the chunk's positions.
Value AttendEmitter::bitsOf(Value slot, Value first) {
  auto selection = cast<TypedValue<tile::BufferType>>(op.getSelection());
  Place rows =
      e.slice(selection, selection.getType().getColumns(), op.getSlotsAttr(), AffineMapAttr());
  return e.at(e.row(rows, slot), e.div(first, 8));
}

// Whether any slot of the run has chosen a position of the chunk.
Value AttendEmitter::isChosen(Value first) {
  Value any = e.loop(low, high, 1, {e.constant(0)},
                     [&](Value slot, ValueRange before) -> SmallVector<Value> {
                       Value bits = e.load(e.i64(), bitsOf(slot, first), 8);
                       return {e.builder.create<arith::OrIOp>(e.loc, before[0], bits)};
                     })[0];
  return e.builder.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::ne, any, e.constant(0));
}

void AttendEmitter::run() {
  start(cast<RankedTensorType>(op.getOutput().getType()).getDimSize(0) * group);
  forRuns([&](Value begin, Value end) { attendRun(begin, end); });
  finish();
}

} // namespace

void PartEmitter::lowerAttend(tile::AttendOp op) { AttendEmitter(*this, op).run(); }

} // namespace pianola::host
