//===- SampleLogits.cpp - Passes over logits ------------------------------===//

#include "pianola/sampling.h"
#include "targets/nvptx/Sample.h"
#include <limits>

using namespace mlir;

namespace pianola::nvptx {

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

Value SampleEmitter::isFinite(Value logit) {
  return e.fless(e.fabs(logit), e.real(std::numeric_limits<double>::infinity()));
}

Value SampleEmitter::keyOf(Value logit) {
  Value bits = e.bits(e.fadd(logit, e.real(0)), e.i32()); // -0 becomes 0
  Value flip = e.either(e.shiftRightSigned(bits, 31), e.constant(int64_t(0x80000000)));
  return e.exclusive(bits, flip);
}

Value SampleEmitter::logitOf(Value key) {
  Value flip = e.either(e.exclusive(e.shiftRightSigned(key, 31), e.constant(-1)),
                        e.constant(int64_t(0x80000000)));
  return e.bits(e.exclusive(key, flip), e.f32());
}

Value SampleEmitter::placeOf(Value key, Value id) {
  Value low = e.exclusive(id, e.constant(-1));
  return e.either(e.shiftLeft(e.widen(key), 32), e.widen(low));
}

Value SampleEmitter::idOf(Value place) { return e.exclusive(e.narrow(place), e.constant(-1)); }

// Step by step what Sampler::weightOf does: neither fused nor in another order.
Value SampleEmitter::weightOf(Value logit) {
  constexpr float kSeries[] = PIANOLA_EXP_SERIES;
  Value x = e.fdiv(e.fsub(logit, greatest), temperature);
  x = e.fmax(x, e.real(PIANOLA_EXP_LEAST));
  Value shifted = e.fadd(e.fmul(x, e.real(PIANOLA_EXP_LOG2E)), e.real(PIANOLA_EXP_WHOLE));
  Value whole = e.fsub(shifted, e.real(PIANOLA_EXP_WHOLE));
  Value rest = e.fsub(x, e.fmul(whole, e.real(PIANOLA_EXP_LN2_HIGH)));
  rest = e.fsub(rest, e.fmul(whole, e.real(PIANOLA_EXP_LN2_LOW)));
  Value series = e.real(kSeries[4]);
  for (int i = 3; i >= 0; --i)
    series = e.fadd(e.fmul(series, rest), e.real(kSeries[i]));
  series = e.fmul(series, rest);
  series = e.fadd(e.fmul(series, rest), rest);
  series = e.fadd(series, e.real(1));
  Value exponent = e.add(e.bits(shifted, e.i32()), 127 + PIANOLA_WEIGHT_BITS);
  Value power = e.bits(e.shiftLeft(exponent, 23), e.f32());
  return e.truncate(e.fmul(series, power), e.i64());
}

Value SampleEmitter::portionOf(Value total, Value fraction) {
  Value low = e.both(total, e.constant(e.i64(), (1 << PIANOLA_FRACTION_BITS) - 1));
  return e.add(e.mul(e.shiftRight(total, PIANOLA_FRACTION_BITS), fraction),
               e.shiftRight(e.mul(low, fraction), PIANOLA_FRACTION_BITS));
}

Value SampleEmitter::drawnFraction() {
  auto number = [&](uint64_t value) { return e.constant(e.i64(), static_cast<int64_t>(value)); };
  Value z = e.add(seed, e.mul(e.add(draws, 1), number(PIANOLA_DRAW_GOLDEN)));
  z = e.mul(e.exclusive(z, e.shiftRight(z, 30)), number(PIANOLA_DRAW_FIRST));
  z = e.mul(e.exclusive(z, e.shiftRight(z, 27)), number(PIANOLA_DRAW_SECOND));
  z = e.exclusive(z, e.shiftRight(z, 31));
  return e.shiftRight(z, 64 - PIANOLA_FRACTION_BITS);
}

//===----------------------------------------------------------------------===//
// Bias and penalties
//===----------------------------------------------------------------------===//

Value SampleEmitter::penalised(Value logit, Value count) {
  Value isPositive = e.fless(e.real(0), logit);
  Value scaled = e.choose(
                      isPositive, [&] { return SmallVector<Value>{e.fdiv(logit, repetition)}; },
                      [&] { return SmallVector<Value>{e.fmul(logit, repetition)}; })
                     .front();
  Value less = e.fadd(presence, e.fmul(frequency, e.toReal(count)));
  return e.select(e.equal(count, 0), logit, e.fsub(scaled, less));
}

// `logits`: groups of `width` with neighbouring ids, of which `firsts` are the first.
void SampleEmitter::adjust(MutableArrayRef<Value> logits, ArrayRef<Value> firsts, int64_t width) {
  // Asked once for all of them: without penalties it is one branch.
  auto load = [&](Type type, Value array, Value first) {
    SmallVector<Value> values;
    Value from = e.at(e.globalAt(array), e.mul(e.widen(first), 4));
    if (width == 1)
      return SmallVector<Value>{e.load(type, from)};
    Value group = e.load(e.vector(type, width), from);
    for (int64_t i = 0; i < width; ++i)
      values.push_back(e.element(group, i));
    return values;
  };
  auto unchanged = [&] { return SmallVector<Value>(logits); };
  auto assign = [&](ArrayRef<Value> values) { llvm::copy(values, logits.begin()); };
  auto biased = [&] {
    SmallVector<Value> result;
    for (auto [group, first] : llvm::enumerate(firsts))
      for (auto [i, value] : llvm::enumerate(load(e.f32(), bias, first)))
        result.push_back(e.fadd(logits[group * width + i], value));
    return result;
  };
  auto counted = [&] {
    SmallVector<SmallVector<Value>> seen;
    for (Value first : firsts)
      seen.push_back(load(e.i32(), counts, first));
    SmallVector<Value> result;
    for (auto [group, those] : llvm::enumerate(seen)) {
      ArrayRef<Value> old = ArrayRef<Value>(logits).slice(group * width, width);
      Value any = those.front();
      for (Value count : ArrayRef(those).drop_front())
        any = e.either(any, count);
      // Few tokens are ever seen.
      llvm::append_range(result, e.choose(
                                     e.differ(any, 0),
                                     [&, those = ArrayRef<Value>(those)] {
                                       SmallVector<Value> changed;
                                       for (auto [value, count] : llvm::zip(old, those))
                                         changed.push_back(penalised(value, count));
                                       return changed;
                                     },
                                     [&] { return SmallVector<Value>(old); }));
    }
    return result;
  };
  assign(e.choose(
      isPenalised,
      [&] {
        SmallVector<Value> before(logits);
        assign(e.choose(hasBias, biased, unchanged));
        SmallVector<Value> result = e.choose(hasCounts, counted, unchanged);
        assign(before);
        return result;
      },
      unchanged));
}

//===----------------------------------------------------------------------===//
// Passes
//===----------------------------------------------------------------------===//

Value SampleEmitter::logitAt(Value id) {
  Value logit = e.load(e.f32(), e.at(logits, e.mul(id, 4)));
  adjust(logit, id, 1);
  return logit;
}

void SampleEmitter::forLogits(int64_t depth,
                              llvm::function_ref<void(Value, ArrayRef<Value>)> body) {
  int64_t threads = e.shape.consumers();
  Value quads = e.shiftRight(vocabulary, 2), last = e.sub(quads, 1);
  Value nothing = e.real(std::numeric_limits<double>::quiet_NaN());
  e.loop(e.constant(0), quads, depth * threads, [&](Value base) {
    // Beyond the end the last quad is read again, so that no load waits for a branch.
    SmallVector<Value> firsts, inside, values;
    for (int64_t i = 0; i < depth; ++i) {
      Value quad = e.add(e.add(base, e.thread), i * threads);
      inside.push_back(e.less(quad, quads));
      firsts.push_back(e.mul(e.min(quad, last), 4));
    }
    for (Value first : firsts) {
      Value quad = e.load(e.vector(e.f32(), 4), e.at(logits, e.mul(first, 4)));
      for (int64_t i = 0; i < 4; ++i)
        values.push_back(e.element(quad, i));
    }
    adjust(values, firsts, 4);
    for (int64_t i = 0; i < depth; ++i) {
      SmallVector<Value> quad;
      for (Value value : ArrayRef(values).slice(4 * i, 4))
        quad.push_back(e.select(inside[i], value, nothing));
      body(firsts[i], quad);
    }
  });
  Value rest = e.both(vocabulary, e.constant(3));
  e.when(e.differ(rest, 0), [&] {
    Value id = e.min(e.add(e.sub(vocabulary, rest), e.thread), e.sub(vocabulary, 1));
    body(id, e.select(e.less(e.thread, rest), logitAt(id), nothing));
  });
}

// Whether they are apart by bias and penalties is for the caller to know: peaks are of the logits
// as they stand.
void SampleEmitter::forPeaks(int64_t depth, llvm::function_ref<void(Value, ArrayRef<Value>)> body,
                             llvm::function_ref<void(Value, Value)> one) {
  int64_t threads = e.shape.consumers(), rows = *op.getRows();
  Value quads = e.div(vocabulary, 4 * rows), last = e.sub(quads, 1);
  Value nothing = e.real(std::numeric_limits<double>::quiet_NaN());
  e.loop(e.constant(0), quads, depth * threads, [&](Value base) {
    SmallVector<Value> numbers, loaded;
    for (int64_t i = 0; i < depth; ++i)
      numbers.push_back(e.add(e.add(base, e.thread), i * threads));
    for (Value quad : numbers)
      loaded.push_back(e.load(e.vector(e.f32(), 4), e.at(peaks, e.mul(e.min(quad, last), 16))));
    for (auto [quad, four] : llvm::zip(numbers, loaded)) {
      SmallVector<Value> values;
      for (int64_t i = 0; i < 4; ++i)
        values.push_back(e.select(e.less(quad, quads), e.element(four, i), nothing));
      body(e.mul(quad, 4), values);
    }
  });
  Value first = e.mul(quads, 4 * rows), id = e.add(first, e.thread);
  Value isThere = e.less(id, vocabulary);
  Value at = e.min(id, e.sub(vocabulary, 1));
  one(at, e.select(isThere, e.load(e.f32(), e.at(logits, e.mul(at, 4))), nothing));
}

void SampleEmitter::forLogitsOf(Value tile, llvm::function_ref<void(Value, Value)> body) {
  int64_t rows = *op.getRows();
  Value first = e.mul(tile, rows);
  SmallVector<Value> quads;
  for (int64_t i = 0; i < rows; i += 4)
    quads.push_back(e.load(e.vector(e.f32(), 4), e.at(logits, e.mul(e.add(first, i), 4))));
  for (int64_t i = 0; i < rows; ++i)
    body(e.add(first, i), e.element(quads[i / 4], i % 4));
}

} // namespace pianola::nvptx
