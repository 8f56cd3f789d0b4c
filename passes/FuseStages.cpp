//===- FuseStages.cpp - Group the model's ops into stages -----------------===//

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Passes.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace pianola {
#define GEN_PASS_DEF_FUSESTAGES
#include "passes/Passes.h.inc"

using namespace transformer;

namespace {

bool isAnchor(Operation *op) { return isa<EmbedOp, LinearOp, LmHeadOp, AttentionOp>(op); }

// The norm of whole rows, which every reader computes for itself.
bool isPrologue(Operation *op) {
  auto norm = dyn_cast_or_null<NormOp>(op);
  return norm && !norm.getHeads();
}

// Linears and heads may share a stage; embeddings and attention stand alone.
Value sharedInput(Operation *op) {
  if (auto linear = dyn_cast<LinearOp>(op))
    return linear.getInput();
  if (auto head = dyn_cast<LmHeadOp>(op))
    return head.getInput();
  return {};
}

// What needs whole heads: where tiles are finer, it is done by those who read the heads.
bool needsHeads(Operation *op) {
  auto norm = dyn_cast<NormOp>(op);
  return isa<RopeOp, AppendOp>(op) || (norm && norm.getHeads());
}

StringRef labelOf(Operation *op) {
  if (auto name = dyn_cast<NameLoc>(op->getLoc()))
    return name.getName().getValue();
  return op->getName().stripDialect();
}

// Stages in order, each a list of ops in order.
struct Grouping {
  SmallVector<SmallVector<Operation *>> stages;
  DenseMap<Operation *, unsigned> stageOf;
};

FailureOr<Grouping> group(func::FuncOp function, bool headsAtReaders) {
  Grouping grouping;
  SmallVector<Operation *> waiting; // for the attention that reads them
  DenseMap<Value, unsigned> stageOfInput;
  auto put = [&](Operation *op, unsigned stage) {
    grouping.stages[stage].push_back(op);
    grouping.stageOf[op] = stage;
  };
  auto open = [&](Operation *op) {
    grouping.stages.emplace_back();
    put(op, grouping.stages.size() - 1);
  };
  for (Operation &op : function.getBody().front().without_terminator()) {
    if (isa<ObserveOp>(op) || isPrologue(&op))
      continue;
    if (headsAtReaders && needsHeads(&op)) {
      waiting.push_back(&op);
    } else if (!isAnchor(&op)) {
      // An epilogue follows the last stage that it reads from.
      std::optional<unsigned> last;
      for (Value operand : op.getOperands()) {
        Operation *producer = operand.getDefiningOp();
        if (isPrologue(producer))
          return op.emitOpError("reads a norm of whole rows, which only a linear can follow");
        if (auto found = grouping.stageOf.find(producer); found != grouping.stageOf.end())
          last = std::max(last.value_or(0), found->second);
      }
      if (!last)
        return op.emitOpError("depends on no stage that it could be part of");
      put(&op, *last);
    } else if (Value input = sharedInput(&op)) {
      auto [place, isNew] = stageOfInput.try_emplace(input, grouping.stages.size());
      if (isNew || isa<LmHeadOp>(op)) {
        place->second = grouping.stages.size();
        open(&op);
      } else {
        put(&op, place->second);
      }
    } else {
      open(&op);
      if (isa<AttentionOp>(op)) {
        SmallVector<Operation *> &ops = grouping.stages.back();
        ops.insert(ops.begin(), waiting.begin(), waiting.end());
        for (Operation *head : waiting)
          grouping.stageOf[head] = grouping.stages.size() - 1;
        waiting.clear();
      }
    }
  }
  if (!waiting.empty())
    return waiting.front()->emitOpError("needs whole heads, and no attention reads them");
  return grouping;
}

// Clones `op` and, before it, the prologue ops that it reads.
void cloneInto(OpBuilder &builder, Operation *op, IRMapping &mapping) {
  for (Value operand : op->getOperands())
    if (Operation *producer = operand.getDefiningOp();
        isPrologue(producer) && !mapping.contains(operand))
      cloneInto(builder, producer, mapping);
  builder.clone(*op, mapping);
}

struct FuseStages : impl::FuseStagesBase<FuseStages> {
  void runOnOperation() override {
    auto forward = getOperation().lookupSymbol<func::FuncOp>("forward");
    if (!forward) {
      getOperation().emitError("the module has no function @forward");
      return signalPassFailure();
    }
    auto machine = getOperation()->getAttrOfType<tile::MachineAttr>("tile.machine");
    FailureOr<Grouping> grouping = group(forward, machine && machine.getRows() > 0);
    if (failed(grouping))
      return signalPassFailure();

    Block &body = forward.getBody().front();
    Operation *terminator = body.getTerminator();
    SmallVector<Operation *> old;
    for (Operation &op : body.without_terminator())
      old.push_back(&op);

    OpBuilder builder(terminator);
    IRMapping outer; // values between stages
    for (auto [number, ops] : llvm::enumerate(grouping->stages)) {
      SmallVector<Value> yielded;
      for (Operation *op : ops)
        for (Value result : op->getResults())
          if (llvm::any_of(result.getUsers(), [&, number = number](Operation *user) {
                if (isa<ObserveOp>(user))
                  return false;
                auto found = grouping->stageOf.find(user);
                return found == grouping->stageOf.end() || found->second != number;
              }))
            yielded.push_back(result);
      auto stage = builder.create<StageOp>(ops.front()->getLoc(), ValueRange(yielded).getTypes(),
                                           labelOf(*llvm::find_if(ops, isAnchor)));
      OpBuilder inner = OpBuilder::atBlockBegin(&stage.getBody().emplaceBlock());
      IRMapping mapping = outer;
      for (Operation *op : ops)
        cloneInto(inner, op, mapping);
      SmallVector<Value> results;
      for (Value value : yielded)
        results.push_back(mapping.lookup(value));
      inner.create<YieldOp>(stage.getLoc(), results);
      for (auto [value, result] : llvm::zip(yielded, stage.getResults()))
        outer.map(value, result);
    }
    for (OpOperand &operand : terminator->getOpOperands())
      operand.set(outer.lookupOrDefault(operand.get()));
    for (Operation *op : llvm::reverse(old))
      op->erase();
  }
};

} // namespace
} // namespace pianola
