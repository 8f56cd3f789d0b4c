//===- AttendBlock.cpp - Attention of a warp to eight positions -----------===//

#include "targets/nvptx/Attend.h"
#include <limits>

using namespace mlir;

namespace pianola::nvptx {

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

// The lane's line of a read's sixteen. Where these are fewer, some come twice, and count once: see
// sumColumns.
Value AttendEmitter::lineOf(int64_t read) {
  int64_t lines = size / layout.pair - read * 16;
  return lines < 16 ? e.rem(column, lines) : column;
}

// Where a position of the block stands.
Value AttendEmitter::placeIn(Value block, Value position) {
  if (!layout.type.getRing())
    return position;
  return e.add(layout.place(e, block), e.sub(position, block));
}

void AttendEmitter::readKeys(Value block, int64_t batch, bool isWhole) {
  int64_t first = batch * keyReads, count = std::min(keyReads, allKeyReads - first);
  auto lineAt = [&](Value position, int64_t read) {
    Value at = layout.keyAt(e, keyBase, placeIn(block, position));
    return e.at(at, e.mul(lineOf(read), layout.lineBytes));
  };
  int64_t step = 16 * layout.lineBytes;
  if (isWhole) {
    Value position = e.add(block, e.mul(quad, 4));
    for (int64_t i = 0; i < count; ++i) {
      SmallVector<Value, 4> read = loadWords(e, layout.wordType(e), layout.words,
                                             lineAt(position, first + i), (first + i) * step);
      for (int64_t j = 0; j < layout.words; ++j)
        key(i, j).set(e, read[j]);
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    SmallVector<Value> four;
    for (int64_t j = 0; j < 4; ++j) {
      Value position = e.min(e.add(block, e.add(e.mul(quad, 4), j)), e.sub(past, 1));
      Value at = e.at(lineAt(position, first + i), (first + i) * step);
      four.push_back(layout.hasCodes ? loadNarrow(e, e.builder.getI8Type(), at)
                                     : e.load(layout.wordType(e), at));
    }
    if (layout.hasCodes)
      four = {packBytes(e, four)};
    for (int64_t j = 0; j < layout.words; ++j)
      key(i, j).set(e, four[j]);
  }
}

// The first position whose values are read as the lane's `row`.
Value AttendEmitter::rowOf(Value block, int64_t row) {
  Value first = e.constant(0);
  if (lanesOfRow < kWarp)
    first = e.mul(e.div(e.lane, lanesOfRow), rowsOfLane * layout.pair);
  Value position = e.add(block, e.add(first, row * layout.pair));
  return op.getReach() ? e.max(position, e.both(low, e.constant(-layout.pair))) : position;
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
  bool isRegular = isWhole && !op.getReach();
  auto quadAt = [&](Value position, int64_t which) {
    Value row = layout.rowAt(e, valueBase, placeIn(block, position));
    return e.at(row, e.mul(quadOf(which), layout.columnBytes));
  };
  for (int64_t row = 0; row < rows; ++row) {
    Value position = rowOf(block, isRegular ? 0 : batch * rows + row);
    int64_t offset = isRegular ? (batch * rows + row) * layout.rowBytes : 0;
    for (int64_t which = 0; which < quads; ++which) {
      SmallVector<Value, 4> read;
      if (isWhole || layout.pair == 1) {
        Value place = isWhole ? position : e.min(position, e.sub(past, 1));
        read = loadWords(e, layout.wordType(e), layout.words, quadAt(place, which), offset);
      } else {
        for (int64_t r = 0; r < 2; ++r) {
          Value place = e.min(e.add(position, r), e.sub(past, 1));
          Value at = e.at(quadAt(place, which), e.mul(e.rem(place, 2), 2));
          for (int64_t i = 0; i < 4; ++i) {
            Value number = loadNarrow(e, e.i16(), e.at(at, i * layout.columnBytes));
            if (r == 0)
              read.push_back(number);
            else
              read[i] = e.either(read[i], e.shiftLeft(number, 16));
          }
        }
      }
      for (int64_t i = 0; i < layout.words; ++i)
        value(row, which, i).set(e, read[i]);
    }
  }
}

void AttendEmitter::readScales(Value block, bool isWhole) {
  for (tile::ContextPart part : {tile::ContextPart::Key, tile::ContextPart::Value}) {
    Value half = part == tile::ContextPart::Key ? keyBase : valueBase;
    Value position = e.add(block, firstOfLane);
    SmallVector<Value, 4> read;
    auto scaleAt = [&](Value position) {
      return layout.scaleAt(e, half, placeIn(block, position));
    };
    if (isWhole)
      read = loadWords(e, e.f32(), perLane, scaleAt(position));
    for (int64_t i = 0; i < perLane; ++i) {
      if (!isWhole)
        read.push_back(e.load(e.f32(), scaleAt(e.min(e.add(position, i), e.sub(past, 1)))));
      scale(part, i).set(e, read[i]);
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
      if (layout.hasCodes)
        readScales(block, isWhole);
    });
  });
}

//===----------------------------------------------------------------------===//
// Positions of this play
//===----------------------------------------------------------------------===//

// Whether a position is the context's, and the play's slot that it is otherwise.
std::pair<Value, Value> AttendEmitter::findFresh(Value position) {
  Value slot = e.sub(e.min(e.max(position, base), e.sub(high, 1)), base);
  return {e.less(position, base), slot};
}

// What the block has of this play's positions, over what was read in their place.
void AttendEmitter::takeFreshKeys(Value block, int64_t batch) {
  if (!op.getKeys())
    return;
  int64_t first = batch * keyReads, count = std::min(keyReads, allKeyReads - first);
  e.when(e.less(past, e.add(block, kBlock)), [&] {
    SmallVector<Value> kept(count); // of words of codes
    for (int64_t j = 0; j < 4; ++j) {
      auto [isPast, slot] = findFresh(e.add(block, e.add(e.mul(quad, 4), j)));
      for (int64_t i = 0; i < count; ++i) {
        Value line = lineOf(first + i);
        if (layout.hasCodes) {
          Value at = e.at(e.at(s.row(freshKeys, slot), line), (first + i) * 16);
          Value code = e.shiftLeft(loadNarrow(e, e.builder.getI8Type(), at), 8 * j);
          Value before = j ? kept[i] : key(i, 0).get(e);
          Value others = e.both(before, e.constant(int64_t(~(255u << 8 * j))));
          kept[i] = e.select(isPast, before, e.either(others, code));
          continue;
        }
        Value at = s.elementAt(keys, slot, e.mul(line, layout.pair)), fresh;
        at = e.at(at, (first + i) * 16 * layout.pair * 4);
        if (layout.pair == 1) {
          fresh = e.load(e.f32(), at);
        } else {
          Value two = e.load(e.vector(e.f32(), 2), at);
          fresh = e.packBf16(e.element(two, 0), e.element(two, 1));
        }
        key(i, j).set(e, e.select(isPast, key(i, j).get(e), fresh));
      }
    }
    if (layout.hasCodes)
      for (int64_t i = 0; i < count; ++i)
        key(i, 0).set(e, kept[i]);
  });
}

void AttendEmitter::takeFreshValues(Value block, int64_t batch) {
  if (!op.getKeys())
    return;
  e.when(e.less(past, e.add(block, kBlock)), [&] {
    for (int64_t row = 0; row < rows; ++row) {
      Value position = rowOf(block, batch * rows + row);
      for (int64_t which = 0; which < quads; ++which) {
        Value column = quadOf(which);
        for (int64_t r = 0; r < layout.pair; ++r) {
          auto [isPast, slot] = findFresh(e.add(position, r));
          if (layout.hasCodes) {
            Value fresh = e.load(e.i32(), e.at(s.row(freshValues, slot), column));
            Variable &variable = value(row, which, 0);
            variable.set(e, e.select(isPast, variable.get(e), fresh));
            continue;
          }
          Value fresh = e.load(e.vector(e.f32(), 4), s.elementAt(values, slot, column));
          for (int64_t i = 0; i < 4; ++i) {
            Variable &variable = value(row, which, i);
            Value before = variable.get(e), number = e.element(fresh, i);
            if (layout.pair == 2) {
              // In its half of the word.
              Value zero = e.real(0);
              Value rounded = r ? e.packBf16(zero, number) : e.packBf16(number, zero);
              Value other = e.both(before, e.constant(int64_t(r ? 0xffffu : 0xffff0000u)));
              number = e.either(other, rounded);
            }
            variable.set(e, e.select(isPast, before, number));
          }
        }
      }
    }
  });
}

void AttendEmitter::takeFreshScales(Value block) {
  if (!op.getKeys())
    return;
  e.when(e.less(past, e.add(block, kBlock)), [&] {
    for (int64_t i = 0; i < perLane; ++i) {
      auto [isPast, slot] = findFresh(e.add(block, e.add(firstOfLane, i)));
      for (tile::ContextPart part : {tile::ContextPart::Key, tile::ContextPart::Value}) {
        Value scales = part == tile::ContextPart::Key ? keyScales : valueScales;
        Value fresh = e.load(e.f32(), e.at(scales, e.mul(slot, 4)));
        Variable &variable = scale(part, i);
        variable.set(e, e.select(isPast, variable.get(e), fresh));
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
  for (int64_t batch = 0; batch * keyReads < allKeyReads; ++batch) {
    if (batch > 0)
      readPast(block, [&](bool isWhole) { readKeys(block, batch, isWhole); });
    takeFreshKeys(block, batch);
    int64_t first = batch * keyReads, count = std::min(keyReads, allKeyReads - first);
    for (int64_t i = 0; i < count; ++i) {
      Value isTwice;
      if (int64_t lines = size / layout.pair - (first + i) * 16; lines < 16)
        isTwice = e.negate(e.less(column, lines));
      Value own = e.at(ownQueries, e.mul(lineOf(first + i), 4 * layout.pair));
      for (int64_t c = 0; c < layout.pair; ++c) {
        SmallVector<Value, 4> numbers;
        for (int64_t j = 0; j < 4; ++j)
          numbers.push_back(layout.hasCodes ? layout.number(e, key(i, 0).get(e), j)
                                            : layout.number(e, key(i, j).get(e), c));
        for (int64_t h = 0; h < heads; ++h) {
          // Read for each block: these reads are many, but short, and registers are few.
          int64_t further = h * size + (first + i) * 16 * layout.pair + c;
          Value query = e.load(e.f32(), e.at(own, further * 4));
          if (isTwice)
            query = e.select(isTwice, e.real(0), query);
          for (int64_t j = 0; j < 4; ++j)
            products[4 * h + j] = e.fma(query, numbers[j], products[4 * h + j]);
        }
      }
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
    if (chosen) {
      Value bit = e.both(e.shiftRight(chosen, e.add(firstOfLane, i)), e.constant(1));
      counts = e.both(counts, e.differ(bit, 0));
    }
    Value score = e.fmul(product, e.real(op.getScale().convertToDouble()));
    if (layout.hasCodes)
      score = e.fmul(score, scale(tile::ContextPart::Key, i).get(e));
    if (op.getCap())
      score = e.softcap(score, op.getCap()->convertToDouble());
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
  if (layout.hasCodes)
    for (auto [i, weight] : llvm::enumerate(weights))
      weight = e.fmul(weight, scale(tile::ContextPart::Value, i).get(e));
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

// Of the batch's positions, as a number.
Value AttendEmitter::valueAt(int64_t position, int64_t which, int64_t i) {
  Value word = value(position / layout.pair, which, layout.hasCodes ? 0 : i).get(e);
  return layout.number(e, word, layout.hasCodes ? i : position % layout.pair);
}

void AttendEmitter::addValues(Value block) {
  int64_t positions = rows * layout.pair; // of a batch
  Value own = e.constant(0);
  if (lanesOfRow < kWarp)
    own = e.mul(e.div(e.lane, lanesOfRow), rowsOfLane * layout.pair * 4);
  for (int64_t batch = 0; batch < rowsOfLane / rows; ++batch) {
    if (batch > 0) {
      readPast(block, [&](bool isWhole) { readValues(block, batch, isWhole); });
      takeFreshValues(block, batch);
    }
    // Few at a time: numbers of pairs and codes need registers of their own.
    int64_t width = std::min<int64_t>(positions, 4);
    for (int64_t first = 0; first < positions; first += width) {
      for (int64_t h = 0; h < heads; ++h) {
        Value row = e.at(exchange, h * kExchange * 4);
        Value at = e.at(e.at(row, own), (batch * positions + first) * 4);
        Value some = e.load(width == 1 ? e.f32() : e.vector(e.f32(), width), at);
        Value shrink;
        if (batch == 0 && first == 0)
          shrink = e.load(e.f32(), e.at(row, kBlock * 4));
        for (int64_t which = 0; which < quads; ++which)
          for (int64_t i = 0; i < 4; ++i) {
            Variable &variable = sums[(h * quads + which) * 4 + i];
            Value total = variable.get(e);
            if (shrink)
              total = e.fmul(total, shrink);
            for (int64_t r = 0; r < width; ++r)
              total = e.fma(width == 1 ? some : e.element(some, r), valueAt(first + r, which, i),
                            total);
            variable.set(e, total);
          }
      }
      // Or else numbers are kept, and words are no longer fewer.
      if (!layout.type.getElement().isF32())
        for (Variable &variable : sums)
          variable.set(e, computeNow(e, variable.get(e)));
    }
  }
}

// The first batches of the block's keys and values are in registers; in the end the next block's
// are on their way.
void AttendEmitter::attendBlock(Value block, Value next) {
  SmallVector<Value> products = joinLanes(sumColumns(block));
  if (layout.hasCodes)
    takeFreshScales(block);
  weigh(block, products);
  takeFreshValues(block, 0);
  addValues(block);
  readAhead(next);
  e.syncWarp(); // before weights are overwritten
}

} // namespace pianola::nvptx
