//===- Score.cpp - How well positions match what slots look for -----------===//
//
// A lane has a position: keys of 16 positions stand side by side (see !tile.context), so that what
// a warp reads of a column is whole lines. Queries lie in shared memory, where all lanes read the
// same numbers; a warp takes 32 positions at a time, and of the heads as many as there are
// registers for sums.
//
// Positions of this play are taken from `fresh` rows, rounded as the context's, and no lane reads
// what the context is given meanwhile.
//
//===----------------------------------------------------------------------===//

#include "targets/nvptx/Stage.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace pianola::nvptx {

namespace {
constexpr int64_t kMostSums = 16; // of a lane
constexpr int64_t kColumns = 4;   // that a lane reads at a time
} // namespace

class ScoreEmitter {
public:
  ScoreEmitter(StageEmitter &owner, tile::ScoreOp op)
      : s(owner), e(owner.e), op(op), layout(op.getPast().getType()), heads(op.getHeads()) {
    rounds = llvm::divideCeil(heads, kMostSums);
    ofRound = llvm::divideCeil(heads, rounds);
  }

  void lower();

private:
  // Four columns of a lane's key, as numbers without their scale.
  using LoadKey = llvm::function_ref<SmallVector<Value, 4>(Value column)>;

  SmallVector<Value, 4> pastKey(Value position, Value column);
  SmallVector<Value, 4> freshKey(Value slot, Value column);
  void encodeFresh();
  void scoreUnit(Value first);
  void scorePositions(Value position, Value counts, Value scale, LoadKey loadKey);
  Value weighHeads(Value slot, Value scale, LoadKey loadKey);

  StageEmitter &s;
  Kernel &e;
  tile::ScoreOp op;
  ContextLayout layout;
  int64_t heads, rounds, ofRound;
  Place queries, weights, keys;
  Place codes;              // of fresh keys, a byte each
  Value scales;             // of these
  Value keyBase;            // of the context
  Value base, first, slots; // position of the play's slot 0, of the tile's; the tile's slots
  Value past, end;          // positions that the context has; that any slot sees
  Value scores;             // of the tile's first slot
  Value part;
};

SmallVector<Value, 4> ScoreEmitter::pastKey(Value position, Value column) {
  SmallVector<Value, 4> numbers;
  Value line =
      e.at(layout.keyAt(e, keyBase, position), e.mul(e.div(column, layout.pair), layout.lineBytes));
  for (int64_t i = 0; i < kColumns; i += layout.pair) {
    Value at = e.at(line, i / layout.pair * layout.lineBytes), word;
    if (layout.hasCodes)
      word = loadNarrow(e, e.builder.getI8Type(), at);
    else
      word = e.load(layout.wordType(e), at);
    for (int64_t j = 0; j < layout.pair; ++j)
      numbers.push_back(layout.number(e, word, j));
  }
  return numbers;
}

SmallVector<Value, 4> ScoreEmitter::freshKey(Value slot, Value column) {
  SmallVector<Value, 4> numbers;
  if (layout.hasCodes) {
    Value word = e.load(e.i32(), e.at(s.row(codes, slot), column));
    for (int64_t i = 0; i < kColumns; ++i)
      numbers.push_back(layout.number(e, word, i));
    return numbers;
  }
  numbers = s.loadQuad(keys, slot, column);
  if (layout.pair == 2)
    for (int64_t i = 0; i < kColumns; i += 2) {
      Value word = e.packBf16(numbers[i], numbers[i + 1]);
      numbers[i] = e.lowBf16(word);
      numbers[i + 1] = e.highBf16(word);
    }
  return numbers;
}

// Of the play's positions, codes as the context gets them.
void ScoreEmitter::encodeFresh() {
  int64_t rows = cast<RankedTensorType>(op.getKeys().getType()).getDimSize(0);
  codes = {Place::F32, s.allocate(rows * layout.size), {}, layout.size, layout.size / 4};
  scales = s.allocate(rows * 4);
  s.encodeRows(
      keys, e.slots, layout,
      [&](Value slot, Value scale) { e.store(scale, e.at(scales, e.mul(slot, 4))); },
      [&](Value slot, Value column, ArrayRef<Value> four) {
        e.store(packBytes(e, four), e.at(s.row(codes, slot), column));
      });
  e.meet();
}

// The weighted sum of the heads' products, as far as these are positive.
Value ScoreEmitter::weighHeads(Value slot, Value scale, LoadKey loadKey) {
  Value zero = e.real(0);
  auto ofRounds = [&](Value head, Value total) {
    SmallVector<Value> rows, which;
    for (int64_t h = 0; h < ofRound; ++h) {
      which.push_back(e.min(e.add(head, h), e.constant(heads - 1)));
      rows.push_back(s.elementAt(queries, slot, e.mul(which.back(), layout.size)));
    }
    SmallVector<Value> sums =
        e.loop(e.constant(0), e.constant(layout.size), e.constant(kColumns),
               SmallVector<Value>(ofRound, zero), [&](Value column, ValueRange before) {
                 SmallVector<Value, 4> key = loadKey(column);
                 SmallVector<Value> after;
                 for (auto [row, sum] : llvm::zip(rows, before)) {
                   Value query = e.load(e.vector(e.f32(), 4), e.at(row, e.mul(column, 4)));
                   Value next = sum;
                   for (int64_t i = 0; i < kColumns; ++i)
                     next = e.fma(e.element(query, i), key[i], next);
                   after.push_back(next);
                 }
                 return after;
               });
    for (auto [h, sum] : llvm::enumerate(sums)) {
      if (scale)
        sum = e.fmul(sum, scale);
      Value weight = e.load(e.f32(), s.elementAt(weights, slot, which[h]));
      // Heads of the last round may come twice.
      if (rounds * ofRound != heads)
        weight = e.select(e.less(e.add(head, h), heads), weight, zero);
      total = e.fma(weight, e.fmax(sum, zero), total);
    }
    return total;
  };
  if (rounds == 1)
    return ofRounds(e.constant(0), zero);
  return e.loop(e.constant(0), e.constant(heads), e.constant(ofRound), {zero},
                [&](Value head, ValueRange before) -> SmallVector<Value> {
                  return {ofRounds(head, before[0])};
                })[0];
}

// Of a position for each lane, if it counts; `scale` is null where keys have none.
void ScoreEmitter::scorePositions(Value position, Value counts, Value scale, LoadKey loadKey) {
  constexpr int64_t kGroup = tile::ScoreOp::kGroup;
  Value number = e.div(e.div(position, kGroup), op.getParts());
  Value column = e.add(e.mul(part, op.getColumnsOfPart()),
                       e.add(e.mul(number, kGroup), e.rem(position, kGroup)));
  int64_t stride = op.getScores().getType().getColumns();
  e.loop(e.constant(0), slots, 1, [&](Value slot) {
    Value total = weighHeads(slot, scale, loadKey);
    Value sees = e.both(counts, e.less(position, e.add(e.add(first, slot), 1)));
    e.when(sees, [&] {
      Value at = e.add(e.mul(e.widen(slot), stride), e.widen(column));
      e.store(e.fmul(total, e.real(op.getScale().convertToDouble())), e.at(scores, e.mul(at, 4)));
    });
  });
}

// A warp's 32 positions from `begin` on.
void ScoreEmitter::scoreUnit(Value begin) {
  Value position = e.add(begin, e.lane);
  e.when(e.less(begin, past), [&] {
    Value place = e.min(position, e.sub(past, 1)), scale;
    if (layout.hasCodes)
      scale = e.load(e.f32(), layout.scaleAt(e, keyBase, place));
    scorePositions(place, e.less(position, past), scale,
                   [&](Value column) { return pastKey(place, column); });
  });
  if (!op.getKeys())
    return;
  Value reaches = e.both(e.less(past, e.add(begin, kWarp)), e.less(begin, end));
  e.when(reaches, [&] {
    Value place = e.min(e.max(position, past), e.sub(end, 1)), slot = e.sub(place, base), scale;
    if (layout.hasCodes)
      scale = e.load(e.f32(), e.at(scales, e.mul(slot, 4)));
    scorePositions(place, e.equal(position, place), scale,
                   [&](Value column) { return freshKey(slot, column); });
  });
}

void ScoreEmitter::lower() {
  queries = s.places.lookup(op.getQueries());
  weights = s.places.lookup(op.getWeights());
  int64_t kept = s.scratchUsed;
  base = e.narrow(e.position());
  if (op.getKeys()) {
    keys = s.places.lookup(op.getKeys());
    if (layout.hasCodes)
      encodeFresh();
  }
  slots = s.highOf(op.getQueries());
  first = e.add(base, s.slotBeginOf(op.getQueries()));
  end = e.add(first, slots);
  past = op.getKeys() ? base : end;
  part = s.evaluate(op.getPartAttr());
  keyBase = layout.half(e, s.bindingOf(op.getPast()), e.constant(0), tile::ContextPart::Key);
  Value row = s.evaluate(op.getSlotsAttr());
  int64_t rowBytes = op.getScores().getType().getColumns() * 4;
  scores = e.at(s.bindingOf(op.getScores()), e.mul(e.widen(row), rowBytes));

  constexpr int64_t kGroup = tile::ScoreOp::kGroup, kUnits = kGroup / kWarp;
  int64_t parts = op.getParts();
  e.when(e.less(e.constant(0), slots), [&] {
    Value groups = e.div(e.add(end, kGroup - 1), kGroup);
    Value own = e.div(e.add(e.max(e.sub(groups, part), e.constant(0)), parts - 1), parts);
    s.forWarps(e.mul(own, kUnits), [&](Value unit) {
      Value group = e.add(part, e.mul(e.div(unit, kUnits), parts));
      scoreUnit(e.add(e.mul(group, kGroup), e.mul(e.rem(unit, kUnits), kWarp)));
    });
  });
  e.meet();
  s.scratchUsed = kept;
}

void StageEmitter::lowerScore(tile::ScoreOp op) { ScoreEmitter(*this, op).lower(); }

} // namespace pianola::nvptx
