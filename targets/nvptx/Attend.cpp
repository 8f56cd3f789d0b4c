//===- Attend.cpp - Attention over a part of the context ------------------===//
//
// Positions are taken in groups of 32, a lane for each; group i is warp i % warps's. A lane makes
// the scores of its position with every query head, so that keys need no sum over lanes; then the
// lanes become the values' columns, and the positions' weights are passed around. Each warp has a
// running softmax of its own (Milakov and Gimelshein, 2018); at the end the warps' are joined in
// order.
//
//===----------------------------------------------------------------------===//

#include "targets/nvptx/Stage.h"
#include <limits>

using namespace mlir;

namespace pianola::nvptx {

// Loads that a lane has under way at a time, of keys and of values.
constexpr int64_t kKeysAhead = 8, kValuesAhead = 4;

class AttendEmitter {
public:
  AttendEmitter(StageEmitter &owner, tile::AttendOp op)
      : s(owner), e(owner.e), op(op), context(op.getPast().getType()), size(context.getSize()),
        group(cast<RankedTensorType>(op.getQueries().getType()).getDimSize(1) / size),
        columnsOfLane((size + kWarp - 1) / kWarp) {
    // Query heads at a time: their sums stay in registers.
    for (heads = std::min<int64_t>(group, std::max<int64_t>(1, 16 / columnsOfLane));
         group % heads != 0;)
      --heads;
  }

  void lower();

private:
  // One warp's running softmax of one query head.
  struct Running {
    Variable greatest, sum; // sum: of this lane's positions
    SmallVector<Variable> columns;
  };

  void findPart();
  void attendSlot(Value slot, Value firstHead);
  void attendGroup(Value slot, Value firstHead, Value first, Value low, Value high);
  void attendKeys(Value slot, Value firstHead, Value first, Value low, Value high,
                  llvm::function_ref<Value(Value position, Value column)> keyAt,
                  llvm::function_ref<Value(Value position, Value column)> valueAt);
  void join(Value slot, Value firstHead);
  void forColumns(llvm::function_ref<void(int64_t which, Value column)> body);

  StageEmitter &s;
  Kernel &e;
  tile::AttendOp op;
  tile::ContextType context;
  int64_t size, group, columnsOfLane, heads;
  Place queries, keys, values, output, statistics, warps;
  Value keyBase, valueBase; // of the context's head
  Value base;               // position of the play's slot 0, i32
  Value begin, end;         // positions of the part
  SmallVector<Running> running;
};

// Which positions the part has: see tile.attend.
void AttendEmitter::findPart() {
  Value slotBegin = s.slotBeginOf(op.getQueries()), high = s.highOf(op.getQueries());
  Value first = e.add(base, slotBegin), last = e.add(first, high); // one past
  Value firstGroup = e.constant(0);
  if (int64_t window = op.getWindow())
    firstGroup = e.div(e.max(e.sub(first, window - 1), e.constant(0)), 64);
  Value endGroup = e.div(e.add(last, 63), 64);
  begin = e.mul(firstGroup, 64);
  end = last;
  int64_t splits = op.getSplits();
  if (splits == 1)
    return;
  Value groups = e.sub(endGroup, firstGroup);
  Value each = e.div(e.add(groups, splits - 1), splits);
  each = e.max(each, e.constant(static_cast<int64_t>(op.getLeast().value_or(64)) / 64));
  Value part = s.evaluate(op.getSplitAttr());
  begin = e.mul(e.add(firstGroup, e.mul(part, each)), 64);
  end = e.min(e.add(begin, e.mul(each, 64)), last);
}

void AttendEmitter::forColumns(llvm::function_ref<void(int64_t, Value)> body) {
  for (int64_t which = 0; which < columnsOfLane; ++which) {
    Value column = e.add(e.lane, which * kWarp);
    if ((which + 1) * kWarp <= size)
      body(which, column);
    else
      e.when(e.less(column, size), [&] { body(which, column); });
  }
}

// Positions first .. first + 31, of which low .. high-1 count, all of one kind of memory.
void AttendEmitter::attendKeys(Value slot, Value firstHead, Value first, Value low, Value high,
                               llvm::function_ref<Value(Value, Value)> keyAt,
                               llvm::function_ref<Value(Value, Value)> valueAt) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  Value position = e.add(first, e.lane);
  Value counts = e.both(e.negate(e.less(position, low)), e.less(position, high));
  SmallVector<Variable> scores;
  for (int64_t h = 0; h < heads; ++h)
    scores.emplace_back(e, e.real(kNone));
  auto queryAt = [&](int64_t h, Value column) {
    Value head = e.mul(e.add(firstHead, h), size);
    return s.elementAt(queries, slot, e.add(head, column));
  };
  e.when(counts, [&] {
    SmallVector<Value> sums(heads, e.real(0));
    sums = e.loop(e.constant(0), e.constant(size), e.constant(kKeysAhead), sums,
                  [&](Value column, ValueRange carried) {
                    SmallVector<Value> next(carried), key;
                    for (int64_t i = 0; i < kKeysAhead; ++i)
                      key.push_back(e.load(e.f32(), keyAt(position, e.add(column, i))));
                    for (int64_t i = 0; i < kKeysAhead; i += 4)
                      for (int64_t h = 0; h < heads; ++h) {
                        Value query = e.load(e.vector(e.f32(), 4), queryAt(h, e.add(column, i)));
                        for (int64_t j = 0; j < 4; ++j)
                          next[h] = e.fma(e.element(query, j), key[i + j], next[h]);
                      }
                    return next;
                  });
    for (int64_t h = 0; h < heads; ++h)
      scores[h].set(e, e.fmul(sums[h], e.real(op.getScale().convertToDouble())));
  });
  SmallVector<Value> weights;
  for (int64_t h = 0; h < heads; ++h) {
    Running &r = running[h];
    Value score = scores[h].get(e), before = r.greatest.get(e);
    Value greatest = e.fmax(before, e.greatestLane(score));
    // The group has a position that counts, so `greatest` is a number.
    Value shrink = e.exp(e.fsub(before, greatest)), weight = e.exp(e.fsub(score, greatest));
    r.greatest.set(e, greatest);
    r.sum.set(e, e.fma(r.sum.get(e), shrink, weight));
    for (Variable &column : r.columns)
      column.set(e, e.fmul(column.get(e), shrink));
    weights.push_back(weight);
  }
  // Positions that do not count weigh nothing; in their place one is read that does.
  Value start = e.both(e.max(e.sub(low, first), e.constant(0)), e.constant(-kValuesAhead));
  Value last = e.sub(high, 1);
  e.loop(start, e.min(e.sub(high, first), e.constant(kWarp)), kValuesAhead, [&](Value other) {
    SmallVector<Value> at;
    SmallVector<SmallVector<Value>> shares(kValuesAhead);
    for (int64_t i = 0; i < kValuesAhead; ++i) {
      at.push_back(e.min(e.max(e.add(e.add(first, other), i), low), last));
      for (Value weight : weights)
        shares[i].push_back(e.shuffleFrom(weight, e.add(other, i)));
    }
    forColumns([&](int64_t which, Value column) {
      SmallVector<Value> value;
      for (int64_t i = 0; i < kValuesAhead; ++i)
        value.push_back(e.load(e.f32(), valueAt(at[i], column)));
      for (int64_t h = 0; h < heads; ++h) {
        Variable &variable = running[h].columns[which];
        Value sum = variable.get(e);
        for (int64_t i = 0; i < kValuesAhead; ++i)
          sum = e.fma(shares[i][h], value[i], sum);
        variable.set(e, sum);
      }
    });
  });
}

void AttendEmitter::attendGroup(Value slot, Value firstHead, Value first, Value low, Value high) {
  auto inContext = [&](Value index) { return e.mul(index, 4); };
  auto keyAt = [&](Value position, Value column) {
    Value run = e.add(e.mul(e.div(position, 16), size), column);
    return e.at(keyBase, inContext(e.add(e.mul(run, 16), e.rem(position, 16))));
  };
  auto valueAt = [&](Value position, Value column) {
    return e.at(valueBase, inContext(e.add(e.mul(position, size), column)));
  };
  if (!op.getKeys()) {
    attendKeys(slot, firstHead, first, low, high, keyAt, valueAt);
    return;
  }
  auto freshAt = [&](const Place &place) {
    return [&, place](Value position, Value column) {
      return s.elementAt(place, e.sub(position, base), column);
    };
  };
  Value past = e.min(high, base), fresh = e.max(low, base);
  e.when(e.less(low, past), [&] { attendKeys(slot, firstHead, first, low, past, keyAt, valueAt); });
  e.when(e.less(fresh, high),
         [&] { attendKeys(slot, firstHead, first, fresh, high, freshAt(keys), freshAt(values)); });
}

void AttendEmitter::attendSlot(Value slot, Value firstHead) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  for (Running &r : running) {
    r.greatest.set(e, e.real(kNone));
    r.sum.set(e, e.real(0));
    for (Variable &column : r.columns)
      column.set(e, e.real(0));
  }
  // This slot's positions of the part.
  Value position = e.add(e.add(base, s.slotBeginOf(op.getQueries())), slot);
  Value low = begin, high = e.min(end, e.add(position, 1));
  if (int64_t window = op.getWindow())
    low = e.max(low, e.sub(position, window - 1));
  Value start = e.add(begin, e.mul(e.warp, kWarp));
  e.loop(start, high, e.shape.warps * kWarp, [&](Value first) {
    Value from = e.max(low, first), to = e.min(high, e.add(first, kWarp));
    e.when(e.less(from, to), [&] { attendGroup(slot, firstHead, first, from, to); });
  });
  for (int64_t h = 0; h < heads; ++h) {
    Running &r = running[h];
    Value row = e.add(e.mul(e.warp, heads), h), sum = e.sumLanes(r.sum.get(e));
    e.when(e.equal(e.lane, 0), [&] {
      e.store(r.greatest.get(e), s.elementAt(warps, row, e.constant(size)));
      e.store(sum, s.elementAt(warps, row, e.constant(size + 1)));
    });
    forColumns([&](int64_t which, Value column) {
      e.store(r.columns[which].get(e), s.elementAt(warps, row, column));
    });
  }
  e.meet();
  join(slot, firstHead);
  e.meet();
}

// The warps' results as one, in the order of the warps.
void AttendEmitter::join(Value slot, Value firstHead) {
  s.forThreads(e.constant(heads * size), [&](Value index) {
    Value head = e.div(index, size), column = e.rem(index, size);
    auto of = [&](int64_t warp, Value at) {
      return e.load(e.f32(), s.elementAt(warps, e.add(head, warp * heads), at));
    };
    SmallVector<Value> greatest;
    for (int64_t warp = 0; warp < e.shape.warps; ++warp)
      greatest.push_back(of(warp, e.constant(size)));
    Value most = greatest.front();
    for (Value other : ArrayRef(greatest).drop_front())
      most = e.fmax(most, other);
    Value isEmpty = e.fequal(most, e.real(-std::numeric_limits<float>::infinity()));
    Value safe = e.select(isEmpty, e.real(0), most);
    Value total = e.real(0), result = e.real(0);
    for (int64_t warp = 0; warp < e.shape.warps; ++warp) {
      Value share = e.exp(e.fsub(greatest[warp], safe));
      total = e.fma(share, of(warp, e.constant(size + 1)), total);
      result = e.fma(share, of(warp, column), result);
    }
    Value at = e.add(e.mul(e.add(firstHead, head), size), column);
    if (op.getSplits() == 1)
      result = e.fdiv(result, total);
    e.store(result, s.elementAt(output, slot, at));
    if (op.getSplits() > 1)
      e.when(e.equal(column, 0), [&] {
        Value first = e.mul(e.add(firstHead, head), 2);
        e.store(most, s.elementAt(statistics, slot, first));
        e.store(total, s.elementAt(statistics, slot, e.add(first, 1)));
      });
  });
}

void AttendEmitter::lower() {
  queries = s.places.lookup(op.getQueries());
  if (op.getKeys()) {
    keys = s.places.lookup(op.getKeys());
    values = s.places.lookup(op.getValues());
  }
  if (auto begin = s.slotBegins.find(op.getQueries()); begin != s.slotBegins.end()) {
    s.slotBegins[op.getOutput()] = begin->second;
    if (op.getStatistics())
      s.slotBegins[op.getStatistics()] = begin->second;
  }
  output = s.placeFor(op.getOutput());
  if (op.getStatistics())
    statistics = s.placeFor(op.getStatistics());
  int64_t kept = s.scratchUsed;
  warps = s.allocateRows(e.shape.warps * heads, size + 4);
  base = e.narrow(e.position());
  Value head = e.widen(s.evaluate(op.getHeadAttr()));
  Value address = s.bindingOf(op.getPast());
  keyBase = e.at(address, e.mul(e.mul(head, e.capacity), size * 4));
  valueBase = e.at(address, e.mul(e.mul(e.add(head, context.getHeads()), e.capacity), size * 4));
  findPart();
  for (int64_t h = 0; h < heads; ++h) {
    running.push_back({Variable(e, e.f32()), Variable(e, e.f32()), {}});
    for (int64_t which = 0; which < columnsOfLane; ++which)
      running.back().columns.emplace_back(e, e.f32());
  }
  Value high = s.highOf(op.getQueries());
  if (op.getStatistics()) { // its padding
    s.forQuads(high, statistics.columns, [&](Value slot, Value column) {
      s.storeQuad(SmallVector<Value>(4, e.real(0)), statistics, slot, column);
    });
    e.meet();
  }
  e.loop(e.constant(0), high, 1, [&](Value slot) {
    if (heads == group)
      attendSlot(slot, e.constant(0));
    else
      e.loop(e.constant(0), e.constant(group), heads,
             [&](Value firstHead) { attendSlot(slot, firstHead); });
  });
  s.scratchUsed = kept;
}

void StageEmitter::lowerAttend(tile::AttendOp op) { AttendEmitter(*this, op).lower(); }

} // namespace pianola::nvptx
