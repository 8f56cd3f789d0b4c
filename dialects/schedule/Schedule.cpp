//===- Schedule.cpp - Who does it, when -----------------------------------===//

#include "dialects/schedule/Schedule.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialects/schedule/ScheduleDialect.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/schedule/ScheduleAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/schedule/ScheduleTypes.cpp.inc"

using namespace mlir;

namespace pianola::schedule {

void ScheduleDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/schedule/ScheduleAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/schedule/ScheduleTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/schedule/Schedule.cpp.inc"
      >();
}

std::vector<StepOp> ProgramOp::getSteps() {
  auto steps = getBody().front().getOps<StepOp>();
  return {steps.begin(), steps.end()};
}

std::vector<BufferOp> ProgramOp::getBuffers() {
  auto buffers = getBody().front().getOps<BufferOp>();
  return {buffers.begin(), buffers.end()};
}

// Lists print as [[0, 4], [4, 8]] rather than as an array of array<i64: ...>.
static ParseResult parseTileLists(OpAsmParser &parser, ArrayAttr &lists) {
  SmallVector<Attribute> all;
  auto parseList = [&] {
    SmallVector<int64_t> list;
    auto parseNumber = [&] { return parser.parseInteger(list.emplace_back()); };
    if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseNumber))
      return failure();
    all.push_back(parser.getBuilder().getDenseI64ArrayAttr(list));
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseList))
    return failure();
  lists = parser.getBuilder().getArrayAttr(all);
  return success();
}

static void printTileLists(OpAsmPrinter &printer, Operation *, ArrayAttr lists) {
  printer << '[';
  llvm::interleaveComma(lists, printer, [&](Attribute list) {
    printer << '[';
    llvm::interleaveComma(cast<DenseI64ArrayAttr>(list).asArrayRef(), printer);
    printer << ']';
  });
  printer << ']';
}

// Asked for very often. Stages stand right before the programs that play them, and there are few;
// in front of them are the weights of all layers.
tile::StageOp StepOp::getStageOp() {
  for (Operation *op = (*this)->getParentOp(); op; op = op->getPrevNode())
    if (auto stage = dyn_cast<tile::StageOp>(op);
        stage && stage.getSymNameAttr() == getStageAttr().getAttr())
      return stage;
  return SymbolTable::lookupNearestSymbolFrom<tile::StageOp>((*this)->getParentOfType<ProgramOp>(),
                                                             getStageAttr());
}

SmallVector<int64_t> StepOp::getTilesOf(int64_t worker) {
  SmallVector<int64_t> tiles;
  auto append = [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile)
      tiles.push_back(tile);
  };
  if (!getTiles()) {
    if (tile::StageOp stage = getStageOp(); stage && worker == 0)
      append(0, stage.getTileCount());
  } else if (worker < static_cast<int64_t>(getTiles()->size())) {
    auto pairs = cast<DenseI64ArrayAttr>((*getTiles())[worker]).asArrayRef();
    for (size_t i = 0; i + 1 < pairs.size(); i += 2)
      append(pairs[i], pairs[i + 1]);
  }
  return tiles;
}

static bool isWeight(Type type) { return isa<tile::MatrixType, tile::VectorType>(type); }

// Weights and other arguments of a stage are counted apart.
static unsigned countBefore(tile::StageOp stage, unsigned argument, bool weights) {
  unsigned count = 0;
  for (unsigned i = 0; i < argument; ++i)
    count += isWeight(stage.getBody().getArgument(i).getType()) == weights;
  return count;
}

SymbolRefAttr StepOp::getWeightOf(unsigned argument) {
  tile::StageOp stage = getStageOp();
  if (!stage || !getWeights() || !isWeight(stage.getBody().getArgument(argument).getType()))
    return {};
  return cast<SymbolRefAttr>((*getWeights())[countBefore(stage, argument, true)]);
}

Value StepOp::getBindingOf(unsigned argument) {
  tile::StageOp stage = getStageOp();
  if (!stage || isWeight(stage.getBody().getArgument(argument).getType()))
    return {};
  return getBindings()[countBefore(stage, argument, false)];
}

LogicalResult StepOp::verify() {
  tile::StageOp stage = getStageOp();
  if (!stage)
    return emitOpError("\"") << getLabel() << "\" plays unknown stage " << getStageAttr();
  unsigned bound = 0, weights = 0;
  for (BlockArgument argument : stage.getBody().getArguments()) {
    if (isWeight(argument.getType())) {
      ++weights;
      continue;
    }
    if (bound < getBindings().size() && getBindings()[bound].getType() != argument.getType())
      return emitOpError("\"") << getLabel() << "\" binds " << getBindings()[bound].getType()
                               << " to argument " << argument.getArgNumber() << " of "
                               << getStageAttr() << ", which is " << argument.getType();
    ++bound;
  }
  if (bound != getBindings().size() || weights != (getWeights() ? getWeights()->size() : 0))
    return emitOpError("\"") << getLabel() << "\" binds " << getBindings().size() << " values and "
                             << (getWeights() ? getWeights()->size() : 0) << " weights; "
                             << getStageAttr() << " takes " << bound << " and " << weights;
  if (getWaits().size() != (getUntil() ? getUntil()->size() : 0))
    return emitOpError("\"") << getLabel()
                             << "\" needs one number in `until` for each event in `waits`";
  if (!getTiles())
    return success();
  int64_t count = stage.getTileCount();
  llvm::BitVector seen(count);
  for (auto [worker, list] : llvm::enumerate(*getTiles())) {
    auto pairs = cast<DenseI64ArrayAttr>(list).asArrayRef();
    if (pairs.size() % 2 != 0)
      return emitOpError("\"") << getLabel() << "\" worker " << worker
                               << " has half a pair of tiles";
    for (size_t i = 0; i < pairs.size(); i += 2) {
      if (pairs[i] < 0 || pairs[i] >= pairs[i + 1] || pairs[i + 1] > count)
        return emitOpError("\"") << getLabel() << "\" worker " << worker << " has tiles ["
                                 << pairs[i] << ", " << pairs[i + 1] << ") of " << count;
      for (int64_t tile = pairs[i]; tile < pairs[i + 1]; ++tile) {
        if (seen[tile])
          return emitOpError("\"") << getLabel() << "\" computes tile " << tile << " twice";
        seen.set(tile);
      }
    }
  }
  if (!seen.all())
    return emitOpError("\"") << getLabel() << "\" computes tile " << seen.find_first_unset()
                             << " on no worker";
  return success();
}

} // namespace pianola::schedule

#define GET_OP_CLASSES
#include "dialects/schedule/Schedule.cpp.inc"
