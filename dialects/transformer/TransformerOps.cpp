// TransformerOps.cpp - what the transformer ops demand of their operands and symbols.
//
// What an op can see by itself is checked in verify(); what it needs a symbol for, in
// verifySymbolUses(), so that a wrong shape is reported with the name of the weight.
#include "dialects/transformer/Transformer.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/Twine.h"

#include <cmath>

using namespace mlir;
using namespace pianola::transformer;

#define GET_OP_CLASSES
#include "dialects/transformer/Transformer.cpp.inc"

namespace {

std::string show(ArrayRef<int64_t> shape) {
  std::string text = "[";
  for (auto [i, size] : llvm::enumerate(shape))
    text += (i ? ", " : "") + std::to_string(size);
  return text + "]";
}

/// Finds the symbol `name` and checks that an op of class SymbolOp declares it.
template <typename SymbolOp>
SymbolOp lookUp(Operation *op, SymbolTableCollection &symbols, FlatSymbolRefAttr name) {
  Operation *found = symbols.lookupNearestSymbolFrom(op, name);
  if (!found) {
    op->emitOpError("names ") << name << ", which is not declared";
    return {};
  }
  auto symbol = dyn_cast<SymbolOp>(found);
  if (!symbol)
    op->emitOpError("names ") << name << ", which is not a " << SymbolOp::getOperationName()
                              << " but a " << found->getName();
  return symbol;
}

LogicalResult checkWeight(Operation *op, SymbolTableCollection &symbols, FlatSymbolRefAttr name,
                          ArrayRef<int64_t> shape) {
  auto weight = lookUp<WeightOp>(op, symbols, name);
  if (!weight)
    return failure();
  if (weight.getShape() != shape)
    return op->emitOpError("weight ")
           << name << " is " << show(weight.getShape()) << ", expected " << show(shape);
  return success();
}

LogicalResult checkHeads(Operation *op, int64_t width, int64_t heads) {
  if (heads < 1)
    return op->emitOpError("heads must be at least 1, found ") << heads;
  if (width % heads)
    return op->emitOpError("rows of ") << width << " do not divide into " << heads << " heads";
  return success();
}

int64_t slots(Value value) { return cast<RankedTensorType>(value.getType()).getDimSize(0); }

LogicalResult checkSlots(Operation *op) {
  if (slots(op->getOperand(0)) != slots(op->getResult(0)))
    return op->emitOpError("changes the number of token slots");
  return success();
}

} // namespace

//===----------------------------------------------------------------------===//
// Symbols
//===----------------------------------------------------------------------===//

LogicalResult WeightOp::verify() {
  ArrayRef<int64_t> shape = getShape();
  if (shape.empty() || shape.size() > 2 || llvm::any_of(shape, [](int64_t n) { return n < 1; }))
    return emitOpError("@") << getSymName()
                            << " must have one or two dimensions of at least 1, found "
                            << show(shape);
  if (getTensor().empty())
    return emitOpError("@") << getSymName() << " names no tensor";
  if (auto type = dyn_cast<encoding::BlocksType>(getEncoding())) {
    constexpr int64_t kSide = encoding::BlocksType::kSide;
    if (shape.size() != 2 || shape[1] % kSide != 0 || type.getKept() > shape[1] / kSide)
      return emitOpError("@") << getSymName() << " has no " << type.getKept() << " blocks of "
                              << kSide << " columns in each row, found " << show(shape);
  }
  return success();
}

LogicalResult RopeTableOp::verify() {
  if (getInvFreq().empty())
    return emitOpError("@") << getSymName() << " has no frequencies";
  for (auto [i, frequency] : llvm::enumerate(getInvFreq()))
    if (!std::isfinite(frequency) || frequency < 0)
      return emitOpError("@") << getSymName() << " frequency " << i << " is negative or not finite";
  if (!getScale().isFinite())
    return emitOpError("@") << getSymName() << " scale is not finite";
  if (!getGrowth())
    return success();
  if (!getGrowth()->isFinite())
    return emitOpError("@") << getSymName() << " growth is not finite";
  if (!getPeriod() || !getFrom() || int64_t(*getPeriod()) < 1 || int64_t(*getFrom()) < 0)
    return emitOpError("@") << getSymName() << " grows every 1 or more positions, from 0 or later";
  return success();
}

LogicalResult CacheOp::verify() {
  if (getHeads() < 1 || getHeadSize() < 1)
    return emitOpError("@") << getSymName() << " needs at least one head of at least one number";
  Type element = getElement().value_or(Type());
  if (element && !element.isF32() && !element.isBF16() && !element.isInteger(8) &&
      !element.isFloat8E4M3FN())
    return emitOpError("@") << getSymName() << " is of f32, bf16, i8 or f8E4M3FN, found "
                            << element;
  return success();
}

//===----------------------------------------------------------------------===//
// Ops on rows
//===----------------------------------------------------------------------===//

LogicalResult EmbedOp::verifySymbolUses(SymbolTableCollection &symbols) {
  if (slots(getIds()) != slots(getResult()))
    return emitOpError("changes the number of token slots");
  auto weight = lookUp<WeightOp>(*this, symbols, getWeightAttr());
  if (!weight)
    return failure();
  if (weight.getShape().size() != 2 || weight.getShape()[1] != width(getResult()))
    return emitOpError("weight ") << getWeightAttr() << " is " << show(weight.getShape())
                                  << ", expected rows of " << width(getResult());
  if (!getPositions())
    return success();
  auto positions = lookUp<WeightOp>(*this, symbols, getPositionsAttr());
  if (!positions)
    return failure();
  if (positions.getShape().size() != 2 || positions.getShape()[1] != width(getResult()))
    return emitOpError("positions ") << getPositionsAttr() << " are " << show(positions.getShape())
                                     << ", expected rows of " << width(getResult());
  return success();
}

LogicalResult NormOp::verify() {
  if (getEps().isNegative() || !getEps().isFinite())
    return emitOpError("eps is negative or not finite");
  if (getCentred() && getHeads())
    return emitOpError("of each head is not centred");
  if (getBias() && !getCentred())
    return emitOpError("has a bias, and is not centred");
  if (getCentred() && !getWeight())
    return emitOpError("is centred, and has no weight");
  return getHeads() ? checkHeads(*this, width(getInput()), *getHeads()) : success();
}

LogicalResult NormOp::verifySymbolUses(SymbolTableCollection &symbols) {
  int64_t size = width(getInput()) / int64_t(getHeads().value_or(1));
  if (getWeight() && failed(checkWeight(*this, symbols, getWeightAttr(), {size})))
    return failure();
  return getBias() ? checkWeight(*this, symbols, getBiasAttr(), {size}) : success();
}

LogicalResult LinearOp::verify() { return checkSlots(*this); }

LogicalResult LinearOp::verifySymbolUses(SymbolTableCollection &symbols) {
  int64_t out = width(getResult());
  if (failed(checkWeight(*this, symbols, getWeightAttr(), {out, width(getInput())})))
    return failure();
  return getBias() ? checkWeight(*this, symbols, getBiasAttr(), {out}) : success();
}

LogicalResult HeadLinearOp::verify() {
  if (failed(checkSlots(*this)) || failed(checkHeads(*this, width(getInput()), getHeads())))
    return failure();
  return checkHeads(*this, width(getResult()), getHeads());
}

LogicalResult HeadLinearOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = lookUp<WeightOp>(*this, symbols, getWeightAttr());
  if (!weight)
    return failure();
  int64_t size = width(getInput()) / int64_t(getHeads());
  ArrayRef<int64_t> shape = weight.getShape();
  int64_t in = shape.size() == 2 && shape[1] <= size ? shape[1] : size;
  return checkWeight(*this, symbols, getWeightAttr(), {width(getResult()), in});
}

LogicalResult JoinOp::verify() {
  for (Value value : {getFirst(), getSecond()})
    if (failed(checkHeads(*this, width(value), getHeads())))
      return failure();
  int64_t both = width(getFirst()) + width(getSecond());
  if (width(getResult()) != both)
    return emitOpError("rows of ")
           << both << " numbers are not joined to rows of " << width(getResult());
  return success();
}

LogicalResult RopeOp::verify() { return checkHeads(*this, width(getInput()), getHeads()); }

LogicalResult RopeOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto table = lookUp<RopeTableOp>(*this, symbols, getTableAttr());
  if (!table)
    return failure();
  int64_t headSize = width(getInput()) / int64_t(getHeads());
  int64_t turned = 2 * int64_t(table.getInvFreq().size());
  if (turned > headSize)
    return emitOpError("table ") << getTableAttr() << " turns " << turned
                                 << " lanes of a head that has " << headSize;
  return success();
}

LogicalResult GluOp::verify() {
  bool isLimited = getActivation() == Activation::SwigluOai;
  if (isLimited != getLimit().has_value())
    return emitOpError(isLimited ? "needs a limit" : "has a limit, which is swiglu_oai's alone");
  if (getLimit() && !(getLimit()->convertToFloat() > 0))
    return emitOpError("limit must be above 0, found ") << getLimit()->convertToFloat();
  return success();
}

LogicalResult ActivateOp::verify() {
  return getActivation() == Activation::SwigluOai ? emitOpError("swiglu_oai needs a gate")
                                                  : success();
}

LogicalResult LmHeadOp::verify() { return checkSlots(*this); }

LogicalResult LmHeadOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return checkWeight(*this, symbols, getWeightAttr(), {width(getResult()), width(getInput())});
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

LogicalResult RouteOp::verify() {
  RoutesType routes = getResult().getType();
  if (!getScale().isFinite())
    return emitOpError("scale is not finite");
  if (!getGroups())
    return success();
  int64_t groups = int64_t(*getGroups()), keep = int64_t(getKeep().value_or(0));
  int64_t experts = routes.getExperts();
  if (!getBy() || groups < 1 || experts % groups || keep < 1 || keep > groups)
    return emitOpError("cannot keep ")
           << keep << " of " << groups << " groups of " << experts << " experts";
  if (routes.getChosen() > keep * (experts / groups))
    return emitOpError("chooses ") << routes.getChosen() << " of the " << keep * (experts / groups)
                                   << " experts that are kept";
  if (*getBy() == GroupScore::TopTwo && experts / groups < 2)
    return emitOpError("has groups of one expert, which have no two greatest scores");
  return success();
}

LogicalResult RouteOp::verifySymbolUses(SymbolTableCollection &symbols) {
  int64_t experts = getResult().getType().getExperts();
  if (failed(checkWeight(*this, symbols, getWeightAttr(), {experts, width(getInput())})))
    return failure();
  for (FlatSymbolRefAttr vector : {getBiasAttr(), getCorrectionAttr()})
    if (vector && failed(checkWeight(*this, symbols, vector, {experts})))
      return failure();
  return success();
}

LogicalResult RoutedLinearOp::verify() {
  int64_t chosen = getRoutes().getType().getChosen();
  if (!getCombined() && width(getResult()) % chosen)
    return emitOpError("rows of ")
           << width(getResult()) << " are not those of " << chosen << " experts";
  return checkSlots(*this);
}

LogicalResult RoutedLinearOp::verifySymbolUses(SymbolTableCollection &symbols) {
  RoutesType routes = getRoutes().getType();
  auto weight = lookUp<WeightOp>(*this, symbols, getWeightAttr());
  if (!weight)
    return failure();
  int64_t out = width(getResult()) / (getCombined() ? 1 : routes.getChosen());
  int64_t in = width(getInput());
  ArrayRef<int64_t> shape = weight.getShape();
  bool isOwn = shape.size() == 2 && shape[1] * routes.getChosen() == in;
  if (failed(checkWeight(*this, symbols, getWeightAttr(),
                         {routes.getExperts() * out, isOwn ? in / routes.getChosen() : in})))
    return failure();
  return getBias() ? checkWeight(*this, symbols, getBiasAttr(), {routes.getExperts() * out})
                   : success();
}

LogicalResult GateOp::verify() {
  int64_t gates = width(getGate());
  if (gates != 1 && gates != width(getInput()))
    return emitOpError("has ") << gates << " gates for rows of " << width(getInput());
  return success();
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

LogicalResult AppendOp::verify() {
  ContextType context = getResult().getType();
  if (width(getKeys()) != context.getHeads() * context.getHeadSize())
    return emitOpError("rows of ") << width(getKeys()) << " do not fill " << context;
  return success();
}

LogicalResult AppendOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto cache = lookUp<CacheOp>(*this, symbols, getCacheAttr());
  if (!cache)
    return failure();
  ContextType context = getResult().getType();
  if (int64_t(cache.getHeads()) != context.getHeads() ||
      int64_t(cache.getHeadSize()) != context.getHeadSize())
    return emitOpError("cache ") << getCacheAttr() << " has " << cache.getHeads() << " heads of "
                                 << cache.getHeadSize() << ", the result is " << context;
  return success();
}

LogicalResult SelectOp::verify() {
  if (failed(checkHeads(*this, width(getQuery()), getHeads())))
    return failure();
  ContextType context = getContext().getType();
  int64_t heads = getHeads(), size = width(getQuery()) / heads;
  if (context.getHeads() != 1 || context.getHeadSize() != size || width(getWeights()) != heads)
    return emitOpError() << heads << " query heads of " << size << " and " << width(getWeights())
                         << " weights do not meet " << context;
  if (!getScale().isFinite())
    return emitOpError("scale is not finite");
  return success();
}

LogicalResult AttentionOp::verify() {
  if (failed(checkHeads(*this, width(getQuery()), getHeads())))
    return failure();
  ContextType context = getContext().getType();
  int64_t heads = getHeads();
  if (heads % context.getHeads())
    return emitOpError() << heads << " query heads do not divide among " << context.getHeads()
                         << " key heads";
  if (width(getQuery()) / heads != context.getHeadSize())
    return emitOpError("query heads of ")
           << width(getQuery()) / heads << " meet keys of " << context.getHeadSize();
  if (!getScale().isFinite())
    return emitOpError("scale is not finite");
  if (getSelection() && (getWindow() || getChunk()))
    return emitOpError("has a selection, and a window or chunk");
  if (getWindow() && int64_t(*getWindow()) < 1)
    return emitOpError("window must be at least 1, found ") << int64_t(*getWindow());
  if (getChunk() && int64_t(*getChunk()) < 1)
    return emitOpError("chunk must be at least 1, found ") << int64_t(*getChunk());
  if (getChunk() && getWindow())
    return emitOpError("has both a window and chunks");
  return success();
}

LogicalResult AttentionOp::verifySymbolUses(SymbolTableCollection &symbols) {
  return getSinks() ? checkWeight(*this, symbols, getSinksAttr(), {int64_t(getHeads())})
                    : success();
}

//===----------------------------------------------------------------------===//
// States
//===----------------------------------------------------------------------===//

LogicalResult StateOp::verify() {
  ArrayRef<int64_t> shape = getShape();
  if ((shape.size() != 2 && shape.size() != 3) ||
      llvm::any_of(shape, [](int64_t extent) { return extent < 1 || extent > (1 << 20); }))
    return emitOpError("@") << getSymName() << " of " << show(shape)
                            << " is neither [K, N] nor [H, D, E]";
  return success();
}

static LogicalResult checkState(Operation *op, SymbolTableCollection &symbols,
                                FlatSymbolRefAttr name, ArrayRef<int64_t> shape) {
  auto state = lookUp<StateOp>(op, symbols, name);
  if (!state)
    return failure();
  if (state.getShape() != shape)
    return op->emitOpError("state ")
           << name << " is " << show(state.getShape()) << ", expected " << show(shape);
  return success();
}

LogicalResult RecordOp::verify() {
  if (width(getInput()) != getResult().getType().getColumns())
    return emitOpError("rows of ") << width(getInput()) << " do not fill " << getResult().getType();
  return success();
}

LogicalResult RecordOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto state = lookUp<StateOp>(*this, symbols, getStateAttr());
  if (!state)
    return failure();
  return checkState(*this, symbols, getStateAttr(), {state.getShape()[0], width(getInput())});
}

LogicalResult ConvolveOp::verify() {
  if (width(getResult()) != getHistory().getType().getColumns())
    return emitOpError("rows of ")
           << width(getResult()) << " are not made of " << getHistory().getType();
  return success();
}

LogicalResult ConvolveOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = lookUp<WeightOp>(*this, symbols, getWeightAttr());
  if (!weight)
    return failure();
  int64_t taps = weight.getShape()[0];
  if (failed(checkWeight(*this, symbols, getWeightAttr(), {taps, width(getResult())})))
    return failure();
  // What a stage hands on has been recorded in another one.
  auto record = getHistory().getDefiningOp<RecordOp>();
  return record ? checkState(*this, symbols, record.getStateAttr(), {taps, width(getResult())})
                : success();
}

LogicalResult DeltaOp::verify() {
  int64_t keyHeads = getKeyHeads();
  if (failed(checkHeads(*this, width(getGates()), 2)))
    return failure();
  int64_t heads = width(getGates()) / 2;
  if (failed(checkHeads(*this, width(getValue()), heads)) ||
      failed(checkHeads(*this, width(getQueryKey()), 2 * keyHeads)))
    return failure();
  if (heads % keyHeads)
    return emitOpError() << heads << " value heads do not divide among " << keyHeads
                         << " key heads";
  return getScale().isFinite() ? success() : emitOpError("scale is not finite");
}

LogicalResult DeltaOp::verifySymbolUses(SymbolTableCollection &symbols) {
  int64_t heads = width(getGates()) / 2, keySize = width(getQueryKey()) / (2 * getKeyHeads());
  for (FlatSymbolRefAttr vector : {getRateAttr(), getOffsetAttr()})
    if (failed(checkWeight(*this, symbols, vector, {heads})))
      return failure();
  return checkState(*this, symbols, getStateAttr(), {heads, keySize, width(getValue()) / heads});
}

LogicalResult YieldOp::verify() {
  if (getOperandTypes() != (*this)->getParentOp()->getResultTypes())
    return emitOpError("yields other types than the stage's results");
  return success();
}
