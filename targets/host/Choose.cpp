//===- Choose.cpp - The positions with the greatest scores ----------------===//
//
// A score's key is a whole number that orders as scores do. The least key that is chosen is found
// bit by bit: each time the keys are counted that are not below a number. If more positions have
// that key than are wanted, where they end is found in the same way.
//
//===----------------------------------------------------------------------===//

#include "targets/host/Stage.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace pianola::host {

namespace {

constexpr int64_t kGroup = tile::ScoreOp::kGroup;

class ChooseEmitter {
public:
  ChooseEmitter(PartEmitter &emit, tile::ChooseOp op) : e(emit), op(op) {}

  void run();

private:
  // 16 keys, of positions from `first` on, and which of these the slot sees.
  struct Keys {
    Value keys, counts, first;
  };
  using Test = llvm::function_ref<Value(const Keys &)>;

  Keys keysAt(Value scores, Value position);
  Value count(Value scores, Test test);
  Value greatest(Value bits, llvm::function_ref<Value(Value)> isEnough);
  std::pair<Value, Value> find(Value scores);
  Value compare(arith::CmpIPredicate predicate, Value a, Value b) {
    return e.builder.create<arith::CmpIOp>(e.loc, predicate, a, b);
  }
  Value both(Value a, Value b) { return e.builder.create<arith::AndIOp>(e.loc, a, b); }
  Value splat(Value number) {
    return e.splat(e.builder.create<arith::TruncIOp>(e.loc, e.i32(), number));
  }
  // Of lanes those at positions below `end`.
  Value isBelow(const Keys &keys, Value end) { return e.lanesBelow(e.sub(end, keys.first)); }

  PartEmitter &e;
  tile::ChooseOp op;
  Value seen; // positions
};

ChooseEmitter::Keys ChooseEmitter::keysAt(Value scores, Value position) {
  int64_t parts = op.getParts(), ofPart = op.getScores().getType().getColumns() / parts;
  Value group = e.div(position, kGroup);
  Value column = e.add(e.mul(e.rem(group, parts), ofPart),
                       e.add(e.mul(e.div(group, parts), kGroup), e.rem(position, kGroup)));
  Value score = e.load(e.vector(e.f32()), e.at(scores, e.mul(column, 4)));
  // Zero has one sign here; of negative numbers the other bits are turned over.
  Value bits = e.bits(e.fadd(score, e.real(e.vector(e.f32()), 0)), e.i32());
  Value sign = e.builder.create<arith::ShRSIOp>(e.loc, bits, e.lanesOf(31));
  Value key = e.builder.create<arith::XOrIOp>(e.loc, bits, both(sign, e.lanesOf(0x7fffffff)));
  return {key, e.lanesBelow(e.sub(seen, position)), position};
}

Value ChooseEmitter::count(Value scores, Test test) {
  Value zero = e.lanesOf(0);
  Value sums = e.loop(e.constant(0), seen, 16, {zero}, [&](Value position, ValueRange before) {
    Keys keys = keysAt(scores, position);
    Value passes = both(keys.counts, test(keys));
    Value ones = e.builder.create<arith::ExtUIOp>(e.loc, e.vector(e.i32()), passes);
    return SmallVector<Value>{e.builder.create<arith::AddIOp>(e.loc, before[0], ones)};
  })[0];
  Value sum = e.builder.create<vector::ReductionOp>(e.loc, vector::CombiningKind::ADD, sums);
  return e.builder.create<arith::ExtUIOp>(e.loc, e.i64(), sum);
}

// The greatest number of so many bits of which `isEnough` is true; it is of 0, and of all below.
Value ChooseEmitter::greatest(Value bits, llvm::function_ref<Value(Value)> isEnough) {
  return e.loop(e.constant(0), bits, 1, {e.constant(0)},
                [&](Value i, ValueRange known) -> SmallVector<Value> {
                  Value shift = e.sub(e.sub(bits, e.constant(1)), i);
                  Value bit = e.builder.create<arith::ShLIOp>(e.loc, e.constant(1), shift);
                  Value more = e.add(known[0], bit);
                  return {e.select(isEnough(more), more, known[0])};
                })[0];
}

// The least key that is chosen, and the position before which those are that have it and are
// chosen.
std::pair<Value, Value> ChooseEmitter::find(Value scores) {
  constexpr int64_t kLowest = std::numeric_limits<int32_t>::min();
  Value top = e.constant(op.getTop());
  auto isAtLeast = [&](Value number) {
    return [&, number](const Keys &keys) {
      return compare(arith::CmpIPredicate::sge, keys.keys, number);
    };
  };
  Value distance = greatest(e.constant(32), [&](Value more) {
    Value number = splat(e.add(more, kLowest));
    return e.less(e.sub(top, e.constant(1)), count(scores, isAtLeast(number)));
  });
  Value key = e.add(distance, kLowest), number = splat(key);
  Value greater = count(scores, [&](const Keys &keys) {
    return compare(arith::CmpIPredicate::sgt, keys.keys, number);
  });
  // As far as fewer have it than are wanted, and one more; mostly all are.
  Value wanted = e.sub(top, greater);
  Value areMore = e.less(top, count(scores, isAtLeast(number)));
  int64_t bits = llvm::Log2_64_Ceil(op.getScores().getType().getColumns() + 1);
  Value end = greatest(e.select(areMore, e.constant(bits), e.constant(0)), [&](Value more) {
    Value before = count(scores, [&](const Keys &keys) {
      return both(compare(arith::CmpIPredicate::eq, keys.keys, number), isBelow(keys, more));
    });
    return e.less(before, wanted);
  });
  return {key, e.select(areMore, e.add(end, 1), seen)};
}

void ChooseEmitter::run() {
  Place scores = e.slice(op.getScores(), op.getScores().getType().getColumns(), op.getSlotsAttr(),
                         AffineMapAttr());
  Place chosen = e.slice(op.getChosen(), op.getChosen().getType().getColumns(), op.getSlotsAttr(),
                         AffineMapAttr());
  e.loop(e.low, e.high, 1, [&](Value slot) {
    seen = e.add(e.positionOf(slot), 1);
    Value from = e.row(scores, slot), to = e.row(chosen, slot);
    Value isAll = e.less(seen, e.constant(op.getTop() + 1));
    auto write = [&](llvm::function_ref<Value(const Keys &)> isChosen) {
      Value end = e.mul(e.div(e.add(seen, kGroup - 1), kGroup), kGroup);
      e.loop(e.constant(0), end, 16, [&](Value position) {
        Keys keys = keysAt(from, position);
        Value lanes = both(keys.counts, isChosen(keys));
        Value bits = e.builder.create<LLVM::BitcastOp>(e.loc, e.builder.getI16Type(), lanes);
        e.store(bits, e.at(to, e.div(position, 8)), 2);
      });
    };
    e.when(isAll, [&] { write([](const Keys &keys) { return keys.counts; }); });
    e.when(e.less(e.constant(op.getTop()), seen), [&] {
      auto [key, end] = find(from);
      Value number = splat(key), last = end;
      write([&](const Keys &keys) -> Value {
        Value isTaken =
            both(compare(arith::CmpIPredicate::eq, keys.keys, number), isBelow(keys, last));
        return e.builder.create<arith::OrIOp>(
            e.loc, isTaken, compare(arith::CmpIPredicate::sgt, keys.keys, number));
      });
    });
  });
}

} // namespace

void PartEmitter::lowerChoose(tile::ChooseOp op) { ChooseEmitter(*this, op).run(); }

} // namespace pianola::host
