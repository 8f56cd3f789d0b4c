//===- Stage.cpp - The frame that the ops of a stage are lowered in -------===//

#include "targets/host/Stage.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace pianola::host {

Value PartEmitter::allocate(Type element, int64_t count) {
  int64_t bytes = (count * (element.getIntOrFloatBitWidth() / 8) + 63) / 64 * 64;
  Value place = at(scratch, scratchUsed);
  scratchUsed += bytes;
  scratchPeak = std::max(scratchPeak, scratchUsed);
  return place;
}

Place PartEmitter::place(Value value) {
  auto type = cast<RankedTensorType>(value.getType());
  int64_t columns = type.getDimSize(1);
  offsets[value] = scratchUsed;
  Value base = allocate(type.getElementType(), paddedSlots(type.getDimSize(0)) * columns);
  return places[value] = {base, type.getElementType(), columns, columns};
}

Value PartEmitter::bindingOf(Value argument) {
  // Weights of tapes are not bound: bindings are counted without them.
  auto isOnTape = [](Type type) {
    auto vector = dyn_cast<tile::VectorType>(type);
    return isa<tile::MatrixType>(type) || (vector && !vector.getConstant());
  };
  auto block = cast<BlockArgument>(argument);
  int64_t index = 0;
  for (unsigned i = 0; i < block.getArgNumber(); ++i)
    index += !isOnTape(block.getOwner()->getArgument(i).getType());
  return load(pointer(), at(bindings, index * 8), 8);
}

Value PartEmitter::positionOf(Value slot) {
  return load(i64(), at(positions, mul(add(slotBegin, slot), 8)), 8);
}

Value PartEmitter::sequenceOf(Value slot) {
  Value sequence = load(i32(), at(sequences, mul(add(slotBegin, slot), 4)));
  return builder.create<arith::ExtUIOp>(loc, i64(), sequence);
}

// A sequence has the keys of all heads, then their values.
Value PartEmitter::halfOf(TypedValue<tile::ContextType> context, Value sequence, Value head,
                          tile::ContextPart part) {
  tile::ContextType type = context.getType();
  if (part == tile::ContextPart::Value)
    head = add(head, type.getHeads());
  Value half = add(mul(sequence, 2 * type.getHeads()), head), room = capacity;
  if (type.getRing())
    room = min(room, constant(type.getRing()));
  return at(bindingOf(context), mul(mul(half, room), type.getPositionBytes()));
}

Value PartEmitter::placeOf(tile::ContextType context, Value position) {
  return context.getRing() ? rem(position, context.getRing()) : position;
}

// Maps are linear forms of the coordinates with constant factors.
static Value expand(PartEmitter &emit, AffineExpr expr) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return emit.constant(constant.getValue());
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return emit.coordinates[dim.getPosition()];
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Value lhs = expand(emit, binary.getLHS());
  if (auto factor = dyn_cast<AffineConstantExpr>(binary.getRHS())) {
    switch (expr.getKind()) {
    case AffineExprKind::Mul:
      return emit.mul(lhs, factor.getValue());
    case AffineExprKind::FloorDiv:
      return emit.div(lhs, factor.getValue());
    case AffineExprKind::Mod:
      return emit.rem(lhs, factor.getValue());
    default:
      break;
    }
  }
  return emit.add(lhs, expand(emit, binary.getRHS()));
}

Value PartEmitter::evaluate(AffineMapAttr map) {
  return map ? expand(*this, map.getValue().getResult(0)) : constant(0);
}

Value PartEmitter::weightAt(Value argument) {
  if (auto found = expertTiles.find(argument); found != expertTiles.end())
    return found->second;
  if (auto found = tapeOffsets.find(argument); found != tapeOffsets.end())
    return at(tape, found->second);
  return at(resident, residentOffsets.lookup(argument));
}

Value PartEmitter::row(const Place &place, Value slot) {
  return at(place.base, mul(slot, place.stride * place.elementBytes()));
}

void PartEmitter::forLanes(int64_t columns, llvm::function_ref<void(Value, Value)> body) {
  loop(low, high, 1, [&](Value slot) {
    loop(constant(0), constant(columns), 16, [&](Value column) { body(slot, column); });
  });
}

Value PartEmitter::lanes(const Place &place, Value slot, Value column) {
  return loadLanes(place.element, at(row(place, slot), mul(column, place.elementBytes())));
}

void PartEmitter::setLanes(Value value, const Place &place, Value slot, Value column) {
  storeLanes(value, place.element, at(row(place, slot), mul(column, place.elementBytes())));
}

void PartEmitter::copyRows(const Place &from, const Place &to) {
  forLanes(from.columns, [&](Value slot, Value column) {
    setLanes(lanes(from, slot, column), to, slot, column);
  });
}

int64_t PartEmitter::paddedSlots(int64_t slots) const {
  return cpu.hasTileProducts() && slots > 1 ? (slots + 15) / 16 * 16 : slots;
}

Place PartEmitter::splitRows(const Place &from, int64_t slots) {
  int64_t columns = from.columns;
  int64_t bytes = rowBytes(Form::Split, columns);
  Place to{allocate(bf16(), paddedSlots(slots) * bytes / 2), bf16(), columns, bytes / 2};
  forLanes(columns, [&](Value slot, Value column) {
    storeForm(*this, lanes(from, slot, column), Form::Split, row(to, slot), column);
  });
  return to;
}

void PartEmitter::withRows(int64_t rows, llvm::function_ref<void()> body) {
  Value before = high;
  if (rows > partSlots)
    high = mul(high, rows / partSlots);
  body();
  high = before;
}

static int64_t rowsOf(Operation &op) {
  int64_t rows = 1;
  for (Value value : op.getOperands())
    if (auto type = dyn_cast<RankedTensorType>(value.getType()))
      rows = std::max(rows, type.getDimSize(0));
  for (Type type : op.getResultTypes())
    if (auto value = dyn_cast<RankedTensorType>(type))
      rows = std::max(rows, value.getDimSize(0));
  return rows;
}

void PartEmitter::lower(Operation &op) {
  if (auto members = dyn_cast<tile::MembersOp>(op))
    return lowerMembers(members);
  withRows(rowsOf(op), [&] { lowerRows(op); });
}

void PartEmitter::lowerRows(Operation &op) {
  TypeSwitch<Operation *>(&op)
      .Case([&](tile::LoadOp op) { lowerLoad(op); })
      .Case([&](tile::StoreOp op) { lowerStore(op); })
      .Case([&](tile::GatherOp op) { lowerGather(op); })
      .Case([&](tile::AppendOp op) { lowerAppend(op); })
      .Case([&](tile::ReorderOp op) { lowerReorder(op); })
      .Case([&](tile::BiasOp op) { lowerBias(op); })
      .Case([&](tile::AddOp op) { lowerAdd(op); })
      .Case([&](tile::ScaleOp op) { lowerScale(op); })
      .Case([&](tile::SoftcapOp op) { lowerSoftcap(op); })
      .Case([&](tile::ActivateOp op) { lowerActivate(op); })
      .Case([&](tile::GateOp op) { lowerGate(op); })
      .Case([&](tile::JoinOp op) { lowerJoin(op); })
      .Case([&](tile::RouteOp op) { lowerRoute(op); })
      .Case([&](tile::ExpertsOp op) { lowerExperts(op); })
      .Case([&](tile::WeightsOp op) { lowerWeights(op); })
      .Case([&](tile::WeighOp op) { lowerWeigh(op); })
      .Case([&](tile::ScatterOp op) { lowerScatter(op); })
      .Case([&](tile::NormaliseOp op) { lowerNormalise(op); })
      .Case([&](tile::RotateOp op) { lowerRotate(op); })
      .Case([&](tile::ContractOp op) { lowerContract(op); })
      .Case([&](tile::AttendOp op) { lowerAttend(op); })
      .Case([&](tile::ScoreOp op) { lowerScore(op); })
      .Case([&](tile::ChooseOp op) { lowerChoose(op); })
      .Case([&](tile::CombineOp op) { lowerCombine(op); })
      .Case([&](tile::RecordOp op) { lowerRecord(op); })
      .Case([&](tile::ConvolveOp op) { lowerConvolve(op); })
      .Case([&](tile::DeltaOp op) { lowerDelta(op); })
      .Case([](tile::YieldOp) {});
}

} // namespace pianola::host
