//===- SampleSelect.cpp - Filters and the draw ----------------------------===//

#include "pianola/sampling.h"
#include "targets/nvptx/Sample.h"
#include <limits>

using namespace mlir;

namespace pianola::nvptx {

//===----------------------------------------------------------------------===//
// Running sums
//===----------------------------------------------------------------------===//

void SampleEmitter::clearBins() {
  Value zeros = e.zeros(e.vector(e.i64(), 2));
  for (int64_t i = 0; i < binsOfThread(); i += 2)
    e.store(zeros, e.at(bins, e.mul(e.add(e.mul(e.thread, binsOfThread()), i), 8)));
  e.meet();
}

SmallVector<Value, 4> SampleEmitter::loadBins() {
  SmallVector<Value, 4> amounts;
  for (int64_t i = 0; i < binsOfThread(); i += 2) {
    Value index = e.add(e.mul(e.thread, binsOfThread()), i);
    Value two = e.load(e.vector(e.i64(), 2), e.at(bins, e.mul(index, 8)));
    amounts.push_back(e.element(two, 0));
    amounts.push_back(e.element(two, 1));
  }
  return amounts;
}

// Shared memory adds 32 bits; the carry is told by what was there before.
void SampleEmitter::addToBin(Value bin, Value amount) {
  Value at = e.at(bins, e.mul(bin, 8)), low = e.narrow(amount);
  Value old = fetchAdd(e, at, low);
  Value carries = e.lessUnsigned(e.add(old, low), old);
  Value high =
      e.add(e.narrow(e.shiftRight(amount, 32)), e.select(carries, e.constant(1), e.constant(0)));
  e.when(e.differ(high, 0), [&] { fetchAdd(e, e.at(at, 4), high); });
}

SampleEmitter::Found SampleEmitter::findAmount(ArrayRef<Value> amounts, Value before,
                                               llvm::function_ref<Value(Value)> needOf) {
  Value all = amounts.front();
  for (Value amount : amounts.drop_front())
    all = e.add(all, amount);
  Value upTo = e.sumLanesBefore(all, e.lane);
  e.when(e.equal(e.lane, kWarp - 1), [&] { e.store(upTo, e.at(sums, e.mul(e.warp, 8))); });
  e.meet();
  Value total = e.constant(e.i64(), 0), running = e.add(before, e.sub(upTo, all));
  for (int64_t warp = 0; warp < e.shape.warps; ++warp) {
    Value sum = e.load(e.i64(), e.at(sums, warp * 8));
    total = e.add(total, sum);
    running =
        e.add(running, e.select(e.less(e.constant(warp), e.warp), sum, e.constant(e.i64(), 0)));
  }
  Value need = needOf(total);
  for (auto [i, amount] : llvm::enumerate(amounts)) {
    Value next = e.add(running, amount);
    Value isHere = e.both(e.lessUnsigned(running, need), e.negate(e.lessUnsigned(next, need)));
    e.when(isHere, [&, i = i, amount = amount] {
      e.store(running, e.at(found, kFoundBefore));
      e.store(amount, e.at(found, kFoundAmount));
      e.store(e.add(e.mul(e.thread, amounts.size()), i), e.at(found, kFoundWhich));
    });
    running = next;
  }
  e.meet();
  return {e.load(e.i32(), e.at(found, kFoundWhich)), e.load(e.i64(), e.at(found, kFoundBefore)),
          e.load(e.i64(), e.at(found, kFoundAmount)), total};
}

//===----------------------------------------------------------------------===//
// Any other
//===----------------------------------------------------------------------===//

// Finds the key of the last token that top_k or top_p keeps: ten bits at a time, by what the
// tokens of each bin count (top_k) or weigh (top_p). Tokens that weigh nothing are left out from
// the start: they are never drawn, and if top_k gets so far it cuts nothing off.
void SampleEmitter::selectKey(Value isTopK) {
  Value nothing = e.constant(e.i64(), 0), one = e.constant(e.i64(), 1);
  Value reach = e.fmul(temperature, e.real(-PIANOLA_EXP_LEAST));
  Variable high(e, topKey), low(e, keyOf(e.fsub(greatest, reach)));
  Variable need(e, nothing), before(e, nothing), goesOn(e, e.constant(e.i1(), 1));
  tieNeed.set(e, nothing);
  auto weigh = [&](Value logit) {
    return e
        .choose(
            isTopK, [&] { return SmallVector<Value>{one}; },
            [&] { return SmallVector<Value>{weightOf(logit)}; })
        .front();
  };
  e.loopWhile(
      [&] { return goesOn.get(e); },
      [&] {
        Value top = high.get(e), range = e.sub(top, low.get(e));
        Value shift = e.max(e.sub(e.constant(32 - kBinBits), e.leadingZeros(range)), e.constant(0));
        clearBins();
        forLogits(2, [&](Value first, ArrayRef<Value> values) {
          for (auto [i, value] : llvm::enumerate(values)) {
            Value key = keyOf(value), distance = e.sub(top, key);
            Value isIn = e.both(e.negate(e.lessUnsigned(range, distance)), isFinite(value));
            Value place = placeOf(key, e.add(first, i));
            isIn = e.both(isIn, e.negate(e.lessUnsigned(place, bound.get(e))));
            e.when(isIn,
                   [&, value = value] { addToBin(e.shiftRight(distance, shift), weigh(value)); });
          }
        });
        e.meet();
        Found bin = findAmount(loadBins(), before.get(e), [&](Value total) {
          Value fraction = e.truncate(e.fmul(topP, e.real(1 << PIANOLA_FRACTION_BITS)), e.i64());
          Value enough = portionOf(total, fraction);
          enough = e.select(e.equal(enough, 0), one, enough); // the first one always
          enough = e.select(isTopK, e.widen(topK), enough);
          Value known = need.get(e);
          enough = e.select(e.equal(known, 0), enough, known);
          need.set(e, enough);
          return enough;
        });
        // In the first round the bins hold all.
        Value cutsNothing = e.lessUnsigned(e.add(before.get(e), bin.total), need.get(e));
        e.when(
            cutsNothing, [&] { goesOn.set(e, e.constant(e.i1(), 0)); },
            [&] {
              Value newHigh = e.sub(top, e.shiftLeft(bin.which, shift));
              Value span = e.sub(e.shiftLeft(e.constant(1), shift), 1);
              Value left = e.sub(range, e.shiftLeft(bin.which, shift));
              high.set(e, newHigh);
              Value shorter = e.select(e.lessUnsigned(left, span), left, span);
              low.set(e, e.sub(newHigh, shorter));
              before.set(e, bin.before);
              e.when(e.equal(shorter, 0), [&] {
                goesOn.set(e, e.constant(e.i1(), 0));
                tieKey.set(e, newHigh);
                tieWeight.set(e, weigh(logitOf(newHigh)));
                Value tie = e.sub(need.get(e), bin.before);
                // All of them, if the last one is needed.
                Value isAll = e.lessUnsigned(e.sub(bin.amount, tieWeight.get(e)), tie);
                Value floor = e.shiftLeft(e.widen(newHigh), 32), old = bound.get(e);
                e.when(
                    isAll, [&] { bound.set(e, e.select(e.lessUnsigned(old, floor), floor, old)); },
                    [&] { tieNeed.set(e, tie); });
              });
            });
      });
}

// The token, in the order of ids, with which the running sum of weights reaches what is drawn; or
// that of the tied ones reaches tieNeed.
Value SampleEmitter::seek(Value isDraw) {
  Value nothing = e.constant(e.i64(), 0);
  Value least = e.truncate(e.fmul(minP, e.real(double(1LL << PIANOLA_WEIGHT_BITS))), e.i64());
  auto weigh = [&](Value first, ArrayRef<Value> values) {
    SmallVector<Value> isIn;
    Value any = e.constant(e.i1(), 0);
    for (auto [i, value] : llvm::enumerate(values)) {
      Value key = keyOf(value), place = placeOf(key, e.add(first, i));
      Value stays = e.both(isFinite(value), e.negate(e.lessUnsigned(place, bound.get(e))));
      isIn.push_back(e.both(stays, e.either(isDraw, e.equal(key, tieKey.get(e)))));
      any = e.either(any, isIn.back());
    }
    return e.choose(
        any,
        [&] {
          SmallVector<Value> weights;
          for (auto [value, in] : llvm::zip(values, isIn)) {
            Value weight = e.choose(
                                isDraw,
                                [&, value = value] {
                                  Value own = weightOf(value);
                                  return SmallVector<Value>{
                                      e.select(e.lessUnsigned(own, least), nothing, own)};
                                },
                                [&] { return SmallVector<Value>{tieWeight.get(e)}; })
                               .front();
            weights.push_back(e.select(in, weight, nothing));
          }
          return weights;
        },
        [&] { return SmallVector<Value>(values.size(), nothing); });
  };
  // First how much each row of 1024 has, then one row.
  clearBins();
  forLogits(2, [&](Value first, ArrayRef<Value> values) {
    Value sum = nothing;
    for (Value weight : weigh(first, values))
      sum = e.add(sum, weight);
    // 42 bits in two halves, so that 32 of them are a sum in 32 bits each.
    constexpr int64_t kHalf = 22;
    auto reduce = [&](Value half) {
      return e.widen(e.reduce(NVVM::ReduxKind::ADD, e.narrow(half)));
    };
    Value low = reduce(e.both(sum, e.constant(e.i64(), (1 << kHalf) - 1)));
    Value all = e.add(e.shiftLeft(reduce(e.shiftRight(sum, kHalf)), kHalf), low);
    e.when(e.both(e.equal(e.lane, 0), e.differ(all, 0)),
           [&] { addToBin(e.shiftRight(first, kBinBits), all); });
  });
  e.meet();
  auto needOf = [&](Value total) {
    return e.select(isDraw, e.add(portionOf(total, drawnFraction()), 1), tieNeed.get(e));
  };
  Found row = findAmount(loadBins(), nothing, needOf);
  Value need = needOf(row.total);
  int64_t each = binsOfThread();
  Value inRow = e.mul(e.thread, each), first = e.add(e.mul(row.which, kBins), inRow);
  SmallVector<Value> values;
  for (int64_t i = 0; i < each; ++i) {
    Value id = e.add(first, i);
    Value value = logitAt(e.min(id, e.sub(vocabulary, 1)));
    values.push_back(
        e.select(e.both(e.less(id, vocabulary), e.less(e.add(inRow, i), e.constant(kBins))), value,
                 e.real(std::numeric_limits<double>::quiet_NaN())));
  }
  Found one = findAmount(weigh(first, values), row.before, [&](Value) { return need; });
  return e.add(e.mul(row.which, kBins), one.which);
}

// top_k, top_p, draw.
void SampleEmitter::seekToken() {
  e.loop(e.constant(0), e.constant(3), 1, [&](Value phase) {
    Value isTopK = e.equal(phase, 0), isTopP = e.equal(phase, 1), isDraw = e.equal(phase, 2);
    Value cutsByCount = e.both(e.less(e.constant(0), topK), e.less(topK, vocabulary));
    Value cuts = e.either(e.both(isTopK, cutsByCount), e.both(isTopP, e.fless(topP, e.real(1))));
    Variable seeks(e, isDraw);
    e.when(cuts, [&] {
      selectKey(isTopK);
      seeks.set(e, e.differ(tieNeed.get(e), 0));
    });
    e.when(seeks.get(e), [&] {
      Value id = seek(isDraw);
      bound.set(e, placeOf(tieKey.get(e), id)); // of no use to the draw, which is the last
      token.set(e, id);
    });
  });
}

void SampleEmitter::drawToken() {
  Value least = e.real(-std::numeric_limits<double>::infinity());
  Variable most(e, least);
  e.when(e.equal(e.thread, 0), [&] {
    e.store(e.constant(0), e.at(words, kLength));
    e.store(e.constant(0), e.at(words, kTiles));
    // Read even if nothing is found.
    e.store(e.constant(e.i64(), 0), e.at(found, kFoundBefore));
    e.store(e.constant(e.i64(), 0), e.at(found, kFoundAmount));
    e.store(e.constant(0), e.at(found, kFoundWhich));
  });
  Variable top(e, e.constant(0)); // key of all threads' greatest
  auto meetAtTop = [&] {
    Value mine = keyOf(most.get(e));
    e.store(mine, e.at(keys, e.mul(e.thread, 4)));
    Value place = greatestOfBlock(e.shiftLeft(e.widen(mine), 32));
    top.set(e, e.narrow(e.shiftRight(place, 32)));
  };
  Variable byPeaks(e, e.negate(isPenalised));
  e.when(byPeaks.get(e), [&] {
    auto offer = [&](Value value) { most.set(e, e.fmax(most.get(e), value)); };
    forPeaks(
        4, [&](Value, ArrayRef<Value> values) { llvm::for_each(values, offer); },
        [&](Value, Value logit) { offer(logit); });
    meetAtTop();
    // Infinity hides what else its tile has.
    Value isHidden = e.fequal(logitOf(top.get(e)), e.real(std::numeric_limits<double>::infinity()));
    byPeaks.set(e, e.negate(isHidden));
  });
  e.when(e.negate(byPeaks.get(e)), [&] {
    e.meet();
    most.set(e, least);
    forLogits(4, [&](Value, ArrayRef<Value> values) {
      for (Value value : values)
        most.set(e, e.fmax(most.get(e), e.select(isFinite(value), value, least)));
    });
    meetAtTop();
  });
  topKey = top.get(e);
  greatest = logitOf(topKey);
  bound = Variable(e, e.constant(e.i64(), int64_t(1) << 32));
  tieKey = Variable(e, e.constant(0));
  tieWeight = Variable(e, e.constant(e.i64(), 0));
  tieNeed = Variable(e, e.constant(e.i64(), 0));
  isMissing.set(e, e.fequal(greatest, least));
  e.when(e.negate(isMissing.get(e)), [&] {
    Variable isOpen(e, e.constant(e.i1(), 1));
    e.when(e.lessUnsigned(e.sub(topK, 1), e.constant(kListed)), [&] {
      listTop(byPeaks.get(e));
      Value count = e.load(e.i32(), e.at(words, kLength));
      e.when(e.negate(e.lessUnsigned(e.constant(kBins), count)), [&] {
        drawFromList(count);
        token.set(e, e.load(e.i32(), e.at(words, kToken)));
        isOpen.set(e, e.constant(e.i1(), 0));
      });
    });
    e.when(isOpen.get(e), [&] { seekToken(); });
  });
}

} // namespace pianola::nvptx
