//===- AttendBlock.cpp - Attention of a warp to eight positions -----------===//

#include "targets/nvptx/Attend.h"
#include <limits>

using namespace mlir;

namespace pianola::nvptx {

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

void AttendEmitter::readKeys(Value block, int64_t batch, bool isWhole) {
  constexpr int64_t kStep = 16 * 16 * 4; // bytes from a lane's column to its next one
  int64_t first = batch * keyReads, count = std::min(keyReads, size / 16 - first);
  auto runAt = [&](Value position) {
    Value run = e.mul(e.div(position, 16), size * 64);
    return e.at(keyBase, e.add(run, e.mul(e.rem(position, 16), 4)));
  };
  if (isWhole) {
    Value at = e.at(runAt(block), e.mul(quad, 16));
    for (int64_t i = 0; i < count; ++i) {
      SmallVector<Value, 4> four = loadQuad(e, at, (first + i) * kStep);
      for (int64_t j = 0; j < 4; ++j)
        key(i, j).set(e, four[j]);
    }
    return;
  }
  for (int64_t j = 0; j < 4; ++j) {
    Value at = runAt(e.min(e.add(block, e.add(e.mul(quad, 4), j)), e.sub(past, 1)));
    for (int64_t i = 0; i < count; ++i)
      key(i, j).set(e, e.load(e.f32(), e.at(at, (first + i) * kStep)));
  }
}

// The position whose values are read as the lane's `row`.
Value AttendEmitter::rowOf(Value block, int64_t row) {
  Value first = lanesOfRow < kWarp ? e.mul(e.div(e.lane, lanesOfRow), rowsOfLane) : e.constant(0);
  Value position = e.add(block, e.add(first, row));
  return op.getWindow() ? e.max(position, low) : position;
}

// First column of a lane's quad. Lanes beyond the row read its last one; nobody asks for their sum.
Value AttendEmitter::quadOf(int64_t which) {
  Value index = e.add(e.rem(e.lane, lanesOfRow), which * kWarp);
  if ((which + 1) * lanesOfRow > size / 4)
    index = e.min(index, e.constant(size / 4 - 1));
  return e.mul(index, 4);
}

void AttendEmitter::readValues(Value block, int64_t batch, bool isWhole) {
  // Rows that are all there lie at known distances.
  bool isRegular = isWhole && !op.getWindow();
  for (int64_t row = 0; row < rows; ++row) {
    Value position = rowOf(block, isRegular ? 0 : batch * rows + row);
    if (!isWhole)
      position = e.min(position, e.sub(past, 1));
    for (int64_t which = 0; which < quads; ++which) {
      Value at = e.at(valueBase, e.mul(e.add(e.mul(position, size), quadOf(which)), 4));
      SmallVector<Value, 4> four = loadQuad(e, at, isRegular ? (batch * rows + row) * size * 4 : 0);
      for (int64_t i = 0; i < 4; ++i)
        value(row, which, i).set(e, four[i]);
    }
  }
}

// What the context has of a block, by wide reads if it has all of it; `read` is told which.
void AttendEmitter::readPast(Value block, llvm::function_ref<void(bool isWhole)> read) {
  e.when(
      e.less(past, e.add(block, kBlock)),
      [&] { e.when(e.less(block, past), [&] { read(false); }); }, [&] { read(true); });
}

// The first batches of a block, if the slot's part has such a block.
void AttendEmitter::readAhead(Value block) {
  e.when(e.less(block, high), [&] {
    readPast(block, [&](bool isWhole) {
      readKeys(block, 0, isWhole);
      readValues(block, 0, isWhole);
    });
  });
}

// What the block has of this play's positions, over what was read in their place.
void AttendEmitter::takeFreshKeys(Value block, int64_t batch) {
  if (!op.getKeys())
    return;
  int64_t first = batch * keyReads, count = std::min(keyReads, size / 16 - first);
  e.when(e.less(past, e.add(block, kBlock)), [&] {
    for (int64_t j = 0; j < 4; ++j) {
      Value position = e.add(block, e.add(e.mul(quad, 4), j));
      Value isPast = e.less(position, base);
      Value slot = e.sub(e.min(e.max(position, base), e.sub(high, 1)), base);
      Value at = s.elementAt(keys, slot, column);
      for (int64_t i = 0; i < count; ++i) {
        Value fresh = e.load(e.f32(), e.at(at, (first + i) * 16 * 4));
        key(i, j).set(e, e.select(isPast, key(i, j).get(e), fresh));
      }
    }
  });
}

void AttendEmitter::takeFreshValues(Value block, int64_t batch) {
  if (!op.getKeys())
    return;
  e.when(e.less(past, e.add(block, kBlock)), [&] {
    for (int64_t row = 0; row < rows; ++row) {
      Value position = rowOf(block, batch * rows + row);
      Value isPast = e.less(position, base);
      Value slot = e.sub(e.min(e.max(position, base), e.sub(high, 1)), base);
      for (int64_t which = 0; which < quads; ++which) {
        Value fresh = e.load(e.vector(e.f32(), 4), s.elementAt(values, slot, quadOf(which)));
        for (int64_t i = 0; i < 4; ++i) {
          Variable &variable = value(row, which, i);
          variable.set(e, e.select(isPast, variable.get(e), e.element(fresh, i)));
        }
      }
    }
  });
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

// Of the lane's columns: four positions of each head, head by head.
SmallVector<Value> AttendEmitter::sumColumns(Value block) {
  SmallVector<Value> products(4 * padded, e.real(0));
  for (int64_t batch = 0; batch < keyBatches; ++batch) {
    if (batch > 0)
      readPast(block, [&](bool isWhole) { readKeys(block, batch, isWhole); });
    takeFreshKeys(block, batch);
    int64_t first = batch * keyReads, count = std::min(keyReads, size / 16 - first);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t h = 0; h < heads; ++h) {
        // Read for each block: these reads are many, but short, and registers are few.
        Value query = e.load(e.f32(), e.at(ownQueries, (h * size + (first + i) * 16) * 4));
        for (int64_t j = 0; j < 4; ++j)
          products[4 * h + j] = e.fma(query, key(i, j).get(e), products[4 * h + j]);
      }
  }
  return products;
}

// Sums over the lanes with the same quad of positions. While a lane has several, it gives away half
// of them at each step.
SmallVector<Value> AttendEmitter::joinLanes(SmallVector<Value> sums) {
  for (int64_t mask = kWarp / 2; mask > 1; mask /= 2) {
    size_t half = sums.size() / 2;
    if (half == 0) {
      sums[0] = e.fadd(sums[0], e.shuffleXor(sums[0], mask));
      continue;
    }
    Value isUpper = e.differ(e.both(e.lane, e.constant(mask)), 0);
    for (size_t i = 0; i < half; ++i) {
      Value kept = e.select(isUpper, sums[i + half], sums[i]);
      Value given = e.select(isUpper, sums[i], sums[i + half]);
      sums[i] = e.fadd(kept, e.shuffleXor(given, mask));
    }
    sums.truncate(half);
  }
  return sums;
}

// Takes the block into the running softmax of the lane's head, and tells all lanes the weights.
void AttendEmitter::weigh(Value block, ArrayRef<Value> products) {
  SmallVector<Value> scores, weights;
  Value most;
  for (auto [i, product] : llvm::enumerate(products)) {
    Value position = e.add(block, e.add(firstOfLane, i));
    Value counts = e.both(e.negate(e.less(position, low)), e.less(position, high));
    Value score = e.fmul(product, e.real(op.getScale().convertToDouble()));
    scores.push_back(e.select(counts, score, e.real(-std::numeric_limits<float>::infinity())));
    most = most ? e.fmax(most, scores.back()) : scores.back();
  }
  // The block has a position that counts, so `most` is a number.
  Value before = greatest.get(e);
  most = e.fmax(before, e.greatestLane(most, lanesOfHead));
  Value shrink = e.exp(e.fsub(before, most)), total = e.fmul(sum.get(e), shrink);
  for (Value score : scores) {
    weights.push_back(e.exp(e.fsub(score, most)));
    total = e.fadd(total, weights.back());
  }
  greatest.set(e, most);
  sum.set(e, total);
  Value row = e.at(exchange, e.mul(headOfLane, kExchange * 4));
  Value at = e.at(row, e.mul(firstOfLane, 4)), first = e.rem(e.lane, lanesOfHead);
  // Of lanes that have the same score, one.
  auto store = [&] { e.store(perLane == 1 ? weights[0] : e.vectorOf(weights), at); };
  int64_t same = std::max<int64_t>(1, 4 / padded);
  if (same == 1)
    store();
  else
    e.when(e.equal(e.both(e.lane, e.constant(2 * (same - 1))), 0), store);
  e.when(e.equal(first, 0), [&] { e.store(shrink, e.at(row, kBlock * 4)); });
  e.syncWarp();
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

void AttendEmitter::addValues(Value block) {
  Value own = lanesOfRow < kWarp ? e.mul(e.div(e.lane, lanesOfRow), rowsOfLane * 4) : e.constant(0);
  for (int64_t batch = 0; batch < rowsOfLane / rows; ++batch) {
    if (batch > 0) {
      readPast(block, [&](bool isWhole) { readValues(block, batch, isWhole); });
      takeFreshValues(block, batch);
    }
    int64_t width = std::min<int64_t>(rows, 4); // weights read at a time
    for (int64_t h = 0; h < heads; ++h) {
      Value row = e.at(exchange, h * kExchange * 4);
      SmallVector<Value> weights;
      for (int64_t i = 0; i < rows; i += width) {
        Value at = e.at(e.at(row, own), (batch * rows + i) * 4);
        Value some = e.load(width == 1 ? e.f32() : e.vector(e.f32(), width), at);
        for (int64_t j = 0; j < width; ++j)
          weights.push_back(width == 1 ? some : e.element(some, j));
      }
      Value shrink = batch == 0 ? e.load(e.f32(), e.at(row, kBlock * 4)) : Value();
      for (int64_t which = 0; which < quads; ++which)
        for (int64_t i = 0; i < 4; ++i) {
          Variable &variable = sums[(h * quads + which) * 4 + i];
          Value total = variable.get(e);
          if (shrink)
            total = e.fmul(total, shrink);
          for (int64_t r = 0; r < rows; ++r)
            total = e.fma(weights[r], value(r, which, i).get(e), total);
          variable.set(e, total);
        }
    }
  }
}

// The first batches of the block's keys and values are in registers; in the end the next block's
// are on their way.
void AttendEmitter::attendBlock(Value block, Value next) {
  weigh(block, joinLanes(sumColumns(block)));
  takeFreshValues(block, 0);
  addValues(block);
  readAhead(next);
  e.syncWarp(); // before weights are overwritten
}

} // namespace pianola::nvptx
