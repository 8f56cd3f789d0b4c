//===- Stage.cpp - The ops of a stage, lowered for a block ----------------===//

#include "targets/nvptx/Stage.h"
#include "targets/nvptx/WeightPanels.h"
#include "llvm/ADT/TypeSwitch.h"
#include <cstddef>

using namespace mlir;

namespace pianola::nvptx {

//===----------------------------------------------------------------------===//
// What a stage is given
//===----------------------------------------------------------------------===//

Value StageEmitter::bindingOf(Value argument) {
  // Matrices are on the tape: bindings are counted without them.
  auto block = cast<BlockArgument>(argument);
  int64_t index = 0;
  for (unsigned i = 0; i < block.getArgNumber(); ++i)
    index += !isa<tile::MatrixType>(block.getOwner()->getArgument(i).getType());
  Value address = e.field(e.i64(), e.card, offsetof(PianolaCudaCard, binding) + 8 * index);
  return e.globalAt(address);
}

Value StageEmitter::tilesOf(unsigned section, bool end) {
  return e.field(e.i32(), e.card, offsetof(PianolaCudaCard, tiles) + 8 * section + (end ? 4 : 0));
}

// Maps are of the coordinates, sums of them, and these times, by or modulo a constant: checkStage
// sees to it.
static Value expand(Kernel &e, ArrayRef<Value> coordinates, AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return e.constant(constant.getValue());
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return coordinates[dim.getPosition()];
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value lhs = expand(e, coordinates, binary.getLHS());
  if (expr.getKind() == AffineExprKind::Add)
    return e.add(lhs, expand(e, coordinates, binary.getRHS()));
  int64_t by = cast<AffineConstantExpr>(binary.getRHS()).getValue();
  switch (expr.getKind()) {
  case AffineExprKind::FloorDiv:
    return e.div(lhs, by);
  case AffineExprKind::Mod:
    return e.rem(lhs, by);
  default:
    return e.mul(lhs, by);
  }
}

Value StageEmitter::evaluate(AffineMapAttr map) {
  return map ? expand(e, coordinates, map.getValue().getResult(0)) : e.constant(0);
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

Value StageEmitter::allocate(int64_t bytes) {
  Value place = e.at(e.memory, kScratchAt + scratchUsed);
  scratchUsed += (bytes + 127) / 128 * 128;
  scratchPeak = std::max(scratchPeak, scratchUsed);
  return place;
}

Place StageEmitter::allocateRows(int64_t slots, int64_t columns, Place::Form form) {
  if (form == Place::F32)
    return {form, allocate(slots * columns * 4), {}, columns, columns};
  // Products read whole panels, and eight lanes 64 bytes each of two rows: of a slot's halves, or
  // of two slots. An odd number of these in between keeps them in different banks.
  int64_t half = (columns + 31) / 32 * 32;
  if (form == Place::Paired) {
    int64_t stride = 2 * half + 32;
    return {form, allocate(slots * stride * 2), {}, columns, stride};
  }
  half |= 32;
  int64_t stride = 2 * half + 32;
  Value greater = allocate(slots * stride * 2);
  return {form, greater, e.at(greater, half * 2), columns, stride};
}

SmallVector<tile::ContractOp> StageEmitter::productsOf(Value value) {
  SmallVector<tile::ContractOp> products;
  for (OpOperand &use : value.getUses()) {
    if (auto yield = dyn_cast<tile::YieldOp>(use.getOwner()))
      return productsOf(yield->getParentOp()->getResult(use.getOperandNumber()));
    if (auto members = dyn_cast<tile::MembersOp>(use.getOwner()))
      llvm::append_range(products, productsOf(members.getResult()));
    if (auto contract = dyn_cast<tile::ContractOp>(use.getOwner()))
      products.push_back(contract);
  }
  return products;
}

// Of choices there are more rows than slots that a product takes.
static int64_t slotsOf(ArrayRef<tile::ContractOp> products) {
  tile::ContractOp first = products.front();
  return cast<RankedTensorType>(first.getValue().getType()).getDimSize(0);
}

// A prologue's result stands as the inner products that read it want it: split, if all of them take
// it so.
Place::Form StageEmitter::formOf(Value value) {
  SmallVector<tile::ContractOp> products = productsOf(value);
  if (products.empty() || llvm::any_of(products, [](tile::ContractOp contract) {
        return !takesSplit(contract.getMatrix().getType().getElement());
      }))
    return Place::F32;
  // Weights are the second operand of all products of so many slots.
  int64_t slots = slotsOf(products);
  return slots > tile::kMostSlotsBehindWeights ? Place::Paired : Place::Split;
}

bool isOnlyStored(Value value) {
  return value.hasOneUse() && isa<tile::StoreOp>(*value.getUsers().begin());
}

Place StageEmitter::placeFor(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  if (isOnlyStored(value)) {
    auto store = cast<tile::StoreOp>(*value.getUsers().begin());
    return places[value] = slice(store.getBuffer(), type.getDimSize(1), store.getSlotsAttr(),
                                 store.getColumnsAttr());
  }
  int64_t slots = type.getDimSize(0);
  Place place = allocateRows(slots, type.getDimSize(1), formOf(value));
  if (place.form == Place::Split) {
    place.areNibbles = true;
    SmallVector<tile::ContractOp> products = productsOf(value);
    for (tile::ContractOp contract : products) {
      tile::MatrixType matrix = contract.getMatrix().getType();
      bool isBare = takesBareCodes(matrix, slotsOf(products));
      place.areNibbles &= isBare && matrix.getCodes().getCode() == encoding::Code::I4;
      if (!isBare)
        continue;
      place.isRaised = true;
      if (place.sums || !matrix.getCodes().isInteger())
        continue;
      // As above: eight lanes read 16 bytes each of two halves.
      place.sumsHalf = (place.columns / 4 + 31) / 32 * 32 | 32;
      place.sums = allocate(slots * 2 * place.sumsHalf * 2);
    }
  }
  return places[value] = place;
}

Value StageEmitter::slotBeginOf(Value value) {
  auto found = slotBegins.find(value);
  return found == slotBegins.end() ? e.constant(0) : found->second;
}

void StageEmitter::passSlotBegin(Value from, Value to) {
  if (auto begin = slotBegins.find(from); begin != slotBegins.end())
    slotBegins[to] = begin->second;
}

Value StageEmitter::highOf(Value value) {
  int64_t slots = cast<RankedTensorType>(value.getType()).getDimSize(0);
  // Rows of choices.
  for (const auto &[_, route] : routes)
    if (slots > route.type.getSlots())
      return e.mul(e.slots, slots / route.type.getSlots());
  return e.min(e.sub(e.slots, slotBeginOf(value)), e.constant(slots));
}

Value StageEmitter::row(const Place &place, Value slot) {
  return e.at(place.base, e.mul(slot, place.stride * 4));
}

Value StageEmitter::elementAt(const Place &place, Value slot, Value column) {
  return e.at(place.base, e.mul(e.add(e.mul(slot, place.stride), column), 4));
}

void StageEmitter::forThreads(Value count, llvm::function_ref<void(Value)> body) {
  e.loop(e.thread, count, e.shape.consumers(), body);
}

void StageEmitter::forWarps(Value count, llvm::function_ref<void(Value)> body) {
  e.loop(e.warp, count, e.shape.warps, body);
}

void StageEmitter::forQuads(Value high, int64_t columns,
                            llvm::function_ref<void(Value, Value)> body) {
  forThreads(e.mul(high, columns / 4), [&](Value index) {
    body(e.div(index, columns / 4), e.mul(e.rem(index, columns / 4), 4));
  });
}

SmallVector<Value, 4> StageEmitter::loadQuad(const Place &place, Value slot, Value column) {
  Value quad = e.load(e.vector(e.f32(), 4), elementAt(place, slot, column));
  SmallVector<Value, 4> values;
  for (int64_t i = 0; i < 4; ++i)
    values.push_back(e.element(quad, i));
  return values;
}

void StageEmitter::storeQuad(ArrayRef<Value> quad, const Place &place, Value slot, Value column) {
  if (place.form == Place::F32) {
    e.store(e.vectorOf(quad), elementAt(place, slot, column));
    return;
  }
  SmallVector<Value, 4> values(quad);
  if (place.isRaised)
    for (Value &value : values)
      value = e.fmul(value, e.real(kRaise));
  Value sum;
  if (place.sums)
    sum = e.fsub(e.fsub(e.real(0), e.fadd(values[0], values[1])), e.fadd(values[2], values[3]));
  if (place.areNibbles)
    for (Value &value : MutableArrayRef(values).drop_front(2))
      value = e.fmul(value, e.real(1.0 / 16));
  auto [greater, lesser] = e.splitPairs(values);
  if (place.form == Place::Paired) {
    // See Place: four columns are 16 bytes.
    Value step = e.mul(e.shiftRight(column, 5), 128);
    Value half = e.mul(e.both(column, e.constant(4)), 16);
    Value lane = e.mul(e.both(column, e.constant(24)), 2);
    Value at = e.add(e.mul(slot, place.stride * 2), e.add(step, e.add(half, lane)));
    e.store(e.vectorOf({greater[0], lesser[0], greater[1], lesser[1]}), e.at(place.base, at));
    return;
  }
  Value offset = e.mul(e.add(e.mul(slot, place.stride), column), 2);
  if (!place.isRaised) {
    e.store(e.vectorOf(greater), e.at(place.base, offset));
    e.store(e.vectorOf(lesser), e.at(place.lesser, offset));
    return;
  }
  // The second four of eight columns begin with the second word.
  offset = e.sub(offset, e.both(column, e.constant(4)));
  for (int64_t pair = 0; pair < 2; ++pair) {
    e.store(greater[pair], e.at(e.at(place.base, offset), pair * 8));
    e.store(lesser[pair], e.at(e.at(place.lesser, offset), pair * 8));
  }
  if (!place.sums)
    return;
  auto [first, second] = e.splitPairs({sum, e.real(0)});
  Value at =
      e.at(place.sums, e.add(e.mul(slot, place.sumsHalf * 4), e.mul(e.shiftRight(column, 2), 2)));
  auto store = [&](Value pair, int64_t further) {
    e.store(e.builder.create<arith::TruncIOp>(e.loc, e.i16(), pair), e.at(at, further));
  };
  store(first.front(), 0);
  store(second.front(), place.sumsHalf * 2);
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

void StageEmitter::lowerRow(Operation &op) {
  TypeSwitch<Operation *>(&op)
      .Case([&](tile::LoadOp load) { lowerLoad(load); })
      .Case([&](tile::StoreOp store) { lowerStore(store); })
      .Case([&](tile::GatherOp gather) { lowerGather(gather); })
      .Case([&](tile::AppendOp append) { lowerAppend(append); })
      .Case([&](tile::NormaliseOp normalise) { lowerNormalise(normalise); })
      .Case([&](tile::RotateOp rotate) { lowerRotate(rotate); })
      .Case([&](tile::AddOp add) { lowerAdd(add); })
      .Case([&](tile::ScaleOp scale) { lowerScale(scale); })
      .Case([&](tile::CombineOp combine) { lowerCombine(combine); })
      .Case([&](tile::ActivateOp activate) { lowerActivate(activate); })
      .Case([&](tile::GateOp gate) { lowerGate(gate); })
      .Case([&](tile::JoinOp join) { lowerJoin(join); })
      .Case([&](tile::RouteOp route) { lowerRoute(route); })
      .Case([&](tile::AttendOp attend) { lowerAttend(attend); })
      .Case([&](tile::ScoreOp score) { lowerScore(score); })
      .Case([&](tile::ChooseOp choose) { lowerChoose(choose); })
      .Case([&](tile::ConvolveOp convolve) { lowerConvolve(convolve); })
      .Case([&](tile::DeltaOp delta) { lowerDelta(delta); })
      .Case([&](tile::SampleOp sample) { lowerSample(sample); })
      .Case([&](tile::YieldOp) {});
}

void StageEmitter::lowerPrologue(tile::PrologueOp prologue) {
  Block &block = prologue.getBody().front();
  // Choices first: weights come only when they are known.
  auto isOfChoice = [](Operation &op) {
    return isa<tile::RouteOp>(op) ||
           (isa<tile::LoadOp>(op) &&
            llvm::any_of(op.getUsers(), [](Operation *user) { return isa<tile::RouteOp>(user); }));
  };
  for (Operation &op : llvm::make_filter_range(block, isOfChoice))
    lowerRow(op);
  for (auto [inside, result] :
       llvm::zip(block.getTerminator()->getOperands(), prologue.getResults()))
    if (auto found = routes.find(inside); found != routes.end())
      routes.try_emplace(result, Routes(found->second));
  tellFirstPieces();
  for (Operation &op : block)
    if (!isOfChoice(op))
      lowerRow(op);
  for (auto [inside, result] :
       llvm::zip(block.getTerminator()->getOperands(), prologue.getResults())) {
    if (isa<tile::RoutesType>(inside.getType()))
      continue;
    Place place = places.lookup(inside);
    // What was only looked at is copied: every tile reads it, in the form that products take.
    if (inside.getDefiningOp<tile::LoadOp>()) {
      Place from = place;
      place = placeFor(result);
      forQuads(highOf(inside), from.columns, [&](Value slot, Value column) {
        storeQuad(loadQuad(from, slot, column), place, slot, column);
      });
      e.meet();
    }
    places[result] = place;
  }
}

void StageEmitter::setTile(tile::SectionOp section, Value number) {
  coordinates.resize(section.getGrid().size());
  for (size_t d = section.getGrid().size(); d-- > 0;) {
    coordinates[d] = d == 0 ? number : e.rem(number, section.getGrid()[d]);
    if (d > 0)
      number = e.div(number, section.getGrid()[d]);
  }
}

void StageEmitter::lowerRows(tile::SectionOp section, unsigned number) {
  Value begin = tilesOf(number, false), thread = e.thread, lane = e.lane;
  e.loop(begin, tilesOf(number, true), 1, [&](Value tile) {
    // What follows from these is not kept from tile to tile, nor for all of a long tile's ops.
    e.askLane();
    e.readState();
    setTile(section, tile);
    isFirstTile = e.equal(tile, begin);
    int64_t kept = scratchUsed;
    for (Operation &op : section.getBody().front())
      lowerRow(op);
    scratchUsed = kept;
  });
  e.thread = thread;
  e.lane = lane;
  e.readState();
}

// While the step's events are awaited, registers fill with what does not depend on them.
void StageEmitter::anticipate() {
  if (tile::PrologueOp prologue = stage.getPrologue())
    for (auto norm : prologue.getBody().front().getOps<tile::NormaliseOp>())
      anticipateNorm(norm);
  if (tile::SectionOp first = stage.getSections().front();
      !first.getBody().front().getOps<tile::ContractOp>().empty())
    anticipateProducts();
  // What earlier plays have appended is there, but not before the play has begun.
  if (e.playsOneStage)
    return;
  for (auto [number, section] : llvm::enumerate(stage.getSections()))
    for (auto attend : section.getBody().front().getOps<tile::AttendOp>()) {
      auto queries = cast<RankedTensorType>(attend.getQueries().getType());
      // Without fresh keys the newest position is the context's, where this play writes it. What is
      // chosen is not known yet.
      if (queries.getDimSize(0) != 1 || attend.getSlots() || !attend.getKeys() ||
          attend.getSelection())
        continue;
      anticipateAttend(attend, tilesOf(number, false), tilesOf(number, true));
    }
}

void StageEmitter::lower() {
  comment(e, "stage: " + stage.getSymName().str());
  Value thread = e.thread, lane = e.lane, warp = e.warp;
  e.askAgain();
  e.readState();
  anticipate();
  e.whenReady([&] {
    if (tile::PrologueOp prologue = stage.getPrologue())
      lowerPrologue(prologue);
    for (auto [number, section] : llvm::enumerate(stage.getSections())) {
      Block &block = section.getBody().front();
      if (!block.getOps<tile::ExpertsOp>().empty())
        lowerExperts(section, number);
      else if (!block.getOps<tile::ContractOp>().empty())
        lowerProducts(section, number);
      else
        lowerRows(section, number);
    }
  });
  e.thread = thread;
  e.lane = lane;
  e.warp = warp;
}

} // namespace pianola::nvptx
