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

bool isRowNorm(Operation *op) {
  auto norm = dyn_cast_or_null<NormOp>(op);
  return norm && !norm.getHeads();
}

// What attention made, times a gate: its parts may still have to be combined.
bool isGateOfAttention(Operation *op) {
  auto gate = dyn_cast_or_null<GateOp>(op);
  return gate && gate.getInput().getDefiningOp<AttentionOp>();
}

// A norm of whole rows, or gated attention, that linears alone read, each of which computes it for
// itself.
bool isPrologue(Operation *op) {
  return (isRowNorm(op) || isGateOfAttention(op)) &&
         llvm::all_of(op->getUsers(), [](Operation *user) {
           return isa<LinearOp, LmHeadOp, RouteOp, RoutedLinearOp, ObserveOp>(user);
         });
}

// What begins a stage. Of a norm that others read, too, a tile is a row.
bool isAnchor(Operation *op) {
  return isa<EmbedOp, LinearOp, HeadLinearOp, LmHeadOp, RouteOp, RoutedLinearOp, SelectOp,
             AttentionOp, DeltaOp>(op) ||
         (isRowNorm(op) && !isPrologue(op));
}

// Linears, routers and heads may share a stage, and so may experts with the same routes;
// embeddings, selections and attention stand alone.
std::pair<Value, Value> sharedInput(Operation *op) {
  if (auto linear = dyn_cast<LinearOp>(op))
    return {linear.getInput(), {}};
  if (auto head = dyn_cast<LmHeadOp>(op))
    return {head.getInput(), {}};
  if (auto route = dyn_cast<RouteOp>(op))
    return {route.getInput(), {}};
  if (auto routed = dyn_cast<RoutedLinearOp>(op))
    return {routed.getInput(), routed.getRoutes()};
  return {};
}

// The sum of experts that a linear's result is added to, and nothing else: that of one for all
// tokens. Null if there is none.
RoutedLinearOp sumBeside(Operation *op) {
  if (!isa<LinearOp>(op))
    return nullptr;
  for (Value value = op->getResult(0); value.hasOneUse();
       value = value.getUsers().begin()->getResult(0)) {
    Operation *user = *value.getUsers().begin();
    if (auto add = dyn_cast<AddOp>(user)) {
      auto routed =
          (add.getLhs() == value ? add.getRhs() : add.getLhs()).getDefiningOp<RoutedLinearOp>();
      return routed && routed.getCombined() ? routed : nullptr;
    }
    auto gate = dyn_cast<GateOp>(user);
    if (gate ? gate.getInput() != value : !isa<ScaleOp>(user))
      break;
  }
  return nullptr;
}

// What needs whole heads: where tiles are finer, it is done by those who read the heads.
bool needsHeads(Operation *op) {
  auto norm = dyn_cast<NormOp>(op);
  return isa<RopeOp, JoinOp, AppendOp>(op) || (norm && norm.getHeads());
}

// A stage that only needs whole heads of rows begins with none.
Operation *anchorOf(ArrayRef<Operation *> ops) {
  const auto *anchor = llvm::find_if(ops, isAnchor);
  return anchor == ops.end() ? ops.front() : *anchor;
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

  // The last stage that an op reads from.
  std::optional<unsigned> lastRead(Operation *op) const {
    std::optional<unsigned> last;
    for (Value operand : op->getOperands())
      if (auto found = stageOf.find(operand.getDefiningOp()); found != stageOf.end())
        last = std::max(last.value_or(0), found->second);
    return last;
  }
  bool isOfRows(unsigned stage) const { return isRowNorm(stages[stage].front()); }
  // Whether tiles of the stage are whole heads.
  bool isOfDelta(unsigned stage) const {
    return llvm::any_of(stages[stage], [](Operation *op) { return isa<DeltaOp>(op); });
  }
};

FailureOr<Grouping> group(func::FuncOp function, bool headsAtReaders) {
  Grouping grouping;
  SmallVector<Operation *> waiting; // for the attention, selection or delta rule that reads them
  DenseMap<std::pair<Value, Value>, unsigned> stageOfInput;
  DenseMap<unsigned, unsigned> rowsOf, headsOf; // stages that read a stage's rows, or whole heads
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
    // Those that read the same stage share one.
    auto shared = [&](DenseMap<unsigned, unsigned> &stages, unsigned read) {
      auto [place, isNew] = stages.try_emplace(read, grouping.stages.size());
      isNew ? open(&op) : put(&op, place->second);
    };
    bool readsWaiting = llvm::any_of(op.getOperands(), [&](Value operand) {
      return llvm::is_contained(waiting, operand.getDefiningOp());
    });
    bool isRule = isa<AttentionOp, SelectOp, DeltaOp>(op);
    std::optional<unsigned> read = grouping.lastRead(&op);
    bool isAtReader = headsAtReaders && needsHeads(&op) && !(read && grouping.isOfDelta(*read));
    // A convolution reads rows that other tiles have recorded.
    if (isAtReader || isa<ConvolveOp>(op) || (readsWaiting && !isRule)) {
      waiting.push_back(&op);
    } else if (isRowNorm(&op) || !isAnchor(&op)) {
      if (!read)
        return op.emitOpError("depends on no stage that it could be part of");
      if (isRowNorm(&op))
        shared(rowsOf, *read);
      else if (needsHeads(&op) && grouping.isOfRows(*read))
        shared(headsOf, *read);
      else // an epilogue
        put(&op, *read);
    } else if (RoutedLinearOp sum = sumBeside(&op);
               sum && grouping.stageOf.count(sum) && read < grouping.stageOf[sum]) {
      put(&op, grouping.stageOf[sum]);
    } else if (auto input = sharedInput(&op); input.first) {
      auto [place, isNew] = stageOfInput.try_emplace(input, grouping.stages.size());
      if (isNew || isa<LmHeadOp>(op)) {
        place->second = grouping.stages.size();
        open(&op);
      } else {
        put(&op, place->second);
      }
    } else {
      open(&op);
      if (isRule) {
        // Not what waits for another one.
        SetVector<Operation *> read;
        read.insert(&op);
        for (size_t i = 0; i < read.size(); ++i)
          for (Value operand : read[i]->getOperands())
            if (llvm::is_contained(waiting, operand.getDefiningOp()))
              read.insert(operand.getDefiningOp());
        SmallVector<Operation *> left;
        for (Operation *head : waiting) {
          if (!read.contains(head)) {
            left.push_back(head);
            continue;
          }
          SmallVector<Operation *> &ops = grouping.stages.back();
          ops.insert(std::prev(ops.end()), head);
          grouping.stageOf[head] = grouping.stages.size() - 1;
        }
        waiting = std::move(left);
      }
    }
  }
  if (!waiting.empty())
    return waiting.front()->emitOpError(
        "needs whole heads, and neither attention, a selection nor a delta rule reads them");
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
                                           labelOf(anchorOf(ops)));
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
