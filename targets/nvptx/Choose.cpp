//===- Choose.cpp - The positions with the greatest scores ----------------===//
//
// A score is a key of 32 bits that orders as scores do, and behind it stand the bits of the
// position, turned over: so no two keys of 64 bits are equal, and of equal scores the earlier
// position has the greater one. The least key that is chosen is found eight bits at a time: the
// positions whose keys begin as it does are counted by their next eight bits. Mostly four rounds
// are enough, for then all that begin so are chosen, or all but one score's.
//
//===----------------------------------------------------------------------===//

#include "targets/nvptx/Stage.h"

using namespace mlir;

namespace pianola::nvptx {

namespace {
constexpr int64_t kBins = 256, kBinsOfLane = kBins / kWarp;
constexpr size_t kFoundWhich = 0, kFoundBefore = 4, kFoundAmount = 8;
} // namespace

class ChooseEmitter {
public:
  ChooseEmitter(StageEmitter &owner, tile::ChooseOp op) : s(owner), e(owner.e), op(op) {}

  void lower();

private:
  Value keyOf(Value position);
  void countKeys(Value known, Value shift);
  void findBin(Value need);
  Value findLeast();
  void storeBits(Value least);

  StageEmitter &s;
  Kernel &e;
  tile::ChooseOp op;
  Value scores, chosen; // the slot's rows
  Value count;          // of the positions that it sees
  Value bins, found;    // shared
};

Value ChooseEmitter::keyOf(Value position) {
  constexpr int64_t kGroup = tile::ScoreOp::kGroup;
  int64_t parts = op.getParts(), ofPart = op.getScores().getType().getColumns() / parts;
  Value group = e.div(position, kGroup);
  Value column = e.add(e.mul(e.rem(group, parts), ofPart),
                       e.add(e.mul(e.div(group, parts), kGroup), e.rem(position, kGroup)));
  // Zero has one sign here.
  Value score = e.fadd(e.load(e.f32(), e.at(scores, e.mul(column, 4))), e.real(0));
  Value bits = e.bits(score, e.i32());
  Value sign = e.either(e.shiftRightSigned(bits, 31), e.constant(int64_t(0x80000000)));
  Value low = e.exclusive(position, e.constant(int64_t(0xffffffff)));
  return e.either(e.shiftLeft(e.widen(e.exclusive(bits, sign)), 32), e.widen(low));
}

// How many keys that begin as `known` does have each number as the eight bits from `shift` on.
void ChooseEmitter::countKeys(Value known, Value shift) {
  s.forThreads(e.constant(kBins),
               [&](Value bin) { e.store(e.constant(0), e.at(bins, e.mul(bin, 4))); });
  e.meet();
  s.forThreads(count, [&](Value position) {
    Value key = keyOf(position);
    Value differs = e.shiftRight(e.shiftRight(e.exclusive(key, known), shift), 8);
    e.when(e.equal(differs, 0), [&] {
      Value bin = e.both(e.narrow(e.shiftRight(key, shift)), e.constant(kBins - 1));
      fetchAdd(e, e.at(bins, e.mul(bin, 4)), e.constant(1));
    });
  });
  e.meet();
}

// The bin with the `need`-th of the counted keys, the greatest first; how many are before it, and
// in it.
void ChooseEmitter::findBin(Value need) {
  e.when(e.equal(e.warp, 0), [&] {
    Value last = e.sub(e.constant(kBins - 1), e.mul(e.lane, kBinsOfLane)), all = e.constant(0);
    SmallVector<Value> amounts;
    for (int64_t i = 0; i < kBinsOfLane; ++i) {
      amounts.push_back(e.load(e.i32(), e.at(bins, e.mul(e.sub(last, i), 4))));
      all = e.add(all, amounts.back());
    }
    Value running = e.sub(e.sumLanesBefore(all, e.lane), all);
    for (auto [i, amount] : llvm::enumerate(amounts)) {
      Value next = e.add(running, amount);
      Value isHere = e.both(e.less(running, need), e.negate(e.less(next, need)));
      e.when(isHere, [&, i = i, amount = amount] {
        e.store(e.sub(last, int64_t(i)), e.at(found, kFoundWhich));
        e.store(running, e.at(found, kFoundBefore));
        e.store(amount, e.at(found, kFoundAmount));
      });
      running = next;
    }
  });
  e.meet();
}

Value ChooseEmitter::findLeast() {
  Variable known(e, e.constant(e.i64(), 0)), shift(e, e.constant(e.i64(), 56));
  Variable need(e, e.constant(op.getTop())), goesOn(e, e.constant(e.i1(), 1));
  e.loopWhile([&] { return goesOn.get(e); },
              [&] {
                Value at = shift.get(e), left = need.get(e);
                countKeys(known.get(e), at);
                findBin(left);
                Value which = e.load(e.i32(), e.at(found, kFoundWhich));
                Value amount = e.load(e.i32(), e.at(found, kFoundAmount));
                left = e.sub(left, e.load(e.i32(), e.at(found, kFoundBefore)));
                known.set(e, e.either(known.get(e), e.shiftLeft(e.widen(which), at)));
                need.set(e, left);
                shift.set(e, e.sub(at, 8));
                // Where a bin has one key, it is this one.
                goesOn.set(e, e.differ(amount, left));
              });
  return known.get(e);
}

void ChooseEmitter::storeBits(Value least) {
  constexpr int64_t kWords = tile::ScoreOp::kGroup / kWarp;
  Value words =
      e.mul(e.div(e.add(count, tile::ScoreOp::kGroup - 1), tile::ScoreOp::kGroup), kWords);
  s.forWarps(words, [&](Value word) {
    Value position = e.add(e.mul(word, kWarp), e.lane);
    Value key = keyOf(e.min(position, e.sub(count, 1)));
    Value isIn = e.both(e.less(position, count), e.negate(e.lessUnsigned(key, least)));
    Value bit = e.select(isIn, e.shiftLeft(e.constant(1), e.lane), e.constant(0));
    Value all = e.reduce(NVVM::ReduxKind::OR, bit);
    e.when(e.equal(e.lane, 0), [&] { e.store(all, e.at(chosen, e.mul(word, 4))); });
  });
}

void ChooseEmitter::lower() {
  int64_t kept = s.scratchUsed;
  bins = s.allocate(kBins * 4);
  found = s.allocate(16);
  Value slot = s.evaluate(op.getSlotsAttr());
  auto rowOf = [&](TypedValue<tile::BufferType> buffer) {
    int64_t bytes = buffer.getType().getColumns() * 4;
    return e.at(s.bindingOf(buffer), e.mul(e.widen(slot), bytes));
  };
  scores = rowOf(op.getScores());
  chosen = rowOf(op.getChosen());
  count = e.add(e.add(e.narrow(e.position()), slot), 1);
  e.when(e.less(slot, e.slots), [&] {
    Value least = e.choose(
                       e.less(e.constant(op.getTop()), count),
                       [&] { return SmallVector<Value>{findLeast()}; },
                       [&] { return SmallVector<Value>{e.constant(e.i64(), 0)}; })
                      .front();
    storeBits(least);
  });
  e.meet();
  s.scratchUsed = kept;
}

void StageEmitter::lowerChoose(tile::ChooseOp op) { ChooseEmitter(*this, op).lower(); }

} // namespace pianola::nvptx
