//===- WeightPanels.cpp - Weights from the ring to operands ---------------===//

#include "targets/nvptx/WeightPanels.h"

using namespace mlir;

namespace pianola::nvptx {

bool takesSplit(Type element) { return element.isBF16() || isa<encoding::ScaledType>(element); }

WeightPanels::WeightPanels(Kernel &kernel, tile::MatrixType matrix, bool areA)
    : e(kernel), matrix(matrix), codes(matrix.getCodes()), areA(areA) {}

int64_t WeightPanels::stepsOfScale() const {
  return codes && matrix.getPanelScales() ? matrix.getScaleColumns() / 32 : 0;
}

// A sum of 16 rows is of rows g and g + 8; one of 8 columns of rows 2t and 2t + 1.
WeightPanels::Scales WeightPanels::scalesOf(int64_t ofRow) const {
  int64_t bytes = (areA ? 1 : 2) * ofRow * codes.getScaleBytes();
  return {ofRow, bytes, (bytes + 3) / 4, codes.getZeros() ? 1 : 0};
}

//===----------------------------------------------------------------------===//
// From the ring
//===----------------------------------------------------------------------===//

// Bytes as words, the last perhaps in part.
SmallVector<Value> WeightPanels::load(Value position, Value within, int64_t bytes,
                                      int64_t alignment) {
  if (bytes < 4) {
    Type type = e.builder.getIntegerType(bytes * 8);
    Value part = e.load(type, e.inRing(position, within), alignment);
    return {e.builder.create<arith::ExtUIOp>(e.loc, e.i32(), part)};
  }
  SmallVector<Value> words;
  for (int64_t at = 0; at < bytes;) {
    int64_t count = std::min<int64_t>(bytes - at, 16) / 4;
    Value from = e.inRing(position, e.add(within, at));
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

void WeightPanels::readScales(Value position, const Scales &scales, SmallVectorImpl<Value> &into) {
  Value g = e.shiftRight(e.lane, 2), t = e.both(e.lane, e.constant(3));
  int64_t ofRow = scales.ofRow * codes.getScaleBytes();
  Value mine = e.mul(areA ? g : t, scales.bytes);
  for (int64_t block = 0; block < blocks(); ++block)
    llvm::append_range(into,
                       load(position, e.add(mine, block * 8 * ofRow), scales.bytes, scales.bytes));
  if (!codes.getZeros())
    return;
  Value zeros = e.add(e.mul(g, scales.ofRow), matrix.getScalesBytes(scales.ofRow));
  for (int64_t block = 0; block < blocks(); ++block)
    llvm::append_range(
        into, load(position, e.add(zeros, block * 8 * scales.ofRow), scales.ofRow, scales.ofRow));
}

SmallVector<Value> WeightPanels::readRows(Value start) {
  SmallVector<Value> registers;
  if (hasRowScales())
    readScales(e.ringBytes(start, matrix.getFirstPanel()), scalesOf(1), registers);
  return registers;
}

SmallVector<Value> WeightPanels::read(Value position) {
  Type quad = e.vector(e.i32(), 4);
  Value mine = e.mul(e.lane, 16);
  SmallVector<Value> registers;
  for (int64_t block = 0; block < blocks(); ++block)
    registers.push_back(e.load(quad, e.inRing(position, mine, bytesBeforeCodes() + block * 512)));
  if (stepsOfScale())
    readScales(position, scalesOf(matrix.getPanelScales()), registers);
  return registers;
}

SmallVector<Value> WeightPanels::zerosFor(const Scales &scales) {
  return SmallVector<Value>(blocks() * (scales.words + scales.zeros), e.constant(0));
}

SmallVector<Value> WeightPanels::zeros() {
  SmallVector<Value> registers(blocks(), e.zeros(e.vector(e.i32(), 4)));
  if (stepsOfScale())
    llvm::append_range(registers, zerosFor(scalesOf(matrix.getPanelScales())));
  return registers;
}

SmallVector<Value> WeightPanels::zerosOfRows() {
  return hasRowScales() ? zerosFor(scalesOf(1)) : SmallVector<Value>();
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
  if (blocks() == 1) {
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
  return codes.getZeros() ? ofRows[blocks() * scalesOf(1).words + block] : Value();
}

WeightPanels::Step WeightPanels::step(ArrayRef<Value> panel, ArrayRef<Value> ofRows,
                                      int64_t number) {
  Step step;
  if (!codes) {
    for (Value quad : panel)
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
    llvm::append_range(step.pairs, unpack(low, high, zero));
  }
  return step;
}

WeightPanels::Step WeightPanels::readStep(Value position, ArrayRef<Value> ofRows, Value number) {
  assert(codes && !areA && "what weights are A for has few sums");
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
        return scaleIn(e, codes.getScale(), load(position, at, bytes, bytes), 0);
      };
      Value even = scaleAt(row), odd = scaleAt(e.add(row, 1));
      step.scales.push_back({even, odd, even, odd});
    }
    Value zero = index ? Value() : zeroOfRow(ofRows, block);
    if (index && codes.getZeros()) {
      Value at = e.add(e.mul(e.add(g, block * 8), ofRow), index);
      zero = load(position, e.add(at, matrix.getScalesBytes(ofRow)), 1, 1).front();
    }
    SmallVector<Value> words =
        load(position, e.add(mine, bytesBeforeCodes() + block * 512), codes.getCodeBits(), 4);
    llvm::append_range(step.pairs, unpack(words.front(), words.back(), zero));
  }
  return step;
}

//===----------------------------------------------------------------------===//
// Codes
//===----------------------------------------------------------------------===//

// Two equal bf16, by their bits.
static int64_t twice(int64_t bf16) { return bf16 << 16 | bf16; }

// Eight codes: those of `low` and `high`, or all in `low`. A zero point is given in 32 bits.
SmallVector<Value, 4> WeightPanels::unpack(Value low, Value high, Value zero) {
  constexpr int64_t kOne = 0x3f80, kMinus = 0xbf80, k128 = 0x4300, k256 = 0x4380;
  auto mask = [&](Value value, int64_t bits) { return e.both(value, e.constant(bits)); };
  // a - b in each half, exact here.
  auto less = [&](Value a, Value b) { return e.fmaPairs(b, e.constant(twice(kMinus)), a); };
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
  Value less128, from;
  if (codes.getCode() == encoding::Code::I8 && zero) {
    Value real = e.fsub(e.toReal(zero), e.real(128));
    less128 = e.packBf16(real, real);
  }
  if (codes.getCode() == encoding::Code::I4)
    from = zero ? e.either(e.either(zero, e.shiftLeft(zero, 16)), e.constant(twice(k128)))
                : e.constant(twice(k128 + 8));
  SmallVector<Value, 4> result;
  for (int64_t p = 0; p < 4; ++p)
    switch (codes.getCode()) {
    case encoding::Code::I8: {
      Value both = bytesOf(p, false);
      Value value = less(e.maskedOr(both, twice(0x7f), twice(k128)),
                         e.maskedXor(both, twice(0x80), twice(k256)));
      result.push_back(less128 ? less(value, less128) : value);
      break;
    }
    case encoding::Code::I4:
      result.push_back(less(e.maskedOr(moved(4 * p, 0), twice(0xf), twice(k128)), from));
      break;
    case encoding::Code::F8E4M3: {
      Value both = bytesOf(p, true);
      Value value = e.either(mask(e.shiftRight(both, 4), twice(0x7f0)), mask(both, twice(0x8000)));
      result.push_back(e.fmaPairs(value, e.constant(twice(kOne + (120 << 7))), e.constant(0)));
      break;
    }
    case encoding::Code::F4E2M1: {
      Value value =
          e.either(mask(moved(4 * p, 6), twice(0x1c0)), mask(moved(4 * p + 3, 15), twice(0x8000)));
      result.push_back(e.fmaPairs(value, e.constant(twice(kOne + (126 << 7))), e.constant(0)));
      break;
    }
    }
  return result;
}

} // namespace pianola::nvptx
