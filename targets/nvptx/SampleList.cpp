//===- SampleList.cpp - The draw among few --------------------------------===//

#include "pianola/sampling.h"
#include "targets/nvptx/Sample.h"

using namespace mlir;

namespace pianola::nvptx {

// As many tokens as there are threads with a greater number are surely before the bound.
void SampleEmitter::listTop(Value byPeaks) {
  Value mine = e.load(e.i32(), e.at(keys, e.mul(e.thread, 4)));
  Value before = e.constant(0);
  Value rank = e.loop(e.constant(0), e.constant(e.shape.consumers()), e.constant(4), {before},
                      [&](Value other, ValueRange sum) {
                        Value four = e.load(e.vector(e.i32(), 4), e.at(keys, e.mul(other, 4)));
                        Value count = sum.front();
                        for (int64_t i = 0; i < 4; ++i) {
                          Value key = e.element(four, i);
                          Value isBefore = e.either(
                              e.lessUnsigned(mine, key),
                              e.both(e.equal(mine, key), e.less(e.add(other, i), e.thread)));
                          count = e.add(count, e.select(isBefore, e.constant(1), e.constant(0)));
                        }
                        return SmallVector<Value>{count};
                      })
                   .front();
  e.when(e.equal(rank, e.sub(topK, 1)), [&] { e.store(mine, e.at(words, kBound)); });
  e.meet();
  Value least = logitOf(e.load(e.i32(), e.at(words, kBound)));
  auto offer = [&](Value id, Value value) {
    Value enters = e.both(isFinite(value), e.negate(e.fless(value, least)));
    e.when(enters, [&] {
      Value index = fetchAdd(e, e.at(words, kLength), e.constant(1));
      e.when(e.lessUnsigned(index, e.constant(kBins)),
             [&] { e.store(placeOf(keyOf(value), id), e.at(bins, e.mul(index, 8))); });
    });
  };
  e.when(
      byPeaks,
      [&] {
        // Few tiles reach the bound.
        forPeaks(
            4,
            [&](Value firstTile, ArrayRef<Value> peaks) {
              for (auto [i, peak] : llvm::enumerate(peaks))
                e.when(e.negate(e.either(e.fless(peak, least), e.negate(e.fequal(peak, peak)))),
                       [&, i = i] {
                         Value index = fetchAdd(e, e.at(words, kTiles), e.constant(1));
                         e.when(e.lessUnsigned(index, e.constant(kTilesListed)), [&] {
                           e.store(e.add(firstTile, i), e.at(tiles, e.mul(index, 4)));
                         });
                       });
            },
            offer);
        e.meet();
        Value count = e.load(e.i32(), e.at(words, kTiles));
        e.when(
            e.lessUnsigned(e.constant(kTilesListed), count),
            [&] { // too many: so are the tokens
              e.when(e.equal(e.thread, 0),
                     [&] { fetchAdd(e, e.at(words, kLength), e.constant(kBins + 1)); });
            },
            [&] {
              int64_t rows = *op.getRows();
              s.forThreads(e.mul(count, rows), [&](Value index) {
                Value tile = e.load(e.i32(), e.at(tiles, e.mul(e.div(index, rows), 4)));
                Value id = e.add(e.mul(tile, rows), e.rem(index, rows));
                offer(id, e.load(e.f32(), e.at(logits, e.mul(id, 4))));
              });
            });
      },
      [&] {
        forLogits(4, [&](Value first, ArrayRef<Value> values) {
          for (auto [i, value] : llvm::enumerate(values))
            offer(e.add(first, i), value);
        });
      });
  e.meet();
}

// `count` tokens are listed, the first top_k of all among them.
void SampleEmitter::drawFromList(Value count) {
  Value one = e.constant(1), none = e.constant(0), noWeight = e.constant(e.i64(), 0);
  auto weightAt = [&](Value array, Value index) { return e.at(array, e.mul(index, 8)); };
  auto idAt = [&](Value index) { return e.at(e.at(best, kListed * 8), e.mul(index, 4)); };
  s.forThreads(count, [&](Value index) {
    Value mine = e.load(e.i64(), e.at(bins, e.mul(index, 8)));
    Value rank = e.loop(none, count, one, {none}, [&](Value other, ValueRange sum) {
                    Value place = e.load(e.i64(), e.at(bins, e.mul(other, 8)));
                    Value isBefore = e.lessUnsigned(mine, place);
                    return SmallVector<Value>{e.add(sum.front(), e.select(isBefore, one, none))};
                  }).front();
    e.when(e.less(rank, topK), [&] {
      e.store(weightOf(logitOf(e.narrow(e.shiftRight(mine, 32)))), weightAt(best, rank));
      e.store(idOf(mine), idAt(rank));
    });
  });
  e.meet();
  Value length = e.min(count, topK);
  auto forMine = [&](llvm::function_ref<void()> body) {
    e.when(e.less(e.thread, length), body);
    e.meet();
  };
  // The sum of all weights, and of those that `isBefore` holds for.
  auto sumsOf = [&](Value array, llvm::function_ref<Value(Value)> isBefore) {
    return e.loop(none, length, one, {noWeight, noWeight}, [&](Value other, ValueRange sums) {
      Value weight = e.load(e.i64(), weightAt(array, other));
      return SmallVector<Value>{e.add(sums[0], weight),
                                e.add(sums[1], e.select(isBefore(other), weight, noWeight))};
    });
  };
  forMine([&] {
    Value weight = e.load(e.i64(), weightAt(best, e.thread));
    Value stays = e.choose(
                       e.fless(topP, e.real(1)),
                       [&] {
                         SmallVector<Value> sums =
                             sumsOf(best, [&](Value other) { return e.less(other, e.thread); });
                         Value fraction =
                             e.truncate(e.fmul(topP, e.real(1 << PIANOLA_FRACTION_BITS)), e.i64());
                         Value enough = portionOf(sums[0], fraction);
                         return SmallVector<Value>{
                             e.either(e.equal(e.thread, 0), e.lessUnsigned(sums[1], enough))};
                       },
                       [&] { return SmallVector<Value>{e.constant(e.i1(), 1)}; })
                      .front();
    Value least = e.truncate(e.fmul(minP, e.real(double(1LL << PIANOLA_WEIGHT_BITS))), e.i64());
    stays = e.both(stays, e.negate(e.lessUnsigned(weight, least)));
    e.store(e.select(stays, weight, noWeight), weightAt(kept, e.thread));
  });
  forMine([&] {
    Value weight = e.load(e.i64(), weightAt(kept, e.thread)), id = e.load(e.i32(), idAt(e.thread));
    SmallVector<Value> sums =
        sumsOf(kept, [&](Value other) { return e.less(e.load(e.i32(), idAt(other)), id); });
    Value drawn = portionOf(sums[0], drawnFraction());
    Value isDrawn = e.both(e.negate(e.lessUnsigned(drawn, sums[1])),
                           e.lessUnsigned(drawn, e.add(sums[1], weight)));
    e.when(isDrawn, [&] { e.store(id, e.at(words, kToken)); });
  });
}

} // namespace pianola::nvptx
