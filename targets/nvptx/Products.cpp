//===- Products.cpp - Inner products of weights on the tape ---------------===//
//
// Tiles are played in batches. First every warp multiplies its panels of each tile of the batch:
// panel p of a tile is warp p % warps's. The partial sums of all warps meet in scratch memory; then
// each thread takes an output element of the batch through the ops that follow the products.
//
//===----------------------------------------------------------------------===//

#include "targets/nvptx/Products.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace pianola::nvptx {

// Scratch memory for the partial sums of a batch: what is not taken is the ring's.
constexpr int64_t kBatchBytes = 8 << 10;

ProductEmitter::ProductEmitter(StageEmitter &owner, tile::SectionOp section, unsigned number,
                               tile::ExpertsOp experts)
    : s(owner), e(owner.e), section(section), number(number), experts(experts),
      ring(experts ? *e.pieces : e.ring),
      body(experts ? experts.getBody().front() : section.getBody().front()),
      contracts(llvm::to_vector(body.getOps<tile::ContractOp>())) {
  // A section of sums of experts may have no products of its own.
  Value first = contracts.empty() ? (*body.getOps<tile::ExpertsOp>().begin()).getSum()
                                  : contracts.front().getResult();
  auto type = cast<RankedTensorType>(first.getType());
  slots = type.getDimSize(0);
  rows = type.getDimSize(1);
  batch = batchOf(contracts, section.getTileCount());
  SmallVector<tile::SectionOp> sections = s.stage.getSections();
  plans.resize(sections.size());
  if (slots <= kSlotsOfA && !experts)
    plans =
        tile::planEarly(s.stage, tile::getMachine(s.stage->getParentOp()).getWorkers(),
                        e.shape.warps, preloadRegisters(e.shape, slots), [&](tile::SectionOp each) {
                          auto of = each.getBody().front().getOps<tile::ContractOp>();
                          return batchOf(llvm::to_vector(of), each.getTileCount());
                        });
  plan = plans[number];
}

// Tiles whose partial sums are kept at a time.
int64_t ProductEmitter::batchOf(ArrayRef<tile::ContractOp> contracts, int64_t most) const {
  int64_t bytes = 1;
  for (tile::ContractOp contract : contracts)
    bytes +=
        e.shape.warps * cast<RankedTensorType>(contract.getResult().getType()).getNumElements() * 4;
  return std::min(std::clamp<int64_t>(kBatchBytes / bytes, 1, 32), most);
}

//===----------------------------------------------------------------------===//
// Products in f32
//===----------------------------------------------------------------------===//

// Lane (g, t) has row g's elements 8t .. 8t+7, as with bf16 weights; the four lanes of a row are
// added up at the end.
void ProductEmitter::multiplyFloats(tile::ContractOp contract, Value panelStart, Put put) {
  tile::MatrixType matrix = contract.getMatrix().getType();
  Place place = s.places.lookup(contract.getValue());
  Type element = matrix.getElement();
  int64_t bytes = element.getIntOrFloatBitWidth() / 8, rowBlocks = rows / 8;
  int64_t panelBytes = matrix.getPanelBytes();
  int64_t before = matrix.getKept() ? tile::MatrixType::kNumberBytes : 0;
  Value g = e.shiftRight(e.lane, 2), t = e.both(e.lane, e.constant(3));

  SmallVector<Value> sums(slots * rowBlocks, e.real(0));
  sums =
      e.loop(e.warp, e.constant(matrix.getPanels()), e.constant(e.shape.warps), sums,
             [&](Value panel, ValueRange carried) {
               SmallVector<Value> next(carried);
               Value weights = ring.await(e.add(panelStart, e.mul(panel, panelBytes)), panelBytes);
               SmallVector<SmallVector<Value, 8>> rowsOf;
               for (int64_t block = 0; block < rowBlocks; ++block) {
                 rowsOf.emplace_back();
                 for (int64_t half = 0; half < 2; ++half) {
                   Value from = ring.at(weights, e.mul(e.lane, 8 * bytes),
                                        before + block * 256 * bytes + half * 4 * bytes);
                   Value quad = e.load(e.vector(element, 4), from);
                   for (int64_t i = 0; i < 4; ++i)
                     rowsOf.back().push_back(e.widenElement(e.element(quad, i)));
                 }
               }
               Value number = panel;
               if (matrix.getKept())
                 number = e.load(e.i32(), ring.at(weights, e.constant(0), 0));
               Value column = e.add(e.mul(number, 32), e.mul(t, 8));
               auto addSlot = [&](int64_t slot) {
                 SmallVector<Value> values;
                 for (int64_t half = 0; half < 8; half += 4)
                   llvm::append_range(values, s.loadQuad(place, place.rowOf(e, e.constant(slot)),
                                                         e.add(column, half)));
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

void ProductEmitter::multiply(unsigned which, Value tileOfBatch, ArrayRef<Value> taken) {
  tile::ContractOp contract = contracts[which];
  Value start = ring.next.get(e);
  auto put = [&](Value slot, Value row, ArrayRef<Value> values) {
    e.when(e.less(slot, high), [&] {
      Value at = partialAt(tileOfBatch, which, e.warp, slot, row);
      e.store(values.size() == 2 ? e.vectorOf(values) : values.front(), at);
    });
  };
  if (takesBare(contract))
    multiplyCodes(contract, start, taken, put);
  else if (takesSplit(contract.getMatrix().getType().getElement()))
    multiplySplit(contract, start, taken, put);
  else
    multiplyFloats(contract, start, put);
  int64_t bytes = contract.getMatrix().getType().getTileBytes();
  // Pieces begin at slots.
  if (experts)
    bytes = llvm::alignTo(bytes, e.shape.chunk);
  ring.next.set(e, e.add(start, bytes));
}

//===----------------------------------------------------------------------===//
// What follows the products
//===----------------------------------------------------------------------===//

bool isReadInPlace(tile::LoadOp load) {
  return llvm::any_of(load->getUsers(), [&](Operation *user) {
    auto gate = dyn_cast<tile::GateOp>(user);
    return isa<tile::ContractOp, tile::MembersOp>(user) ||
           (gate && gate.getByRow() && gate.getBy() == load.getResult());
  });
}

// What an op reads from global memory for an element of the tile.
Value ProductEmitter::read(Operation &op, Value slot, Value row) {
  if (auto bias = dyn_cast<tile::BiasOp>(op)) {
    Value index = e.add(s.evaluate(bias.getColumnsAttr()), row);
    if (bias.getOfExpert())
      index = e.add(index, e.mul(expert, bias.getVector().getType().getPad()));
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
      .Case([&](tile::SoftcapOp op) {
        return e.softcap(recurse(op.getValue()), op.getCap().convertToDouble());
      })
      .Case([&](tile::ScaleOp op) {
        return e.fmul(recurse(op.getValue()), e.real(op.getFactor().convertToFloat()));
      })
      .Case([&](tile::ActivateOp op) {
        Value gate = recurse(op.getGate()), up = op.getUp() ? recurse(op.getUp()) : Value();
        return activate(e, op, gate, up);
      })
      .Case([&](tile::GateOp op) {
        Value by =
            op.getByRow()
                ? e.load(e.f32(), s.elementAt(s.places.lookup(op.getBy()), slot, e.constant(0)))
                : recurse(op.getBy());
        return e.fdiv(recurse(op.getValue()), e.fadd(e.real(1), e.exp(e.fsub(e.real(0), by))));
      })
      .Case([&](tile::WeighOp op) { return e.fmul(recurse(op.getValue()), weight); })
      .Case([&](tile::ExpertsOp) { return e.load(e.f32(), sumAt(slot, row)); })
      .Case([&](tile::LoadOp op) { return readOnce(op); });
}

Value ProductEmitter::sumAt(Value slot, Value row) {
  return e.at(sums, e.mul(e.add(e.mul(slot, rows), row), 4));
}

void ProductEmitter::store(tile::StoreOp op, Value value, Value slot, Value row) {
  Place place = s.slice(op.getBuffer(), rows, op.getSlotsAttr(), op.getColumnsAttr());
  e.store(value, s.elementAt(place, slot, row));
}

void ProductEmitter::storeElement(Value tileOfBatch, Value slot, Value row) {
  for (tile::StoreOp op : body.getOps<tile::StoreOp>())
    store(op, finish(op.getValue(), tileOfBatch, slot, row), slot, row);
  for (tile::RecordOp op : body.getOps<tile::RecordOp>())
    e.store(finish(op.getValue(), tileOfBatch, slot, row), s.recordAt(op, slot, row));
}

// All lanes of the warp come here, those of a tile's row of elements together; of those beyond the
// batch nothing is stored.
void ProductEmitter::storeWithPeak(tile::PeakOp peak, Value inside, Value tileOfBatch, Value slot,
                                   Value row) {
  Value value = finish(peak.getValue(), tileOfBatch, slot, row);
  Value greatest = e.greatestLane(value, rows);
  Place place = s.slice(peak.getBuffer(), 1, {}, peak.getColumnsAttr());
  e.when(inside, [&] {
    for (tile::StoreOp op : body.getOps<tile::StoreOp>()) {
      bool isSame = op.getValue() == peak.getValue();
      store(op, isSame ? value : finish(op.getValue(), tileOfBatch, slot, row), slot, row);
    }
    e.when(e.equal(row, 0), [&] { e.store(greatest, s.elementAt(place, slot, e.constant(0))); });
  });
}

void ProductEmitter::begin() {
  partials = s.allocate(batch * tileBytes());
  high = e.slots;
}

void ProductEmitter::findOperands(Value tile) {
  for (tile::LoadOp load : body.getOps<tile::LoadOp>())
    if (isReadInPlace(load) && load.getColumns()) {
      s.setTile(section, tile);
      s.lowerLoad(load);
    }
}

void ProductEmitter::lower() {
  int64_t kept = s.scratchUsed;
  begin();
  Value low = s.stage.getOutputs() ? e.firstOutput : e.constant(0);
  for (tile::LoadOp load : body.getOps<tile::LoadOp>())
    if (isReadInPlace(load) && !load.getColumns())
      s.lowerLoad(load);

  // With an element of the batch for each thread at most, what it reads is on its way while the
  // products are taken.
  bool oneEach = batch * slots * rows <= e.shape.consumers();
  if (oneEach)
    for (Operation &op : body)
      if (auto load = dyn_cast<tile::LoadOp>(op);
          load ? !isReadInPlace(load) : isa<tile::BiasOp>(op))
        early[&op] = Variable(e, e.real(0));

  Value begin = s.tilesOf(number, false), end = s.tilesOf(number, true), first;
  auto countOf = [&] { return e.min(e.sub(end, first), e.constant(batch)); };
  // Calls `body` with the tile, slot and row of an element of the batch from `first` on; the
  // section's coordinates are set.
  Value wanted = e.sub(high, low);
  auto at = [&](Value index, llvm::function_ref<void(Value, Value, Value)> body) {
    Value row = e.rem(index, rows), rest = e.div(index, rows);
    Value tileOfBatch = slots == 1 ? rest : e.div(rest, wanted);
    Value slot = slots == 1 ? low : e.add(low, e.rem(rest, wanted));
    s.setTile(section, e.add(first, tileOfBatch));
    body(tileOfBatch, slot, row);
  };
  auto elementsOf = [&](Value count) { return e.mul(e.mul(count, wanted), rows); };
  auto readEarly = [&] {
    if (oneEach && !early.empty())
      e.when(e.less(e.thread, elementsOf(countOf())), [&] {
        at(e.thread, [&](Value, Value slot, Value row) {
          for (auto &[op, variable] : early)
            variable.set(e, read(*op, slot, row));
        });
      });
  };
  Value taken = isAnticipated() ? countTaken() : e.constant(0);
  if (isAnticipated()) {
    first = begin;
    readEarly();
    multiplyTaken(taken);
  }
  e.loop(begin, end, batch, [&](Value batchBegin) {
    first = batchBegin;
    Value count = countOf(), elements = elementsOf(count), done = e.constant(0);
    if (isAnticipated()) {
      Value isFirst = e.equal(first, begin);
      done = e.select(isFirst, taken, done);
      e.when(e.negate(isFirst), readEarly);
    } else {
      readEarly();
    }
    e.loop(done, count, 1, [&](Value tileOfBatch) {
      findOperands(e.add(first, tileOfBatch));
      for (unsigned which = 0; which < contracts.size(); ++which)
        multiply(which, tileOfBatch, {});
    });
    // A warp that had little to do gives back the slots that the others are done with, too: they
    // may need the whole ring before they come to the barrier. Of tiles that were taken all has
    // been given back, and perhaps more: of the next section's.
    auto giveBack = [&] { ring.giveBackTo(e.sub(ring.next.get(e), 1)); };
    if (takesWholeTiles())
      e.when(e.less(done, count), giveBack);
    else
      giveBack();
    e.meet();
    auto finishOne = [&](Value index) {
      at(index, [&](Value tile, Value slot, Value row) { storeElement(tile, slot, row); });
    };
    auto peaks = body.getOps<tile::PeakOp>();
    if (!peaks.empty())
      e.loop(e.constant(0), elements, e.shape.consumers(), [&](Value from) {
        Value index = e.add(from, e.thread), inside = e.less(index, elements);
        at(e.min(index, e.sub(elements, 1)), [&](Value tile, Value slot, Value row) {
          storeWithPeak(*peaks.begin(), inside, tile, slot, row);
        });
      });
    else if (oneEach)
      e.when(e.less(e.thread, elements), [&] { finishOne(e.thread); });
    else
      s.forThreads(elements, finishOne);
    e.meet();
  });
  s.scratchUsed = kept;
}

// Of section after section, as long as all of a worker's tiles are taken.
void StageEmitter::anticipateProducts() {
  // In a block that has stopped nothing comes, and each wait would have to find that out. Lanes
  // stay together in the ring.
  Value stopped =
      e.shuffleFrom(e.select(e.isStopped(), e.constant(1), e.constant(0)), e.constant(0));
  Value start = e.ring.next.get(e);
  takenWeights.resize(stage.getSections().size());
  for (auto [number, section] : llvm::enumerate(stage.getSections())) {
    if (section.getBody().front().getOps<tile::ContractOp>().empty())
      break;
    ProductEmitter products(*this, section, number);
    if (!products.isAnticipated())
      break;
    start = products.anticipate(start, e.differ(stopped, 0));
  }
}

void StageEmitter::lowerProducts(tile::SectionOp section, unsigned number) {
  ProductEmitter(*this, section, number).lower();
}

} // namespace pianola::nvptx
