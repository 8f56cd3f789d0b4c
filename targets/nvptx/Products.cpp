//===- Products.cpp - Inner products of weights on the tape ---------------===//
//
// Tiles are played in batches. First every warp multiplies its panels of each tile of the batch:
// panel p of a tile is warp p % warps's. The partial sums of all warps meet in scratch memory; then
// each thread takes an output element of the batch through the ops that follow the products.
//
// With bf16 weights (see docs/gpu.md): lane (g, t) = (lane / 4, lane % 4) reads row g's elements 8t
// .. 8t+7 of a panel of 32 columns, the activations of slot g likewise, and the panel takes two
// mma.m16n8k16 for each 8 rows and 8 slots. Of a result the lane gets rows 2t and 2t+1 for slot g,
// twice: by the greater and by the lesser halves of the activations.
//
//===----------------------------------------------------------------------===//

#include "targets/nvptx/Stage.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace pianola::nvptx {

namespace {

// Scratch memory for the partial sums of a batch: what is not taken is the ring's.
constexpr int64_t kBatchBytes = 8 << 10;
constexpr int64_t kSlotsOfMma = 8;

} // namespace

class ProductEmitter {
public:
  ProductEmitter(StageEmitter &owner, tile::SectionOp section, unsigned number)
      : s(owner), e(owner.e), section(section), number(number),
        contracts(llvm::to_vector(section.getBody().front().getOps<tile::ContractOp>())) {
    auto type = cast<RankedTensorType>(contracts.front().getResult().getType());
    slots = type.getDimSize(0);
    rows = type.getDimSize(1);
  }

  void lower();

private:
  // f32 sums of one warp: [slots x rows].
  int64_t partBytes() const { return slots * rows * 4; }
  int64_t tileBytes() const { return contracts.size() * e.shape.warps * partBytes(); }
  Value partialAt(Value tileOfBatch, unsigned contract, Value warp, Value slot, Value row);

  void multiply(tile::ContractOp contract, unsigned which, Value tileOfBatch);
  void multiplySplit(tile::ContractOp contract, Value panelStart,
                     llvm::function_ref<void(Value slot, Value row, ArrayRef<Value> pair)> put);
  void multiplyFloats(tile::ContractOp contract, Value panelStart,
                      llvm::function_ref<void(Value slot, Value row, ArrayRef<Value> pair)> put);
  using Weights = SmallVector<SmallVector<Value, 4>>;
  using Halves = std::array<SmallVector<Value>, 2>;
  Weights weightsOf(Value panel);
  Halves activations(const Place &place, Value g, int64_t firstSlot, Value column);
  Value finish(Value value, Value tileOfBatch, Value slot, Value row);
  Value read(Operation &op, Value slot, Value row);
  void store(Value tileOfBatch, Value slot, Value row);
  void storePeaks(Value inside, Value tileOfBatch, Value slot, Value row);

  StageEmitter &s;
  Kernel &e;
  tile::SectionOp section;
  unsigned number;
  SmallVector<tile::ContractOp> contracts;
  int64_t slots, rows;
  llvm::MapVector<Operation *, Variable> early; // what was read before the products
  Value partials;                               // of the batch
  Value high;                                   // slots that there are
};

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

// The eight activations that a lane has of a panel: greater and lesser halves, four pairs each.
// Of slot g of a block of slots: blocks are a constant number of bytes apart.
ProductEmitter::Halves ProductEmitter::activations(const Place &place, Value g, int64_t firstSlot,
                                                   Value column) {
  auto quad = e.vector(e.i32(), 4);
  auto load = [&]() -> SmallVector<Value> {
    int64_t apart = firstSlot * place.stride;
    if (place.form == Place::Split) {
      Value offset = e.mul(e.add(e.mul(g, place.stride), column), 2);
      return {e.load(quad, e.at(e.at(place.base, offset), apart * 2)),
              e.load(quad, e.at(e.at(place.lesser, offset), apart * 2))};
    }
    // From a buffer in global memory: split here.
    SmallVector<Value> values;
    Value first = e.at(s.elementAt(place, g, column), apart * 4);
    for (int64_t half = 0; half < 8; half += 4) {
      Value floats = e.load(e.vector(e.f32(), 4), e.at(first, half * 4));
      for (int64_t i = 0; i < 4; ++i)
        values.push_back(e.element(floats, i));
    }
    SmallVector<Value> greater, lesser;
    for (int64_t i = 0; i < 8; i += 2) {
      Value pair = e.packBf16(values[i], values[i + 1]);
      greater.push_back(pair);
      lesser.push_back(
          e.packBf16(e.fsub(values[i], e.lowBf16(pair)), e.fsub(values[i + 1], e.highBf16(pair))));
    }
    return {e.vectorOf(greater), e.vectorOf(lesser)};
  };
  // What stands in the rows of slots that are not there makes sums that nobody asks for: with one
  // block of slots they repeat one that is there, which costs no branch. Columns of the last panel
  // may be beyond the row, where nothing is that could be multiplied with the weights' zeros.
  SmallVector<Value> loaded;
  if (slots <= kSlotsOfMma && place.columns % 32 == 0) {
    g = slots == 1 ? e.constant(0) : e.min(g, e.sub(high, 1));
    loaded = load();
  } else {
    Value isThere = e.less(g, e.sub(high, firstSlot));
    if (place.columns % 32 != 0)
      isThere = e.both(isThere, e.less(column, place.columns));
    loaded =
        e.choose(isThere, load, [&] { return SmallVector<Value>{e.zeros(quad), e.zeros(quad)}; });
  }
  std::array<SmallVector<Value>, 2> halves;
  for (int64_t half = 0; half < 2; ++half)
    for (int64_t i = 0; i < 4; ++i)
      halves[half].push_back(e.element(loaded[half], i));
  return halves;
}

// The weights that a lane has of a panel: of each 8 rows one, four pairs.
ProductEmitter::Weights ProductEmitter::weightsOf(Value panel) {
  Value first = e.at(panel, e.mul(e.lane, 16));
  Weights weights;
  for (int64_t block = 0; block < rows / 8; ++block) {
    Value quad = e.load(e.vector(e.i32(), 4), e.at(first, block * 512));
    weights.emplace_back();
    for (int64_t i = 0; i < 4; ++i)
      weights.back().push_back(e.element(quad, i));
  }
  return weights;
}

void ProductEmitter::multiplySplit(tile::ContractOp contract, Value panelStart,
                                   llvm::function_ref<void(Value, Value, ArrayRef<Value>)> put) {
  tile::MatrixType matrix = contract.getMatrix().getType();
  Place place = s.places.lookup(contract.getValue());
  int64_t slotBlocks = (slots + kSlotsOfMma - 1) / kSlotsOfMma, rowBlocks = rows / 8;
  int64_t panelBytes = rows * matrix.getPanel() * 2;
  Value g = e.shiftRight(e.lane, 2), t = e.both(e.lane, e.constant(3));
  auto columnOf = [&](Value panel) { return e.add(e.mul(panel, 32), e.mul(t, 8)); };

  SmallVector<Value> sums(slotBlocks * rowBlocks * 4, e.real(0));
  auto accumulate = [&](const Weights &weights, const Halves &values, int64_t slotBlock,
                        MutableArrayRef<Value> sums) {
    const auto &[greater, lesser] = values;
    for (int64_t block = 0; block < rowBlocks; ++block) {
      MutableArrayRef<Value> sum = sums.slice((slotBlock * rowBlocks + block) * 4, 4);
      for (int64_t k = 0; k < 4; k += 2)
        llvm::copy(e.multiply({greater[k], lesser[k], greater[k + 1], lesser[k + 1]},
                              ArrayRef(weights[block]).slice(k, 2), sum),
                   sum.begin());
    }
  };
  // `count` panels of this warp, read before the first of them is multiplied.
  auto playPanels = [&](Value panel, int64_t count, ValueRange carried) {
    SmallVector<Value> next(carried), panels;
    SmallVector<Weights> weights;
    SmallVector<Halves> values;
    for (int64_t i = 0; i < count; ++i) {
      panels.push_back(e.add(panel, i * e.shape.warps));
      weights.push_back(weightsOf(e.ringAt(e.add(panelStart, e.mul(panels.back(), panelBytes)))));
    }
    if (slotBlocks == 1)
      for (Value each : panels)
        values.push_back(activations(place, g, 0, columnOf(each)));
    for (int64_t i = 0; i < count; ++i)
      for (int64_t slotBlock = 0; slotBlock < slotBlocks; ++slotBlock)
        accumulate(weights[i],
                   slotBlocks == 1
                       ? values[i]
                       : activations(place, g, slotBlock * kSlotsOfMma, columnOf(panels[i])),
                   slotBlock, next);
    return next;
  };
  // A warp's reads of 2 KiB are under way at a time, where sums leave it the registers.
  int64_t ahead = slotBlocks == 1 ? std::max<int64_t>(1, 2048 / panelBytes) : 1;
  int64_t panels = matrix.getPanels(), stride = e.shape.warps * ahead;
  int64_t whole = panels / stride * stride;
  if (ahead > 1 && whole)
    sums =
        e.loop(e.warp, e.constant(whole), e.constant(stride), sums,
               [&](Value panel, ValueRange carried) { return playPanels(panel, ahead, carried); });
  if (ahead == 1)
    whole = 0;
  if (whole < panels)
    sums = e.loop(e.add(e.warp, whole), e.constant(panels), e.constant(e.shape.warps), sums,
                  [&](Value panel, ValueRange carried) { return playPanels(panel, 1, carried); });
  for (int64_t slotBlock = 0; slotBlock < slotBlocks; ++slotBlock)
    for (int64_t block = 0; block < rowBlocks; ++block) {
      ArrayRef<Value> sum = ArrayRef(sums).slice((slotBlock * rowBlocks + block) * 4, 4);
      put(e.add(g, slotBlock * kSlotsOfMma), e.add(e.mul(t, 2), block * 8),
          {e.fadd(sum[0], sum[2]), e.fadd(sum[1], sum[3])});
    }
}

// The same lanes on the same elements with f32 products; the four lanes of a row are added up at
// the end.
void ProductEmitter::multiplyFloats(tile::ContractOp contract, Value panelStart,
                                    llvm::function_ref<void(Value, Value, ArrayRef<Value>)> put) {
  tile::MatrixType matrix = contract.getMatrix().getType();
  Place place = s.places.lookup(contract.getValue());
  Type element = matrix.getElement();
  int64_t bytes = element.getIntOrFloatBitWidth() / 8, rowBlocks = rows / 8;
  int64_t panelBytes = rows * matrix.getPanel() * bytes;
  Value g = e.shiftRight(e.lane, 2), t = e.both(e.lane, e.constant(3));

  SmallVector<Value> sums(slots * rowBlocks, e.real(0));
  sums = e.loop(
      e.warp, e.constant(matrix.getPanels()), e.constant(e.shape.warps), sums,
      [&](Value panel, ValueRange carried) {
        SmallVector<Value> next(carried);
        Value weights = e.ringAt(e.add(panelStart, e.mul(panel, panelBytes)));
        weights = e.at(weights, e.mul(e.lane, 8 * bytes));
        SmallVector<SmallVector<Value, 8>> rowsOf;
        for (int64_t block = 0; block < rowBlocks; ++block) {
          rowsOf.emplace_back();
          for (int64_t half = 0; half < 2; ++half) {
            Value quad =
                e.load(e.vector(element, 4), e.at(weights, block * 256 * bytes + half * 4 * bytes));
            for (int64_t i = 0; i < 4; ++i)
              rowsOf.back().push_back(e.widenElement(e.element(quad, i)));
          }
        }
        Value column = e.add(e.mul(panel, 32), e.mul(t, 8));
        auto addSlot = [&](int64_t slot) {
          SmallVector<Value> values;
          for (int64_t half = 0; half < 8; half += 4)
            llvm::append_range(values, s.loadQuad(place, e.constant(slot), e.add(column, half)));
          SmallVector<Value> added;
          for (int64_t block = 0; block < rowBlocks; ++block) {
            Value sum = next[slot * rowBlocks + block];
            for (int64_t i = 0; i < 8; ++i)
              sum = e.fma(rowsOf[block][i], values[i], sum);
            added.push_back(sum);
          }
          return added;
        };
        for (int64_t slot = 0; slot < slots; ++slot) {
          Value isThere = e.less(e.constant(slot), high);
          if (place.columns % 32 != 0)
            isThere = e.both(isThere, e.less(column, place.columns));
          SmallVector<Value> added = e.choose(
              isThere, [&] { return addSlot(slot); },
              [&] {
                return SmallVector<Value>(ArrayRef(next).slice(slot * rowBlocks, rowBlocks));
              });
          llvm::copy(added, next.begin() + slot * rowBlocks);
        }
        return next;
      });
  for (int64_t slot = 0; slot < slots; ++slot)
    for (int64_t block = 0; block < rowBlocks; ++block) {
      Value sum = e.sumLanes(sums[slot * rowBlocks + block], 4);
      e.when(e.equal(t, 0), [&] { put(e.constant(slot), e.add(g, block * 8), {sum}); });
    }
}

Value ProductEmitter::partialAt(Value tileOfBatch, unsigned contract, Value warp, Value slot,
                                Value row) {
  Value part =
      e.add(e.mul(e.add(e.mul(tileOfBatch, contracts.size()), contract), e.shape.warps), warp);
  Value element = e.add(e.mul(e.add(e.mul(part, slots), slot), rows), row);
  return e.at(partials, e.mul(element, 4));
}

void ProductEmitter::multiply(tile::ContractOp contract, unsigned which, Value tileOfBatch) {
  Value start = e.tapeAt.get(e);
  auto put = [&](Value slot, Value row, ArrayRef<Value> values) {
    e.when(e.less(slot, high), [&] {
      Value at = partialAt(tileOfBatch, which, e.warp, slot, row);
      e.store(values.size() == 2 ? e.vectorOf(values) : values.front(), at);
    });
  };
  if (contract.getMatrix().getType().getElement().isBF16())
    multiplySplit(contract, start, put);
  else
    multiplyFloats(contract, start, put);
  e.tapeAt.set(e, e.add(start, contract.getMatrix().getType().getTileBytes()));
}

//===----------------------------------------------------------------------===//
// What follows the products
//===----------------------------------------------------------------------===//

static Value activate(Kernel &e, tile::Activation function, Value x) {
  switch (function) {
  case tile::Activation::Silu:
    return e.fdiv(x, e.fadd(e.real(1), e.exp(e.fsub(e.real(0), x))));
  case tile::Activation::GeluTanh: {
    Value cube = e.fmul(e.fmul(x, x), x);
    Value inner = e.fmul(e.real(0.7978845608028654), e.fma(cube, e.real(0.044715), x));
    return e.fmul(e.fmul(e.real(0.5), x), e.fadd(e.real(1), e.tanh(inner)));
  }
  case tile::Activation::Gelu:
    break;
  }
  llvm_unreachable("refused by checkStage");
}

// What an op reads from global memory for an element of the tile.
Value ProductEmitter::read(Operation &op, Value slot, Value row) {
  if (auto bias = dyn_cast<tile::BiasOp>(op)) {
    Value index = e.add(s.evaluate(bias.getColumnsAttr()), row);
    return e.loadConstant(e.f32(), e.at(s.bindingOf(bias.getVector()), e.mul(index, 4)));
  }
  auto load = cast<tile::LoadOp>(op);
  Place place = s.slice(load.getBuffer(), rows, load.getSlotsAttr(), load.getColumnsAttr());
  return e.load(e.f32(), s.elementAt(place, slot, row));
}

// The value's element at the given tile, slot and row.
Value ProductEmitter::finish(Value value, Value tileOfBatch, Value slot, Value row) {
  auto recurse = [&](Value operand) { return finish(operand, tileOfBatch, slot, row); };
  auto readOnce = [&](Operation *op) {
    auto found = early.find(op);
    return found == early.end() ? read(*op, slot, row) : found->second.get(e);
  };
  return TypeSwitch<Operation *, Value>(value.getDefiningOp())
      .Case([&](tile::ContractOp op) {
        unsigned which = llvm::find(contracts, op) - contracts.begin();
        Value sum = e.real(0);
        for (int64_t warp = 0; warp < e.shape.warps; ++warp)
          sum = e.fadd(sum,
                       e.load(e.f32(), partialAt(tileOfBatch, which, e.constant(warp), slot, row)));
        return sum;
      })
      .Case([&](tile::BiasOp op) { return e.fadd(recurse(op.getValue()), readOnce(op)); })
      .Case([&](tile::AddOp op) { return e.fadd(recurse(op.getLhs()), recurse(op.getRhs())); })
      .Case([&](tile::ActivateOp op) {
        return e.fmul(activate(e, op.getFunction(), recurse(op.getGate())), recurse(op.getUp()));
      })
      .Case([&](tile::LoadOp op) { return readOnce(op); });
}

// All lanes of the warp come here, those of a tile's row of elements together; of those beyond the
// batch nothing is stored.
void ProductEmitter::storePeaks(Value inside, Value tileOfBatch, Value slot, Value row) {
  for (tile::PeakOp op : section.getBody().front().getOps<tile::PeakOp>()) {
    Value greatest = e.greatestLane(finish(op.getValue(), tileOfBatch, slot, row), rows);
    Place place = s.slice(op.getBuffer(), 1, {}, op.getColumnsAttr());
    e.when(e.both(inside, e.equal(row, 0)),
           [&] { e.store(greatest, s.elementAt(place, slot, e.constant(0))); });
  }
}

void ProductEmitter::store(Value tileOfBatch, Value slot, Value row) {
  for (tile::StoreOp op : section.getBody().front().getOps<tile::StoreOp>()) {
    Place place = s.slice(op.getBuffer(), rows, op.getSlotsAttr(), op.getColumnsAttr());
    e.store(finish(op.getValue(), tileOfBatch, slot, row), s.elementAt(place, slot, row));
  }
}

void ProductEmitter::lower() {
  int64_t kept = s.scratchUsed;
  int64_t batch = std::clamp<int64_t>(kBatchBytes / tileBytes(), 1, 32);
  batch = std::min(batch, section.getTileCount());
  partials = s.allocate(batch * tileBytes());
  high = e.slots;
  Value low = s.stage.getOutputs() ? e.firstOutput : e.constant(0);
  // What is read where it lies does not depend on the tile.
  for (tile::LoadOp load : section.getBody().front().getOps<tile::LoadOp>())
    if (llvm::any_of(load->getUsers(), [](Operation *op) { return isa<tile::ContractOp>(op); }))
      s.lowerLoad(load);

  // With an element of the batch for each thread at most, what it reads is on its way while the
  // products are taken.
  bool oneEach = batch * slots * rows <= e.shape.consumers();
  if (oneEach)
    for (Operation &op : section.getBody().front())
      if (isa<tile::BiasOp>(op) || (isa<tile::LoadOp>(op) && !s.places.contains(op.getResult(0))))
        early[&op] = Variable(e, e.f32());

  Value begin = s.tilesOf(number, false), end = s.tilesOf(number, true);
  e.loop(begin, end, batch, [&](Value first) {
    Value count = e.min(e.sub(end, first), e.constant(batch));
    Value wanted = e.sub(high, low), elements = e.mul(e.mul(count, wanted), rows);
    // Calls `body` with the element's tile, slot and row; the section's coordinates are set.
    auto at = [&](Value index, llvm::function_ref<void(Value, Value, Value)> body) {
      Value row = e.rem(index, rows), rest = e.div(index, rows);
      Value tileOfBatch = slots == 1 ? rest : e.div(rest, wanted);
      Value slot = slots == 1 ? low : e.add(low, e.rem(rest, wanted));
      s.setTile(section, e.add(first, tileOfBatch));
      body(tileOfBatch, slot, row);
    };
    if (oneEach && !early.empty())
      e.when(e.less(e.thread, elements), [&] {
        at(e.thread, [&](Value, Value slot, Value row) {
          for (auto &[op, variable] : early)
            variable.set(e, read(*op, slot, row));
        });
      });
    e.loop(e.constant(0), count, 1, [&](Value tileOfBatch) {
      for (auto [which, contract] : llvm::enumerate(contracts))
        multiply(contract, which, tileOfBatch);
    });
    // A warp that had little to do gives back the slots that the others are done with, too: they
    // may need the whole ring before they come to the barrier.
    e.ringAt(e.sub(e.tapeAt.get(e), 1));
    e.meet();
    auto finishOne = [&](Value index) {
      at(index, [&](Value tile, Value slot, Value row) { store(tile, slot, row); });
    };
    if (oneEach)
      e.when(e.less(e.thread, elements), [&] { finishOne(e.thread); });
    else
      s.forThreads(elements, finishOne);
    if (!section.getBody().front().getOps<tile::PeakOp>().empty())
      e.loop(e.constant(0), elements, e.shape.consumers(), [&](Value from) {
        Value index = e.add(from, e.thread), inside = e.less(index, elements);
        at(e.min(index, e.sub(elements, 1)),
           [&](Value tile, Value slot, Value row) { storePeaks(inside, tile, slot, row); });
      });
    e.meet();
  });
  s.scratchUsed = kept;
}

void StageEmitter::lowerProducts(tile::SectionOp section, unsigned number) {
  ProductEmitter(*this, section, number).lower();
}

} // namespace pianola::nvptx
