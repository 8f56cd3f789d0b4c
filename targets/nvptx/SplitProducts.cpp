//===- SplitProducts.cpp - Inner products of split activations ------------===//
//
// Of 8 rows and 32 columns, lane (g, t) = (lane / 4, lane % 4) has row g's elements 8t .. 8t+7:
// four pairs of bf16 (WeightPanels.h). Which of mma.m16n8k16's operands they are, and with which
// activations, depends on how many slots there are:
//
//   up to 4, 16 rows   A: row g and row g+8         B: column 2s+h is half h of slot s
//   up to 2, 8 rows    A: pairs 0, 1 in row g,      B: the same; columns 4-7 for rows 8-15
//                         pairs 2, 3 in row g+8
//   more               A: row g is slot g's         B: column g is row g
//                         greater half, row g+8
//                         its lesser one
//
// A panel of 16 rows takes two instructions, two, and four. In the second way an instruction also
// multiplies what does not belong together: these sums are left alone. See docs/gpu.md.
//
// Sums of codes that share scales begin at zero, and are added to those of their rows times these
// scales; scales of whole rows wait for the end.
//
//===----------------------------------------------------------------------===//

#include "targets/nvptx/Products.h"

using namespace mlir;

namespace pianola::nvptx {

// Sums that a lane has under way: an mma's result comes some thirty clocks after it was begun.
constexpr int64_t kChains = 4;

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

// The pairs of activations that a lane has of a step of 32 columns, the one `further` behind
// `step`: where weights are A, of one half of one slot; otherwise those of two A operands.
// `firstSlot` is the first of a block. Addresses begin with what is the same for all steps, and end
// with what is constant.
SmallVector<Value> ProductEmitter::activations(const Place &place, int64_t firstSlot, Value step,
                                               int64_t further, int64_t stepsOfPanel) {
  Value slot = e.shiftRight(e.lane, 2), t = e.both(e.lane, e.constant(3)), isLesser;
  Value column = e.mul(t, 8);
  int64_t pairs = 4;
  if (weightsAreA()) {
    if (rows == 8) {
      column = e.add(column, e.mul(e.shiftRight(slot, 2), 4));
      slot = e.both(slot, e.constant(3));
      pairs = 2;
    }
    isLesser = e.differ(e.both(slot, e.constant(1)), 0);
    slot = e.shiftRight(slot, 1);
  }
  // What stands for slots that are not there makes sums that nobody asks for: with one block of
  // slots they repeat one that is there, which costs no branch.
  Value isThere;
  if (slots <= kSlotsOfA)
    slot = slots == 1 ? e.constant(0) : e.min(slot, e.sub(high, 1));
  else
    isThere = e.less(slot, e.sub(high, firstSlot));
  // Where rows are looked up, those of slots that are not there are the last one's.
  int64_t before = place.rows ? 0 : firstSlot;
  if (place.rows)
    slot = place.rowOf(e, isThere ? e.min(e.add(slot, firstSlot), e.sub(high, 1)) : slot);
  // Columns of the last panel may be beyond the row, where nothing is that could be multiplied with
  // the weights' zeros.
  if (place.columns % (stepsOfPanel * 32) != 0) {
    Value isInside = e.less(e.add(column, e.mul(step, 32)), place.columns - further * 32);
    isThere = isThere ? e.both(isThere, isInside) : isInside;
  }

  Type words = e.vector(e.i32(), pairs);
  auto addressOf = [&](Value base, int64_t bytes) {
    Value ofLane = e.mul(e.add(e.mul(slot, place.stride), column), bytes);
    return e.at(e.at(e.at(base, ofLane), e.mul(step, 32 * bytes)),
                (further * 32 + before * place.stride) * bytes);
  };
  auto load = [&]() -> SmallVector<Value> {
    if (place.form == Place::Paired) {
      Value ofLane = e.add(e.mul(slot, place.stride * 2), e.mul(t, 16));
      Value first = e.at(e.at(e.at(place.base, ofLane), e.mul(step, 128)),
                         further * 128 + before * place.stride * 2);
      return {e.load(words, first), e.load(words, e.at(first, 64))};
    }
    if (place.form == Place::Split) {
      auto half = [&](Value base) { return e.load(words, addressOf(base, 2)); };
      if (isLesser)
        return {half(e.select(isLesser, place.lesser, place.base))};
      return {half(place.base), half(place.lesser)};
    }
    // From a buffer in global memory: split here.
    SmallVector<Value> values;
    Value first = addressOf(place.base, 4);
    for (int64_t quad = 0; quad < pairs / 2; ++quad) {
      Value floats = e.load(e.vector(e.f32(), 4), e.at(first, quad * 16));
      for (int64_t i = 0; i < 4; ++i)
        values.push_back(e.element(floats, i));
    }
    auto [greater, lesser] = e.splitPairs(values);
    if (!isLesser)
      return {e.vectorOf(greater), e.vectorOf(lesser)};
    return {e.select(isLesser, e.vectorOf(lesser), e.vectorOf(greater))};
  };
  SmallVector<Value> loaded = !isThere ? load() : e.choose(isThere, load, [&] {
    return SmallVector<Value>(isLesser ? 1 : 2, e.zeros(cast<VectorType>(words)));
  });
  SmallVector<Value> flat;
  for (Value four : loaded)
    for (int64_t i = 0; i < pairs; ++i)
      flat.push_back(e.element(four, i));
  if (!isLesser && place.form != Place::Paired)
    flat = {flat[0], flat[4], flat[1], flat[5], flat[2], flat[6], flat[3], flat[7]};
  return flat;
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

void ProductEmitter::multiplySplit(tile::ContractOp contract, Value tileStart,
                                   ArrayRef<Value> taken, Put put) {
  tile::MatrixType matrix = contract.getMatrix().getType();
  WeightPanels source = panelsOf(contract);
  Place place = s.places.lookup(contract.getValue());
  int64_t warps = e.shape.warps, panels = matrix.getPanels(), panelBytes = matrix.getPanelBytes();
  int64_t slotBlocks = (slots + kSlotsOfA - 1) / kSlotsOfA, steps = source.steps();
  // One instruction takes one or two rows of each lane.
  int64_t rowsAtOnce = weightsAreA() && rows > 8 ? 16 : 8, groups = rows / rowsAtOnce;
  // Steps whose products are added before they are scaled: those of one scale, as long as their
  // sums are few.
  int64_t scaled =
      slotBlocks == 1 ? source.stepsOfScale() : std::min<int64_t>(source.stepsOfScale(), 1);
  int64_t chains = slotBlocks == 1 && !scaled ? std::max<int64_t>(1, kChains / groups) : 1;

  SmallVector<Value> rowsTaken = source.takeRows(tileStart, taken);
  Value firstPanel = e.add(tileStart, matrix.getFirstPanel());
  double factor = factorOf(source, place);

  SmallVector<Value> sums(slotBlocks * groups * chains * 4, e.real(0));
  auto sumOf = [&](MutableArrayRef<Value> all, int64_t slotBlock, int64_t group, int64_t chain) {
    return all.slice(((slotBlock * groups + group) * chains + chain) * 4, 4);
  };
  // Adds to `sum` the products of one step.
  auto multiplyInto = [&](MutableArrayRef<Value> sum, ArrayRef<Value> pairs, ArrayRef<Value> values,
                          int64_t part) {
    SmallVector<Value, 4> a(values.slice(weightsAreA() ? 0 : part * 4, weightsAreA() ? 0 : 4));
    ArrayRef<Value> b = (weightsAreA() ? values : pairs).slice(part * 2, 2);
    if (weightsAreA()) {
      ArrayRef<Value> upper = pairs.slice(part * 2, 2);
      ArrayRef<Value> lower = pairs.slice(values.size() + part * 2, 2);
      a = {upper[0], lower[0], upper[1], lower[1]};
    }
    llvm::copy(e.multiply(a, b, sum), sum.begin());
  };
  // Adds the products of a step: the `number`-th of the `which`-th panel of its warp, as far as
  // chains and scales are concerned. `unscaled` are the sums that wait for their scales.
  using ValuesOf = llvm::function_ref<SmallVector<Value>(int64_t slotBlock)>;
  auto multiplyStep = [&](const WeightPanels::Step &weights, ValuesOf valuesOf, int64_t which,
                          int64_t number, MutableArrayRef<Value> unscaled,
                          MutableArrayRef<Value> all) {
    SmallVector<Value> ordered(weights.pairs);
    if (place.isRaised)
      for (size_t i = 0; i < ordered.size(); i += 4)
        std::swap(ordered[i + 1], ordered[i + 2]);
    for (int64_t slotBlock = 0; slotBlock < slotBlocks; ++slotBlock) {
      SmallVector<Value> values = valuesOf(slotBlock);
      int64_t parts = (weightsAreA() ? values.size() : 4) / 2;
      if (scaled && number % scaled == 0)
        std::fill(unscaled.begin(), unscaled.end(), e.real(0));
      for (int64_t group = 0; group < groups; ++group) {
        ArrayRef<Value> pairs = ArrayRef(ordered).slice(group * rowsAtOnce / 2, rowsAtOnce / 2);
        for (int64_t part = 0; part < parts; ++part)
          multiplyInto(scaled ? unscaled.slice(group * 4, 4)
                              : sumOf(all, slotBlock, group,
                                      ((which * steps + number) * parts + part) % chains),
                       pairs, values, part);
        if (!scaled || (number + 1) % scaled != 0)
          continue;
        for (auto [to, from, scale] :
             llvm::zip_equal(sumOf(all, slotBlock, group, 0), unscaled.slice(group * 4, 4),
                             weights.scales[group]))
          to = e.fma(scale, from, to);
      }
    }
  };
  auto multiplyPanel =
      [&](ArrayRef<Value> panel,
          llvm::function_ref<SmallVector<Value>(int64_t step, int64_t slotBlock)> valuesOf,
          int64_t which, MutableArrayRef<Value> all) {
        SmallVector<Value> unscaled(groups * 4);
        for (int64_t step = 0; step < steps; ++step)
          multiplyStep(
              source.step(panel, rowsTaken, step),
              [&](int64_t slotBlock) { return valuesOf(step, slotBlock); }, which, step, unscaled,
              all);
      };

  // First what is in registers.
  int64_t registers = source.zeros().size(), takenPanels = taken.size() / registers;
  for (int64_t which = 0; which < takenPanels; ++which) {
    auto play = [&] {
      SmallVector<Value> next(sums);
      multiplyPanel(
          taken.slice(which * registers, registers),
          [&](int64_t step, int64_t) {
            return matrix.getKept()
                       ? activations(place, 0, taken[(which + 1) * registers - 1], 0, steps)
                       : activations(place, 0, e.mul(e.warp, steps), which * warps * steps + step,
                                     steps);
          },
          which, next);
      return next;
    };
    sums = (which + 1) * warps <= panels
               ? play()
               : e.choose(e.less(e.warp, panels - which * warps), play, [&] { return sums; });
  }
  // `count` panels of this warp, read before the first of them is multiplied.
  auto playPanels = [&](Value panel, int64_t count, ValueRange carried) {
    SmallVector<Value> next(carried);
    SmallVector<SmallVector<Value>> weights, values;
    Value start = e.add(firstPanel, e.mul(panel, panelBytes));
    for (int64_t i = 0; i < count; ++i)
      weights.push_back(source.read(source.await(e.add(start, i * warps * panelBytes))));
    auto valuesOf = [&](int64_t i, int64_t step, int64_t slotBlock) {
      if (matrix.getKept())
        return activations(place, slotBlock * kSlotsOfA, weights[i].back(), 0, steps);
      return activations(place, slotBlock * kSlotsOfA, e.mul(panel, steps),
                         i * warps * steps + step, steps);
    };
    // So are the activations of one step.
    bool isEarly = slotBlocks == 1 && steps == 1;
    if (isEarly)
      for (int64_t i = 0; i < count; ++i)
        values.push_back(valuesOf(i, 0, 0));
    for (int64_t i = 0; i < count; ++i)
      multiplyPanel(
          weights[i],
          [&](int64_t step, int64_t slotBlock) {
            return isEarly ? values[i] : valuesOf(i, step, slotBlock);
          },
          i, next);
    return next;
  };
  // The same step by step.
  auto playSteps = [&](Value panel, ValueRange carried) {
    Value position = source.await(e.add(firstPanel, e.mul(panel, panelBytes)));
    return e.loop(e.constant(0), e.constant(steps), e.constant(1), SmallVector<Value>(carried),
                  [&](Value step, ValueRange carried) {
                    SmallVector<Value> next(carried), unscaled(groups * 4);
                    multiplyStep(
                        source.readStep(position, rowsTaken, step),
                        [&](int64_t slotBlock) {
                          return activations(place, slotBlock * kSlotsOfA,
                                             e.add(e.mul(panel, steps), step), 0, steps);
                        },
                        0, 0, unscaled, next);
                    return next;
                  });
  };
  // A warp's reads of 2 KiB of operands are under way at a time, where sums leave it the registers.
  int64_t numberBytes = matrix.getKept() ? tile::MatrixType::kNumberBytes : 0;
  int64_t ahead =
      slotBlocks == 1 ? std::max<int64_t>(1, 2048 / ((panelBytes - numberBytes) * steps)) : 1;
  auto playFrom = [&](int64_t first, int64_t end, int64_t count) {
    if (first < end)
      sums = e.loop(e.add(e.warp, first), e.constant(end), e.constant(warps * count), sums,
                    [&](Value panel, ValueRange carried) {
                      return slotBlocks > 1 && steps > 1 ? playSteps(panel, carried)
                                                         : playPanels(panel, count, carried);
                    });
  };
  int64_t first = takenPanels * warps, stride = warps * ahead;
  int64_t whole =
      ahead == 1 ? first : first + std::max<int64_t>(0, panels - first) / stride * stride;
  playFrom(first, whole, ahead);
  playFrom(whole, panels, 1);

  Value g = e.shiftRight(e.lane, 2), t = e.both(e.lane, e.constant(3));
  for (int64_t slotBlock = 0; slotBlock < slotBlocks; ++slotBlock)
    for (int64_t group = 0; group < groups; ++group) {
      SmallVector<Value, 4> sum(sumOf(sums, slotBlock, group, 0));
      for (int64_t chain = 1; chain < chains; ++chain)
        for (auto [to, from] : llvm::zip_equal(sum, sumOf(sums, slotBlock, group, chain)))
          to = e.fadd(to, from);
      if (source.hasRowScales())
        for (auto [each, scale] : llvm::zip_equal(sum, source.rowScales(rowsTaken, group)))
          each = e.fmul(each, scale);
      if (factor != 1)
        for (Value &each : sum)
          each = e.fmul(each, e.real(factor));
      if (!weightsAreA()) {
        put(e.add(g, slotBlock * kSlotsOfA), e.add(e.mul(t, 2), group * 8),
            {e.fadd(sum[0], sum[2]), e.fadd(sum[1], sum[3])});
        continue;
      }
      Value upper = e.fadd(sum[0], sum[1]), lower = e.fadd(sum[2], sum[3]);
      if (rows > 8) {
        put(t, e.add(g, group * 16), {upper});
        put(t, e.add(g, group * 16 + 8), {lower});
        continue;
      }
      // Lanes 2 and 3 of a row have the other half of its columns.
      Value part = e.select(e.less(t, 2), upper, lower);
      put(t, g, {e.fadd(part, e.shuffleXor(part, 2))});
    }
}

//===----------------------------------------------------------------------===//
// Weights before anything is awaited
//===----------------------------------------------------------------------===//

int64_t ProductEmitter::panelsOfWarp(tile::ContractOp contract) const {
  return (contract.getMatrix().getType().getPanels() + e.shape.warps - 1) / e.shape.warps;
}

bool ProductEmitter::takesWholeTiles() const {
  return isAnticipated() && llvm::all_of(llvm::zip_equal(contracts, plan.panels), [&](auto each) {
           auto [contract, panels] = each;
           return panels == panelsOfWarp(contract);
         });
}

// All of a section's, if all of those before were taken too: a warp gives back what it has passed.
Value ProductEmitter::countTaken() {
  Value taken = e.constant(plan.tiles);
  for (unsigned section = 0; section <= number; ++section) {
    Value count = e.sub(s.tilesOf(section, true), s.tilesOf(section, false));
    taken = section == number
                ? e.min(taken, count)
                : e.select(e.less(e.constant(plans[section].tiles), count), e.constant(0), taken);
  }
  return taken;
}

// In the order of the tape: of each tile, contract after contract.
Value ProductEmitter::anticipate(Value start, Value stopped) {
  Value count = e.select(stopped, e.constant(0), countTaken());
  // Zeros, not just anything: what is not set on one way would stand in registers through all
  // stages.
  int64_t warps = e.shape.warps, offset = 0, takenEnd = 0;
  for (int64_t tile = 0; tile < plan.tiles; ++tile) {
    auto ofTile = [&](bool isThere) {
      SmallVector<Value> all;
      for (auto [contract, panels] : llvm::zip_equal(contracts, plan.panels)) {
        tile::MatrixType matrix = contract.getMatrix().getType();
        WeightPanels source = panelsOf(contract);
        int64_t panelBytes = matrix.getPanelBytes(), first = offset + matrix.getFirstPanel();
        if (panels)
          llvm::append_range(all, isThere ? source.readRows(e.add(start, offset))
                                          : source.zerosOfRows());
        for (int64_t which = 0; which < panels; ++which) {
          if (isPair(contract, which, panels)) {
            Value panel = e.add(e.mul(e.warp, 2), which * warps);
            if (isThere) {
              Value at = source.await(e.add(e.add(start, first), e.mul(panel, panelBytes)), 2);
              llvm::append_range(all, source.read(at, 0));
              llvm::append_range(all, source.read(at, 1));
            } else {
              llvm::append_range(all, source.zeros());
              llvm::append_range(all, source.zeros());
            }
            ++which;
            continue;
          }
          Value panel = e.add(e.warp, which * warps);
          auto take = [&] {
            Value at = e.add(e.add(start, first), e.mul(panel, panelBytes));
            return source.read(source.await(at));
          };
          auto leave = [&] { return source.zeros(); };
          llvm::append_range(all, !isThere ? leave()
                                  : (which + 1) * warps <= matrix.getPanels()
                                      ? take()
                                      : e.choose(e.less(panel, matrix.getPanels()), take, leave));
        }
        if (!isThere)
          continue;
        if (panels)
          takenEnd = first + std::min(panels * warps, matrix.getPanels()) * panelBytes;
        offset += matrix.getTileBytes();
      }
      return all;
    };
    llvm::append_range(s.takenWeights[number],
                       e.choose(
                           e.less(e.constant(tile), count), [&] { return ofTile(true); },
                           [&] { return ofTile(false); }));
  }
  // A warp that took less than others gives back the slots that they are done with: they may need
  // the whole ring before they come to a barrier.
  int64_t tileBytes = offset / plan.tiles;
  int64_t left = tileBytes * plan.tiles - takenEnd; // of the last tile, behind what was taken
  Value end = e.add(start, e.mul(count, tileBytes));
  e.when(e.less(e.constant(0), count), [&] { ring.giveBackTo(e.sub(end, left + 1)); });
  return end;
}

void ProductEmitter::multiplyTaken(Value taken) {
  ArrayRef<Value> weights = s.takenWeights[number];
  for (int64_t tile = 0; tile < plan.tiles; ++tile)
    e.when(e.less(e.constant(tile), taken), [&] {
      findOperands(e.add(s.tilesOf(number, false), tile));
      for (auto [which, panels] : llvm::enumerate(plan.panels)) {
        WeightPanels source = panelsOf(contracts[which]);
        int64_t registers =
            panels ? source.zerosOfRows().size() + panels * source.zeros().size() : 0;
        multiply(which, e.constant(tile), weights.take_front(registers));
        weights = weights.drop_front(registers);
      }
    });
}

} // namespace pianola::nvptx
