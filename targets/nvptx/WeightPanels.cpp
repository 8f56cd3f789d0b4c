//===- WeightPanels.cpp - Weights from the ring to operands ---------------===//

#include "targets/nvptx/WeightPanels.h"
#include "dialects/tile/Tape.h"

using namespace mlir;

namespace pianola::nvptx {

// Two equal bf16, by their bits.
static int64_t twice(int64_t bf16) { return bf16 << 16 | bf16; }

bool takesSplit(Type element) { return element.isBF16() || !encoding::isPlain(element); }

bool takesBareCodes(tile::MatrixType matrix, int64_t slots) {
  return matrix.getCodes() && tile::areWeightsFirst(matrix.getRows(), slots);
}

WeightPanels::WeightPanels(Kernel &kernel, Ring &ring, tile::MatrixType matrix, bool areA,
                           bool areBare, int64_t apart, Value mine)
    : e(kernel), ring(ring), matrix(matrix), codes(matrix.getCodes()), areA(areA), areBare(areBare),
      groupsApart(apart), firstGroup(mine) {}

int64_t WeightPanels::exponent() const {
  if (!codes)
    return 0;
  switch (codes.getCode()) {
  case encoding::Code::I8:
  case encoding::Code::I4:
    return areBare ? -133 : -6;
  case encoding::Code::F8E4M3:
    return areBare ? -120 : 0;
  case encoding::Code::F4E2M1:
    return areBare ? -126 : 0;
  }
  llvm_unreachable("unknown code");
}

int64_t WeightPanels::stepsOfScale() const {
  return codes && matrix.getPanelScales() ? matrix.getScaleColumns() / 32 : 0;
}

// A sum of 16 rows is of rows g and g + 8; one of 8 columns of rows 2t and 2t + 1.
WeightPanels::Scales WeightPanels::scalesOf(int64_t ofRow) const {
  int64_t bytes = (areA ? 1 : 2) * ofRow * codes.getScaleBytes();
  return {ofRow, bytes, (bytes + 3) / 4, codes.getZeros() ? 1 : 0};
}

// Where groups are apart, each scale and each zero point has a register.
WeightPanels::Scales WeightPanels::ofPanel() const {
  Scales scales = scalesOf(matrix.getPanelScales());
  if (groupsApart > 1)
    scales = {scales.ofRow, codes.getScaleBytes(), scales.ofRow / groupsApart,
              codes.getZeros() ? scales.ofRow / groupsApart : 0};
  return scales;
}

//===----------------------------------------------------------------------===//
// From the ring
//===----------------------------------------------------------------------===//

// Bytes as words, the last perhaps in part.
SmallVector<Value> WeightPanels::load(Value position, Value within, int64_t further, int64_t bytes,
                                      int64_t alignment) {
  if (bytes < 4) {
    Type type = e.builder.getIntegerType(bytes * 8);
    Value part = e.load(type, ring.at(position, within, further), alignment);
    return {e.builder.create<arith::ExtUIOp>(e.loc, e.i32(), part)};
  }
  SmallVector<Value> words;
  for (int64_t at = 0; at < bytes;) {
    int64_t count = std::min<int64_t>(bytes - at, 16) / 4;
    Value from = ring.at(position, within, further + at);
    if (count == 1) {
      words.push_back(e.load(e.i32(), from));
    } else {
      Value several = e.load(e.vector(e.i32(), count), from);
      for (int64_t i = 0; i < count; ++i)
        words.push_back(e.element(several, i));
    }
    at += count * 4;
  }
  return words;
}

void WeightPanels::readScales(Value position, int64_t further, const Scales &scales,
                              SmallVectorImpl<Value> &into) {
  Value g = e.shiftRight(e.lane, 2), t = e.both(e.lane, e.constant(3));
  int64_t ofRow = scales.ofRow * codes.getScaleBytes();
  Value mine = e.mul(areA ? g : t, scales.bytes);
  for (int64_t block = 0; block < blocks(); ++block)
    llvm::append_range(
        into, load(position, mine, further + block * 8 * ofRow, scales.bytes, scales.bytes));
  if (!codes.getZeros())
    return;
  Value zeros = e.mul(g, scales.ofRow);
  further += matrix.getScalesBytes(scales.ofRow);
  for (int64_t block = 0; block < blocks(); ++block)
    llvm::append_range(into, load(position, zeros, further + block * 8 * scales.ofRow, scales.ofRow,
                                  scales.ofRow));
}

void WeightPanels::readApart(Value position, int64_t further, SmallVectorImpl<Value> &into) {
  int64_t ofRow = matrix.getPanelScales();
  Value mine = e.add(e.mul(e.shiftRight(e.lane, 2), ofRow), firstGroup);
  auto read = [&](int64_t bytes, int64_t from) {
    for (int64_t block = 0; block < blocks(); ++block)
      for (int64_t at = 0; at < ofRow; at += groupsApart)
        llvm::append_range(into, load(position, e.mul(mine, bytes),
                                      from + (block * 8 * ofRow + at) * bytes, bytes, bytes));
  };
  read(codes.getScaleBytes(), further);
  if (codes.getZeros())
    read(1, further + matrix.getScalesBytes(ofRow));
}

SmallVector<Value> WeightPanels::readRows(Value start) {
  SmallVector<Value> registers;
  if (hasRowScales())
    readScales(ring.await(start, matrix.getFirstPanel()), 0, scalesOf(1), registers);
  return registers;
}

SmallVector<Value> WeightPanels::takeRows(Value start, ArrayRef<Value> &taken) {
  if (taken.empty())
    return readRows(start);
  SmallVector<Value> rows(taken.take_front(zerosOfRows().size()));
  taken = taken.drop_front(rows.size());
  return rows;
}

SmallVector<Value> WeightPanels::read(Value position, int64_t which) {
  Type quad = e.vector(e.i32(), 4);
  Value mine = e.mul(e.lane, 16);
  int64_t further = which * matrix.getPanelBytes();
  SmallVector<Value> registers;
  for (int64_t block = 0; block < blocks(); ++block)
    registers.push_back(
        e.load(quad, ring.at(position, mine, further + bytesBeforeCodes() + block * 512)));
  if (matrix.isPruned())
    for (int64_t block = 0; block < blocks(); ++block)
      llvm::append_range(registers, load(position, e.mul(e.lane, 2), further + block * 64, 2, 2));
  else if (matrix.getKept())
    llvm::append_range(registers, load(position, e.constant(0), further, 4, 4));
  else if (stepsOfScale() && groupsApart > 1)
    readApart(position, further, registers);
  else if (stepsOfScale())
    readScales(position, further, scalesOf(matrix.getPanelScales()), registers);
  return registers;
}

SmallVector<Value> WeightPanels::zerosFor(const Scales &scales) {
  return SmallVector<Value>(blocks() * (scales.words + scales.zeros), e.constant(0));
}

SmallVector<Value> WeightPanels::zeros() {
  SmallVector<Value> registers(blocks(), e.zeros(e.vector(e.i32(), 4)));
  if (matrix.isPruned())
    registers.append(blocks(), e.constant(0));
  else if (matrix.getKept())
    registers.push_back(e.constant(0));
  else if (stepsOfScale())
    llvm::append_range(registers, zerosFor(ofPanel()));
  return registers;
}

SmallVector<Value> WeightPanels::zerosOfRows() {
  return hasRowScales() ? zerosFor(scalesOf(1)) : SmallVector<Value>();
}

// Registers stand kind by kind, and of each kind block by block.
SmallVector<Value> WeightPanels::fold(ArrayRef<Value> first, ArrayRef<Value> second) {
  SmallVector<Value> folded;
  auto join = [&](int64_t count) {
    for (ArrayRef<Value> *each : {&first, &second}) {
      llvm::append_range(folded, each->take_front(count));
      *each = each->drop_front(count);
    }
  };
  join(1);
  if (stepsOfScale()) {
    join(ofPanel().words);
    join(ofPanel().zeros);
  }
  return folded;
}

SmallVector<Value> WeightPanels::foldRows(ArrayRef<Value> ofRows) {
  SmallVector<Value> folded;
  // A scale, and perhaps a zero point.
  for (Value each : ofRows)
    folded.append(2, each);
  return folded;
}

//===----------------------------------------------------------------------===//
// Scales
//===----------------------------------------------------------------------===//

Value scaleIn(Emitter &e, encoding::Scale type, ArrayRef<Value> words, int64_t index) {
  switch (type) {
  case encoding::Scale::F32:
    return e.bits(words[index], e.f32());
  case encoding::Scale::BF16:
    return index % 2 ? e.highBf16(words[index / 2]) : e.lowBf16(words[index / 2]);
  case encoding::Scale::F16: {
    Value half = e.builder.create<arith::TruncIOp>(
        e.loc, e.i16(), index % 2 ? e.shiftRight(words[index / 2], 16) : words[index / 2]);
    return e.widenElement(e.bits(half, e.builder.getF16Type()));
  }
  case encoding::Scale::E8M0: {
    // 2^-127, of a byte of 0, is the greatest denormal's half.
    Value byte = e.both(e.shiftRight(words[index / 4], index % 4 * 8), e.constant(255));
    return e.bits(e.max(e.shiftLeft(byte, 23), e.constant(1 << 22)), e.f32());
  }
  }
  llvm_unreachable("unknown scale");
}

// Which rows the four sums are of: see SplitProducts.cpp.
SmallVector<Value, 4> WeightPanels::scalesOfSums(ArrayRef<Value> registers, const Scales &scales,
                                                 int64_t group, int64_t index) {
  auto wordsOf = [&](int64_t block) { return registers.slice(block * scales.words, scales.words); };
  if (!areA) {
    Value even = scaleIn(e, codes.getScale(), wordsOf(group), index);
    Value odd = scaleIn(e, codes.getScale(), wordsOf(group), scales.ofRow + index);
    return {even, odd, even, odd};
  }
  if (blocksOfA() == 1) {
    Value one = scaleIn(e, codes.getScale(), wordsOf(0), index);
    return {one, one, one, one};
  }
  Value upper = scaleIn(e, codes.getScale(), wordsOf(2 * group), index),
        lower = scaleIn(e, codes.getScale(), wordsOf(2 * group + 1), index);
  return {upper, upper, lower, lower};
}

SmallVector<Value, 4> WeightPanels::rowScales(ArrayRef<Value> ofRows, int64_t group) {
  return scalesOfSums(ofRows, scalesOf(1), group, 0);
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

Value WeightPanels::zeroOfRow(ArrayRef<Value> ofRows, int64_t block) {
  return codes.getZeros() ? ofRows[blocksOfA() * scalesOf(1).words + block] : Value();
}

WeightPanels::Step WeightPanels::step(ArrayRef<Value> panel, ArrayRef<Value> ofRows,
                                      int64_t number) {
  Step step;
  if (matrix.isPruned()) {
    for (int64_t block = 0; block < blocks(); ++block)
      llvm::append_range(step.pairs, spread(e.element(panel[block], 2 * number),
                                            e.element(panel[block], 2 * number + 1),
                                            panel[blocks() + block], number));
    return step;
  }
  if (!codes) {
    for (Value quad : panel.take_front(blocks()))
      for (int64_t i = 0; i < 4; ++i)
        step.pairs.push_back(e.element(quad, i));
    return step;
  }
  Scales scales{};
  ArrayRef<Value> behind = panel.drop_front(blocks());
  int64_t index = 0;
  if (stepsOfScale()) {
    scales = scalesOf(matrix.getPanelScales());
    index = number / stepsOfScale();
    for (int64_t group = 0; group < groups(); ++group)
      step.scales.push_back(scalesOfSums(behind, scales, group, index));
  }
  for (int64_t block = 0; block < blocks(); ++block) {
    Value zero;
    if (scales.zeros)
      zero =
          e.both(e.shiftRight(behind[blocks() * scales.words + block], index * 8), e.constant(255));
    else
      zero = zeroOfRow(ofRows, block);
    bool isByte = codes.getCodeBits() == 8;
    Value low = e.element(panel[block], isByte ? 2 * number : number);
    Value high = isByte ? e.element(panel[block], 2 * number + 1) : Value();
    llvm::append_range(step.pairs, unpackGreater(low, high, zero));
  }
  return step;
}

WeightPanels::Step WeightPanels::readStep(Value position, ArrayRef<Value> ofRows, Value number) {
  assert(!encoding::isPlain(matrix.getElement()) && !areA && "what weights are A for has few sums");
  if (matrix.isPruned()) {
    Step step;
    for (int64_t block = 0; block < blocks(); ++block) {
      SmallVector<Value> words = load(position, e.add(e.mul(e.lane, 16), e.mul(number, 8)),
                                      bytesBeforeCodes() + block * 512, 8, 8);
      Value pattern = load(position, e.add(e.mul(e.lane, 2), number), block * 64, 1, 1).front();
      llvm::append_range(step.pairs, spread(words[0], words[1], pattern, 0));
    }
    return step;
  }
  Value g = e.shiftRight(e.lane, 2), t = e.both(e.lane, e.constant(3));
  int64_t ofRow = matrix.getPanelScales(), bytes = codes.getScaleBytes();
  Value index = stepsOfScale() ? e.div(number, stepsOfScale()) : Value();
  Value mine = e.add(e.mul(e.lane, 16), e.mul(number, codes.getCodeBits()));
  Step step;
  for (int64_t block = 0; block < blocks(); ++block) {
    if (index) {
      Value row = e.add(e.mul(t, 2), block * 8);
      auto scaleAt = [&](Value row) {
        Value at = e.mul(e.add(e.mul(row, ofRow), index), bytes);
        return scaleIn(e, codes.getScale(), load(position, at, 0, bytes, bytes), 0);
      };
      Value even = scaleAt(row), odd = scaleAt(e.add(row, 1));
      step.scales.push_back({even, odd, even, odd});
    }
    Value zero = index ? Value() : zeroOfRow(ofRows, block);
    if (index && codes.getZeros()) {
      Value at = e.add(e.mul(e.add(g, block * 8), ofRow), index);
      zero = load(position, at, matrix.getScalesBytes(ofRow), 1, 1).front();
    }
    SmallVector<Value> words =
        load(position, mine, bytesBeforeCodes() + block * 512, codes.getCodeBits(), 4);
    llvm::append_range(step.pairs, unpackGreater(words.front(), words.back(), zero));
  }
  return step;
}

SmallVector<Value> WeightPanels::bareStep(ArrayRef<Value> panel, int64_t number) {
  SmallVector<Value> pairs;
  bool isByte = codes.getCodeBits() == 8;
  for (Value quad : panel.take_front(blocksOfA()))
    llvm::append_range(pairs, unpack(e.element(quad, isByte ? 2 * number : number),
                                     isByte ? e.element(quad, 2 * number + 1) : Value()));
  return pairs;
}

SmallVector<Value, 4> WeightPanels::bareScales(ArrayRef<Value> panel, int64_t group,
                                               int64_t batch) {
  ArrayRef<Value> behind = panel.drop_front(blocksOfA());
  Scales scales = ofPanel();
  if (groupsApart == 1)
    return scalesOfSums(behind, scales, group, batch);
  Value upper = scaleIn(e, codes.getScale(), behind[2 * group * scales.words + batch], 0);
  Value lower = scaleIn(e, codes.getScale(), behind[(2 * group + 1) * scales.words + batch], 0);
  return {upper, upper, lower, lower};
}

Value WeightPanels::bareZero(ArrayRef<Value> panel, ArrayRef<Value> ofRows, int64_t block,
                             int64_t batch) {
  if (!stepsOfScale())
    return zeroOfRow(ofRows, block);
  Scales scales = ofPanel();
  ArrayRef<Value> zeros = panel.drop_front(blocksOfA() * (1 + scales.words));
  if (groupsApart > 1)
    return zeros[block * scales.zeros + batch];
  return e.both(e.shiftRight(zeros[block], batch * 8), e.constant(255));
}

//===----------------------------------------------------------------------===//
// Two of four columns
//===----------------------------------------------------------------------===//

// Four pairs of bf16 of what was kept of eight columns, by two patterns in the `number`-th byte.
//
// A byte of a word is chosen by four bits of a permutation's selector, and so is a byte of a
// selector: by the pattern, out of eight. Each half of a pair is one of what was kept, or zero.
SmallVector<Value, 4> WeightPanels::spread(Value first, Value second, Value patterns,
                                           int64_t number) {
  constexpr int64_t kFirst = 0x10, kSecond = 0x32, kZero = 0x44;
  // Of columns 0 to 3, by pattern.
  constexpr int64_t kHalves[4][6] = {{kFirst, kFirst, kFirst, kZero, kZero, kZero},
                                     {kSecond, kZero, kZero, kFirst, kFirst, kZero},
                                     {kZero, kSecond, kZero, kSecond, kZero, kFirst},
                                     {kZero, kZero, kSecond, kZero, kSecond, kSecond}};
  auto permute = [&](Value a, Value b, Value selector) {
    return e.call("llvm.nvvm.prmt", e.i32(), {a, b, selector});
  };
  Value halves[4]; // of all four patterns, a byte of each
  for (int64_t column = 0; column < 4; ++column) {
    int64_t words[2] = {};
    for (int64_t pattern = 0; pattern < 6; ++pattern)
      words[pattern / 4] |= kHalves[column][pattern] << pattern % 4 * 8;
    halves[column] = permute(e.constant(words[0]), e.constant(words[1]), patterns);
  }
  SmallVector<Value, 4> pairs(4);
  for (int64_t pair = 0; pair < 2; ++pair) {
    // Selectors of both patterns, one above the other.
    Value selectors =
        permute(halves[2 * pair], halves[2 * pair + 1], e.constant(number ? 0x7362 : 0x5140));
    pairs[pair] = permute(first, e.constant(0), selectors);
    pairs[2 + pair] = permute(second, e.constant(0), e.shiftRight(selectors, 16));
  }
  return pairs;
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

// Eight codes as they are: those of `low` and `high`, or all in `low`.
SmallVector<Value, 4> WeightPanels::unpack(Value low, Value high) {
  auto mask = [&](Value value, int64_t bits) { return e.both(value, e.constant(bits)); };
  // Bytes 2p and 2p + 1 of eight, each in the upper or the lower byte of a half.
  auto bytesOf = [&](int64_t p, bool isUpper) {
    int64_t chosen = p % 2 ? (isUpper ? 0x3424 : 0x4342) : (isUpper ? 0x1404 : 0x4140);
    return e.call("llvm.nvvm.prmt", e.i32(),
                  {p < 2 ? low : high, e.constant(0), e.constant(chosen)});
  };
  // A nibble's bits, `at` of its half, at bit `to`.
  auto moved = [&](int64_t from, int64_t to) {
    return to >= from ? e.shiftLeft(low, to - from) : e.shiftRight(low, from - to);
  };
  SmallVector<Value, 4> result;
  for (int64_t p = 0; p < 4; ++p)
    switch (codes.getCode()) {
    case encoding::Code::I8:
      result.push_back(bytesOf(p, false));
      break;
    case encoding::Code::I4:
      result.push_back(mask(moved(p / 2 * 8, 0), twice(p % 2 ? 0xf0 : 0xf)));
      break;
    case encoding::Code::F8E4M3: {
      Value both = bytesOf(p, true);
      result.push_back(
          e.either(mask(e.shiftRight(both, 4), twice(0x7f0)), mask(both, twice(0x8000))));
      break;
    }
    case encoding::Code::F4E2M1:
      result.push_back(
          e.either(mask(moved(4 * p, 6), twice(0x1c0)), mask(moved(4 * p + 3, 15), twice(0x8000))));
      break;
    }
  return result;
}

// The same, times 2^127 less z/64, or 2^120 or 2^126. A zero point is given in 32 bits.
SmallVector<Value, 4> WeightPanels::unpackGreater(Value low, Value high, Value zero) {
  constexpr int64_t kOne = 0x3f80;
  bool isInteger = codes.isInteger();
  Value less = e.constant(0);
  if (zero) {
    Value real = e.fmul(e.toReal(zero), e.real(-1.0 / 64));
    less = e.packBf16(real, real);
  } else if (isInteger) {
    less = e.constant(twice(codes.getCodeBits() == 8 ? 0xc000 : 0xbe00)); // -2, -1/8
  }
  SmallVector<Value, 4> result = unpack(low, high);
  for (int64_t p = 0; p < 4; ++p) {
    int64_t exponent = isInteger ? 127 : codes.getCode() == encoding::Code::F8E4M3 ? 120 : 126;
    if (codes.getCode() == encoding::Code::I4 && p % 2)
      exponent -= 4;
    result[p] = e.fmaPairs(result[p], e.constant(twice(kOne + (exponent << 7))), less);
  }
  return result;
}

} // namespace pianola::nvptx
