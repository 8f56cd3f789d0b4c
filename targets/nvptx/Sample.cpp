//===- Sample.cpp - Choosing a token on one block -------------------------===//

#include "targets/nvptx/Sample.h"
#include <cstddef>
#include <limits>

using namespace mlir;

namespace pianola::nvptx {

#define STATE(name) offsetof(PianolaCudaState, name)
#define SAMPLING(name) offsetof(PianolaCudaState, sampling.name)

SampleEmitter::SampleEmitter(StageEmitter &owner, tile::SampleOp op)
    : s(owner), e(owner.e), op(op) {
  bins = s.allocate(binsOfThread() * e.shape.consumers() * 8);
  best = s.allocate(kListed * 12);
  kept = s.allocate(kListed * 8);
  keys = s.allocate(e.shape.consumers() * 4);
  sums = s.allocate(e.shape.warps * 8);
  found = s.allocate(24);
  words = s.allocate(16);
  tiles = best; // and kept: of no use while tiles are listed
}

// All at once and early: what comes last in a play waits for none of it. The host's word crosses
// the bus.
void SampleEmitter::readSettings() {
  auto number = [&](size_t offset) { return e.field(e.i32(), e.state, offset); };
  auto real = [&](size_t offset) { return e.field(e.f32(), e.state, offset); };
  auto wide = [&](size_t offset) { return e.field(e.i64(), e.state, offset); };
  cancel = Variable(e, e.constant(0));
  e.when(e.equal(e.thread, 0), [&] {
    cancel.set(e, loadRelaxedSystem(e, e.at(e.host, offsetof(PianolaCudaHost, cancel))));
  });
  temperature = real(SAMPLING(temperature));
  topP = real(SAMPLING(top_p));
  minP = real(SAMPLING(min_p));
  repetition = real(SAMPLING(repetition_penalty));
  presence = real(SAMPLING(presence_penalty));
  frequency = real(SAMPLING(frequency_penalty));
  topK = number(SAMPLING(top_k));
  vocabulary = e.min(number(SAMPLING(vocabulary)), e.constant(op.getVocabulary()));
  seed = wide(SAMPLING(seed));
  draws = wide(SAMPLING(draws));
  counts = wide(SAMPLING(counts));
  bias = wide(SAMPLING(bias));
  plays = number(STATE(plays));
  chosen = number(STATE(chosen));
  stopCount = number(STATE(stop_count));
  stops = wide(STATE(stops));
  tokens = wide(STATE(tokens));
  hasCounts = e.differ(counts, 0);
  hasBias = e.differ(bias, 0);
  isPenalised = e.either(hasCounts, hasBias);
  isGreedy = e.fequal(temperature, e.real(0));
  stop = Variable(e, e.constant(-1));
  e.when(e.lessUnsigned(e.thread, e.min(stopCount, e.constant(kWarp))),
         [&] { stop.set(e, e.load(e.i32(), e.at(e.globalAt(stops), e.mul(e.thread, 4)))); });
  int64_t columns = op.getLogits().getType().getColumns();
  Value row = e.mul(e.widen(e.sub(e.slots, 1)), columns * 4);
  logits = e.at(s.bindingOf(op.getLogits()), row);
  Value rowOfPeaks = e.mul(e.widen(e.sub(e.slots, 1)),
                           cast<tile::BufferType>(op.getPeaks().getType()).getColumns() * 4);
  peaks = e.at(s.bindingOf(op.getPeaks()), rowOfPeaks);
  token = Variable(e, e.constant(0));
  isMissing = Variable(e, e.constant(e.i1(), 0));
}

//===----------------------------------------------------------------------===//
// Greedy
//===----------------------------------------------------------------------===//

// The greatest place of all threads', for all of them.
Value SampleEmitter::greatestOfBlock(Value value) {
  auto umax = [&](Value number) { return e.reduce(NVVM::ReduxKind::UMAX, number); };
  Value high = e.narrow(e.shiftRight(value, 32));
  Value most = umax(high);
  Value low = umax(e.select(e.equal(high, most), e.narrow(value), e.constant(0)));
  Value joined = e.either(e.shiftLeft(e.widen(most), 32), e.widen(low));
  e.when(e.equal(e.lane, 0), [&] { e.store(joined, e.at(sums, e.mul(e.warp, 8))); });
  e.meet();
  Value result = e.load(e.i64(), sums);
  for (int64_t warp = 1; warp < e.shape.warps; ++warp) {
    Value other = e.load(e.i64(), e.at(sums, warp * 8));
    result = e.select(e.lessUnsigned(result, other), other, result);
  }
  return result;
}

void SampleEmitter::findGreatest() {
  constexpr int64_t kDepth = 10; // 16 bytes of each thread: 160 K logits' peaks are on their way
  Variable place(e, e.constant(e.i64(), 0));
  auto offer = [&](Value logit, Value id) {
    Value other = placeOf(keyOf(logit), id), old = place.get(e);
    Value better = e.both(e.lessUnsigned(old, other), e.fequal(logit, logit));
    place.set(e, e.select(better, other, old));
  };
  // Without penalties: which tile has the greatest, and only then which of the tile.
  e.when(e.negate(isPenalised), [&] {
    Variable greatest(e, e.real(-std::numeric_limits<double>::infinity()));
    Variable which(e, e.constant(-1));
    forPeaks(
        kDepth,
        [&](Value firstTile, ArrayRef<Value> four) {
          for (auto [i, peak] : llvm::enumerate(four)) {
            Value most = greatest.get(e);
            which.set(e, e.select(e.fless(most, peak), e.add(firstTile, i), which.get(e)));
            greatest.set(e, e.fmax(most, peak));
          }
        },
        [&](Value id, Value logit) { offer(logit, id); });
    e.when(e.differ(which.get(e), -1),
           [&] { forLogitsOf(which.get(e), [&](Value id, Value logit) { offer(logit, id); }); });
  });
  Variable most(e, greatestOfBlock(place.get(e)));
  // With penalties; or nothing is greater than -infinity.
  e.when(e.equal(most.get(e), 0), [&] {
    e.meet();
    forLogits(4, [&](Value first, ArrayRef<Value> values) {
      for (auto [i, value] : llvm::enumerate(values))
        offer(value, e.add(first, i));
    });
    most.set(e, greatestOfBlock(place.get(e)));
  });
  token.set(e, idOf(most.get(e)));
  isMissing.set(e, e.equal(most.get(e), 0));
}

//===----------------------------------------------------------------------===//
// The frame
//===----------------------------------------------------------------------===//

// By the first warp.
void SampleEmitter::publish() {
  Value id = token.get(e), missing = isMissing.get(e);
  Variable isStop(e, e.both(e.less(e.lane, stopCount), e.equal(stop.get(e), id)));
  e.loop(e.add(e.lane, kWarp), stopCount, kWarp, [&](Value index) {
    Value other = e.load(e.i32(), e.at(e.globalAt(stops), e.mul(index, 4)));
    isStop.set(e, e.either(isStop.get(e), e.equal(other, id)));
  });
  Value flag = e.select(isStop.get(e), e.constant(1), e.constant(0));
  Value stopped = e.differ(e.reduce(NVVM::ReduxKind::UMAX, flag), 0);
  e.when(e.equal(e.lane, 0), [&] {
    Value next = e.add(e.play.get(e), 1);
    auto either = [&](Value condition, PianolaCudaEnd yes, Value no) {
      return e.select(condition, e.constant(yes), no);
    };
    Value end = e.constant(PIANOLA_CUDA_GOES_ON);
    end = either(e.differ(cancel.get(e), 0), PIANOLA_CUDA_CANCELLED, end);
    end = either(e.equal(next, plays), PIANOLA_CUDA_LENGTH, end);
    end = either(stopped, PIANOLA_CUDA_STOP, end);
    end = either(missing, PIANOLA_CUDA_NOT_NUMBERS, end);
    Value low = e.widen(e.select(missing, e.constant(0), id));
    Value high = e.shiftLeft(e.widen(e.either(end, e.constant(int64_t(0x80000000)))), 32);
    Value list = e.at(e.host, offsetof(PianolaCudaHost, tokens));
    storeRelaxedSystem(e, e.either(high, low), e.at(list, e.mul(e.widen(chosen), 8)));
    e.store(e.add(chosen, 1), e.at(e.state, STATE(chosen)));
    e.when(e.negate(missing), [&] {
      e.store(id, e.globalAt(tokens));
      e.when(hasCounts, [&] {
        Value count = e.at(e.globalAt(counts), e.mul(e.widen(id), 4));
        e.store(e.add(e.load(e.i32(), count), 1), count);
      });
      e.when(e.negate(isGreedy), [&] { e.store(e.add(draws, 1), e.at(e.state, SAMPLING(draws))); });
    });
    e.when(e.differ(end, 0), [&] { e.storeVolatile(next, e.at(e.state, STATE(end))); });
  });
}

void SampleEmitter::choose() {
  readSettings();
  e.when(isGreedy, [&] { findGreatest(); }, [&] { drawToken(); });
  e.when(e.equal(e.warp, 0), [&] { publish(); });
}

void SampleEmitter::lower() {
  e.when(e.differ(e.field(e.i32(), e.state, STATE(choose)), 0), [&] { choose(); });
  if (e.playsOneStage) {
    e.meet(); // all have read it
    e.when(e.equal(e.thread, 0),
           [&] { e.store(e.add(e.play.get(e), 1), e.at(e.state, STATE(play))); });
  }
  e.meet();
}

void StageEmitter::lowerSample(tile::SampleOp op) {
  int64_t before = scratchUsed;
  SampleEmitter(*this, op).lower();
  scratchUsed = before;
}

} // namespace pianola::nvptx
