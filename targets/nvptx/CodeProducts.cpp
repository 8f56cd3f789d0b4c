//===- CodeProducts.cpp - Inner products with bare codes ------------------===//
//
// Codes as they stand are the A operand of mma.m16n8k16, rows g and g+8, for up to four slots: see
// WeightPanels.h for what they are as bf16, and SplitProducts.cpp for everything else. Of tiles of
// 8 rows A has two panels side by side, whose columns differ: then B has the activations of both,
// as those of slots j and j + 1, and of a lane's sums only those of its own panel are wanted.
//
// What zero points take away needs no weights: a group's sum of (q - z) x is that of q x less z
// times that of x. The latter comes from an mma of its own, whose A is z and whose B is what the
// prologue left of each four activations, less their sum; it is where the group's sums begin. These
// sums are split in two bf16 as activations are, so that they lose as little: 2^-17 of 8 or so
// activations beside 2^-17 of each one.
//
// B has eight columns, of which a slot needs two. Where a panel's groups have a scale each, columns
// that slots leave are for groups: column 2 (slot + j slots) + h has half h of the activations of
// group j, and zeros where weights of other groups are multiplied. So a lane's four sums are of one
// group, and it is the only one that scales them:
//
//   slots                   1        2        3, 4
//   groups apart, 16 rows   up to 4  up to 2  1
//   8 rows                  up to 2  1
//
// Lanes of a row are added up at the end of the tile.
//
//===----------------------------------------------------------------------===//

#include "targets/nvptx/Products.h"
#include <cmath>

using namespace mlir;

namespace pianola::nvptx {

//===----------------------------------------------------------------------===//
// Which codes are bare
//===----------------------------------------------------------------------===//

bool ProductEmitter::takesBare(tile::ContractOp contract) const {
  Value value = contract.getValue();
  if (auto members = value.getDefiningOp<tile::MembersOp>())
    value = members.getValue();
  return takesBareCodes(contract.getMatrix().getType(), slots) &&
         value.getDefiningOp<tile::PrologueOp>() && s.formOf(value) == Place::Split;
}

WeightPanels ProductEmitter::panelsOf(tile::ContractOp contract) {
  tile::MatrixType matrix = contract.getMatrix().getType();
  if (!takesBare(contract))
    return WeightPanels(e, ring, matrix, weightsAreA());
  int64_t pairs = pairsOfGroup(matrix);
  int64_t apart = std::max<int64_t>(1, std::min(matrix.getPanelScales(), 4 / pairs));
  Value t = e.both(e.lane, e.constant(3));
  Value group = e.both(e.div(t, pairs), e.constant(apart - 1));
  return WeightPanels(e, ring, matrix, true, true, apart, group);
}

bool ProductEmitter::isPair(tile::ContractOp contract, int64_t which, int64_t count) const {
  tile::MatrixType matrix = contract.getMatrix().getType();
  return panelsTogether(e.shape, matrix) == 2 && takesBare(contract) && which % 2 == 0 &&
         which + 1 < count && (which + 2) * e.shape.warps <= matrix.getPanels();
}

double ProductEmitter::factorOf(const WeightPanels &source, const Place &place) const {
  return std::ldexp(place.isRaised ? 1 / kRaise : 1, -source.exponent());
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

namespace {

// The products of one matrix's panels.
class BareProducts {
public:
  BareProducts(Kernel &kernel, WeightPanels &source, tile::MatrixType matrix, const Place &place,
               int64_t slots, int64_t slotsApart, Value high, ArrayRef<Value> ofRows);

  int64_t sumCount() const { return groups * 4 * (scaled ? 1 : kChains); }
  /// Adds the products of panels, the first of which is panel `first` of the tile.
  void multiply(ArrayRef<SmallVector<Value>> panels, Value first, MutableArrayRef<Value> sums);
  /// Of 16 rows, what all chains have: rows g and g + 8; of 8 rows, row g.
  SmallVector<Value, 2> finish(ArrayRef<Value> sums, int64_t group);

private:
  // Sums that are added up on their own: what upper halves of bytes give may be 16 times what it
  // should be; and other sums of rows need not wait for each other.
  static constexpr int64_t kChains = 2;
  bool areUpperGreater() const {
    return codes.getCode() == encoding::Code::I4 && !place.areNibbles;
  }
  double weightOf(int64_t chain) const { return chain && areUpperGreater() ? 1.0 / 16 : 1; }

  // Of a panel's groups, those that are apart, with those of its neighbours in B.
  struct Batch {
    int64_t number, firstStep;
  };
  SmallVector<Value> activations(int64_t panel, int64_t step, int64_t which);
  SmallVector<Value> sumsOfFour(int64_t panel, int64_t batch);
  // Both conditions, of which there may be none.
  Value both(Value a, Value b) { return a && b ? e.both(a, b) : a ? a : b; }
  // Whether there is a panel whose activations the lane has; null if there certainly is.
  Value isThere() { return isAlone ? e.negate(secondOfB) : Value(); }
  Value guarded(Value condition, Value address) {
    return condition ? e.select(condition, address, e.at(e.memory, kZerosAt)) : address;
  }
  void lessZeroPoints(ArrayRef<Value> panel, int64_t number, int64_t batch,
                      MutableArrayRef<Value> all, int64_t stride);
  void multiplyPanel(ArrayRef<Value> panel, int64_t number, MutableArrayRef<Value> sums);

  Kernel &e;
  WeightPanels &source;
  tile::MatrixType matrix;
  encoding::ScaledType codes;
  const Place &place;
  SmallVector<Value> ofRows;
  bool isFolded;
  int64_t slotsApart;
  int64_t groups;  // of 16 rows
  int64_t steps;   // of a panel
  int64_t scaled;  // of them, those of one scale; 0 if scales are for whole rows
  int64_t ofScale; // the same, but then all
  int64_t apart;
  bool isWhole; // no panel goes beyond the row
  Value t, groupOfB, stepOfB;
  Value secondOfB;        // folded: whether the lane has activations of the second panel
  Value mine, mineOfSums; // addresses, of panel 0
  Value panelAt;          // the first panel's number
  bool isAlone = false;   // folded: with itself, as no second panel is left
};

BareProducts::BareProducts(Kernel &kernel, WeightPanels &source, tile::MatrixType matrix,
                           const Place &place, int64_t slots, int64_t slotsApart, Value high,
                           ArrayRef<Value> ofRows)
    : e(kernel), source(source), matrix(matrix), codes(matrix.getCodes()), place(place),
      ofRows(areFolded(matrix) ? source.foldRows(ofRows) : SmallVector<Value>(ofRows)),
      isFolded(areFolded(matrix)), slotsApart(slotsApart),
      groups(isFolded ? 1 : matrix.getRows() / 16), steps(source.steps()),
      scaled(source.stepsOfScale()), ofScale(scaled ? scaled : steps), apart(source.apart()),
      isWhole(place.columns % matrix.getPanel() == 0) {
  t = e.both(e.lane, e.constant(3));
  Value column = e.shiftRight(e.lane, 2);
  Value isLesser = e.differ(e.both(column, e.constant(1)), 0);
  int64_t pairs = slotsApart * (isFolded ? 2 : 1);
  groupOfB = e.both(e.div(column, 2 * pairs), e.constant(apart - 1));
  // The first step that the lane has of a panel, counted from that of the first one.
  stepOfB = e.mul(groupOfB, ofScale);
  if (isFolded) {
    Value second = e.both(e.div(column, 2 * slotsApart), e.constant(1));
    secondOfB = e.differ(second, 0);
    stepOfB = e.add(stepOfB, e.mul(second, steps));
  }
  // What stands for slots that are not there makes sums that nobody asks for.
  Value slot = e.both(e.shiftRight(column, 1), e.constant(slotsApart - 1));
  Value row = place.rowOf(e, slots == 1 ? e.constant(0) : e.min(slot, e.sub(high, 1)));
  Value offset = e.add(e.mul(row, place.stride * 2), e.add(e.mul(t, 16), e.mul(stepOfB, 64)));
  mine = e.at(e.select(isLesser, place.lesser, place.base), offset);
  if (!codes.isInteger())
    return;
  Value half = e.select(isLesser, e.constant(place.sumsHalf * 2), e.constant(0));
  Value ofSlot = e.add(e.mul(row, place.sumsHalf * 4), e.mul(stepOfB, 16));
  mineOfSums = e.at(place.sums, e.add(half, e.add(ofSlot, e.mul(t, isWhole ? ofScale * 4 : 4))));
}

// The pairs 0, 2, 1, 3 of the `step`-th step of a group, for B. Lanes that have columns of other
// groups there read zeros.
SmallVector<Value> BareProducts::activations(int64_t panel, int64_t step, int64_t which) {
  int64_t batch = which / apart, further = batch * apart * ofScale + step;
  Value isMine = both(apart > 1 ? e.equal(groupOfB, which % apart) : Value(), isThere());
  if (!isWhole) {
    Value column = e.add(e.mul(t, 8), e.mul(e.add(stepOfB, further), 32));
    column = e.add(column, e.mul(e.add(panelAt, panel), steps * 32));
    isMine = both(isMine, e.less(column, place.columns));
  }
  Value from = e.at(mine, e.mul(panelAt, steps * 64));
  Value four =
      e.load(e.vector(e.i32(), 4), e.at(guarded(isMine, from), (panel * steps + further) * 64));
  SmallVector<Value> pairs;
  for (int64_t i = 0; i < 4; ++i)
    pairs.push_back(e.element(four, i));
  return pairs;
}

// Of the group that the lane has in B: of each of its steps a pair.
SmallVector<Value> BareProducts::sumsOfFour(int64_t panel, int64_t batch) {
  int64_t firstStep = panel * steps + batch * apart * ofScale;
  Value from = e.at(mineOfSums, e.mul(panelAt, steps * 16));
  SmallVector<Value> pairs;
  if (isWhole && ofScale > 1) {
    Value several =
        e.load(e.vector(e.i32(), ofScale), e.at(guarded(isThere(), from), firstStep * 16));
    for (int64_t i = 0; i < ofScale; ++i)
      pairs.push_back(e.element(several, i));
    return pairs;
  }
  for (int64_t step = 0; step < ofScale; ++step) {
    Value isInside = isThere();
    if (!isWhole) {
      Value column = e.add(e.mul(t, 8), e.mul(stepOfB, 32));
      column = e.add(column, e.mul(e.mul(panelAt, steps), 32));
      isInside = both(isInside, e.less(column, place.columns - (firstStep + step) * 32));
    }
    pairs.push_back(e.load(e.i32(), e.at(guarded(isInside, from), (firstStep + step) * 16)));
  }
  return pairs;
}

// Adds to the sums of each 16 rows, `stride` apart.
void BareProducts::lessZeroPoints(ArrayRef<Value> panel, int64_t number, int64_t batch,
                                  MutableArrayRef<Value> all, int64_t stride) {
  constexpr int64_t kTwice = 0x10001;
  SmallVector<Value> pairs = sumsOfFour(number, batch);
  auto add = [&](Value upper, Value lower, ArrayRef<Value> from) {
    SmallVector<Value, 4> sum(from);
    size_t whole = pairs.size() / 2 * 2;
    for (size_t i = 0; i < whole; i += 2)
      sum = e.multiply({upper, lower, upper, lower}, {pairs[i], pairs[i + 1]}, sum);
    return pairs.size() > whole ? e.multiply({upper, lower}, {pairs.back()}, sum) : sum;
  };
  auto zeroAt = [&](int64_t block) { return source.bareZero(panel, ofRows, block, batch); };
  if (!codes.getZeros() || apart > 1) {
    int64_t point = codes.getZeros() ? 1 : source.zeroPoint();
    Value same = e.constant(point * kTwice);
    SmallVector<Value, 4> nothing(4, e.real(0)), less;
    for (int64_t group = 0; group < groups; ++group) {
      MutableArrayRef<Value> sum = all.slice(group * stride, 4);
      if (scaled && less.empty())
        less = add(same, same, nothing);
      SmallVector<Value, 4> mine = scaled ? less : add(same, same, sum);
      if (codes.getZeros())
        for (int64_t row = 0; row < 2; ++row) {
          Value zero = e.toReal(zeroAt(group * 2 + row));
          for (int64_t i = row * 2; i < row * 2 + 2; ++i)
            mine[i] = e.fmul(zero, mine[i]);
        }
      llvm::copy(mine, sum.begin());
    }
    return;
  }
  for (int64_t group = 0; group < groups; ++group) {
    auto operand = [&](int64_t block) { return e.mul(zeroAt(block), kTwice); };
    MutableArrayRef<Value> sum = all.slice(group * stride, 4);
    llvm::copy(add(operand(group * 2), operand(group * 2 + 1), sum), sum.begin());
  }
}

void BareProducts::multiplyPanel(ArrayRef<Value> panel, int64_t number,
                                 MutableArrayRef<Value> sums) {
  // Chains of a group: those of the row, or those that are scaled.
  int64_t chains = !scaled || areUpperGreater() ? kChains : 1, stride = chains * 4;
  int64_t which = 0;
  for (int64_t batch = 0; batch < steps / (apart * ofScale); ++batch) {
    SmallVector<Value> all(sums);
    if (scaled)
      all.assign(groups * stride, e.real(0));
    if (codes.isInteger())
      lessZeroPoints(panel, number, batch, all, stride);
    for (int64_t mine = 0; mine < apart; ++mine, ++which)
      for (int64_t step = 0; step < ofScale; ++step) {
        SmallVector<Value> values = activations(number, step, which);
        SmallVector<Value> pairs = source.bareStep(panel, which * ofScale + step);
        for (int64_t group = 0; group < groups; ++group)
          for (int64_t part = 0; part < 2; ++part) {
            // As activations stand: B's registers are neighbours.
            int64_t a = part, b = part + 2;
            ArrayRef<Value> upper = ArrayRef(pairs).slice(group * 8, 4);
            ArrayRef<Value> lower = ArrayRef(pairs).slice(group * 8 + 4, 4);
            MutableArrayRef<Value> sum =
                MutableArrayRef(all).slice(group * stride + part % chains * 4, 4);
            llvm::copy(e.multiply({upper[a], lower[a], upper[b], lower[b]},
                                  ArrayRef(values).slice(part * 2, 2), sum),
                       sum.begin());
          }
      }
    if (!scaled) {
      llvm::copy(all, sums.begin());
      continue;
    }
    for (int64_t group = 0; group < groups; ++group) {
      SmallVector<Value, 4> scales = source.bareScales(panel, group, batch);
      for (int64_t i = 0; i < 4; ++i) {
        Value sum = all[group * stride + i];
        if (chains > 1)
          sum = e.fma(all[group * stride + 4 + i], e.real(weightOf(1)), sum);
        sums[group * 4 + i] = e.fma(scales[i], sum, sums[group * 4 + i]);
      }
    }
  }
}

void BareProducts::multiply(ArrayRef<SmallVector<Value>> panels, Value first,
                            MutableArrayRef<Value> sums) {
  panelAt = first;
  if (isFolded) {
    isAlone = panels.size() == 1;
    multiplyPanel(source.fold(panels.front(), panels.back()), 0, sums);
    return;
  }
  for (auto [number, panel] : llvm::enumerate(panels))
    multiplyPanel(panel, number, sums);
}

SmallVector<Value, 2> BareProducts::finish(ArrayRef<Value> sums, int64_t group) {
  int64_t chains = scaled ? 1 : kChains;
  SmallVector<Value, 4> sum(sums.slice(group * chains * 4, 4));
  if (chains > 1)
    for (int64_t i = 0; i < 4; ++i)
      sum[i] = e.fma(sums[(group * chains + 1) * 4 + i], e.real(weightOf(1)), sum[i]);
  if (!scaled)
    for (auto [each, scale] : llvm::zip_equal(sum, source.rowScales(ofRows, group)))
      each = e.fmul(each, scale);
  Value upper = e.fadd(sum[0], sum[1]), lower = e.fadd(sum[2], sum[3]);
  auto addLanes = [&](Value value, int64_t from) {
    for (int64_t lanes = from; lanes < from * apart; lanes *= 2)
      value = e.fadd(value, e.shuffleXor(value, lanes));
    return value;
  };
  if (!isFolded)
    return {addLanes(upper, slotsApart), addLanes(lower, slotsApart)};
  // Of its two panels a lane has the activations of one.
  Value isSecond = e.differ(e.both(t, e.constant(slotsApart)), 0);
  Value one = e.select(isSecond, lower, upper);
  one = e.fadd(one, e.shuffleXor(one, slotsApart));
  return {addLanes(one, 2 * slotsApart)};
}

} // namespace

void ProductEmitter::multiplyCodes(tile::ContractOp contract, Value tileStart,
                                   ArrayRef<Value> taken, Put put) {
  tile::MatrixType matrix = contract.getMatrix().getType();
  WeightPanels source = panelsOf(contract);
  Place place = s.places.lookup(contract.getValue());
  int64_t warps = e.shape.warps, panels = matrix.getPanels(), panelBytes = matrix.getPanelBytes();

  SmallVector<Value> rowsTaken = source.takeRows(tileStart, taken);
  Value firstPanel = e.add(tileStart, matrix.getFirstPanel());

  BareProducts products(e, source, matrix, place, slots, slotsApart(), high, rowsTaken);
  SmallVector<Value> sums(products.sumCount(), e.real(0));

  // First what is in registers.
  int64_t registers = source.zeros().size(), takenPanels = taken.size() / registers;
  for (int64_t which = 0; which < takenPanels;) {
    int64_t count = isPair(contract, which, takenPanels) ? 2 : 1;
    auto play = [&] {
      SmallVector<SmallVector<Value>> read;
      for (int64_t i = 0; i < count; ++i)
        read.emplace_back(taken.slice((which + i) * registers, registers));
      SmallVector<Value> next(sums);
      products.multiply(read, e.add(e.mul(e.warp, count), which * warps), next);
      return next;
    };
    sums = (which + count) * warps <= panels
               ? play()
               : e.choose(e.less(e.warp, panels - which * warps), play, [&] { return sums; });
    which += count;
  }
  auto playPanels = [&](Value panel, int64_t count, ValueRange carried) {
    Value position = source.await(e.add(firstPanel, e.mul(panel, panelBytes)), count);
    SmallVector<SmallVector<Value>> read;
    for (int64_t i = 0; i < count; ++i)
      read.push_back(source.read(position, i));
    SmallVector<Value> next(carried);
    products.multiply(read, panel, next);
    return next;
  };
  // So many panels side by side for each warp, in turns.
  auto playFrom = [&](int64_t first, int64_t end, int64_t count) {
    if (first < end)
      sums = e.loop(
          e.add(e.mul(e.warp, count), first), e.constant(end), e.constant(warps * count), sums,
          [&](Value panel, ValueRange carried) { return playPanels(panel, count, carried); });
  };
  int64_t first = takenPanels * warps, together = panelsTogether(e.shape, matrix);
  int64_t stride = warps * together;
  int64_t whole = first + std::max<int64_t>(0, panels - first) / stride * stride;
  playFrom(first, whole, together);
  playFrom(whole, panels, 1);

  Value g = e.shiftRight(e.lane, 2), t = e.both(e.lane, e.constant(3));
  double factor = factorOf(source, place);
  for (int64_t row = 0; row < rows;)
    for (Value sum : products.finish(sums, row / 16)) {
      put(t, e.add(g, row), {e.fmul(sum, e.real(factor))});
      row += 8;
    }
}

} // namespace pianola::nvptx
