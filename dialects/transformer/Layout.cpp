// Layout.cpp - how a value of the model lies in memory once it is tiled.
#include "dialects/transformer/Layout.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace pianola::transformer {

// Heads that `op` sees in `value`, which it reads or makes; 0 if it sees plain rows.
static int64_t headsSeen(Operation *op, Value value) {
  return TypeSwitch<Operation *, int64_t>(op)
      .Case([&](AttentionOp attention) { return attention.getHeads(); })
      .Case([&](RopeOp rope) { return rope.getHeads(); })
      .Case([&](HeadLinearOp linear) { return linear.getHeads(); })
      .Case([&](JoinOp join) { return join.getHeads(); })
      .Case([&](SelectOp select) {
        return value == select.getQuery() ? int64_t(select.getHeads()) : int64_t(0);
      })
      .Case([&](NormOp norm) { return int64_t(norm.getHeads().value_or(0)); })
      .Case([&](AppendOp append) { return int64_t(append.getResult().getType().getHeads()); })
      .Case([&](DeltaOp delta) -> int64_t {
        if (value == delta.getGates())
          return 0;
        return value == delta.getQueryKey() ? 2 * int64_t(delta.getKeyHeads())
                                            : width(delta.getGates()) / 2;
      })
      .Default([](Operation *) { return int64_t(0); });
}

static int64_t columnsOf(Value value) {
  if (auto history = dyn_cast<HistoryType>(value.getType()))
    return history.getColumns();
  return isa<RankedTensorType>(value.getType()) ? width(value) : 0;
}

// Whether the op keeps the columns of `operand` where they are.
static bool keepsColumns(Operation *op, Value operand) {
  return isa<ActivateOp, AddOp, ConvolveOp, GateOp, GluOp, NormOp, RecordOp, ScaleOp, SoftcapOp>(
             op) &&
         columnsOf(operand) == columnsOf(op->getResult(0));
}

// Follows a value through the ops and stages that keep its columns where they are.
static int64_t findHeads(Value value, llvm::SmallPtrSetImpl<void *> &seen) {
  if (!value || !seen.insert(value.getAsOpaquePointer()).second)
    return 0;
  if (Operation *op = value.getDefiningOp()) {
    if (auto stage = dyn_cast<StageOp>(op)) {
      auto inside = stage.getBody().front().getTerminator()->getOperand(
          cast<OpResult>(value).getResultNumber());
      if (int64_t heads = findHeads(inside, seen))
        return heads;
    } else if (auto routed = dyn_cast<RoutedLinearOp>(op)) {
      return routed.getCombined() ? 0 : int64_t(routed.getRoutes().getType().getChosen());
    } else if (int64_t heads = headsSeen(op, value)) {
      return heads;
    } else {
      for (Value operand : op->getOperands())
        if (keepsColumns(op, operand))
          if (int64_t heads = findHeads(operand, seen))
            return heads;
    }
  }
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    int64_t heads = headsSeen(user, value);
    // What one head is joined of may be made by tiles of any size.
    if (isa<JoinOp>(user) && heads == 1)
      heads = 0;
    if (!heads && isa<YieldOp>(user))
      heads = findHeads(user->getParentOp()->getResult(use.getOperandNumber()), seen);
    else if (!heads && keepsColumns(user, value))
      heads = findHeads(user->getResult(0), seen);
    if (heads)
      return heads;
  }
  return 0;
}

Layout layoutOf(Value value) {
  if (auto routes = dyn_cast<RoutesType>(value.getType()))
    return Layout::plain(routes.getExperts()); // as logits
  llvm::SmallPtrSet<void *, 8> seen;
  int64_t heads = findHeads(value, seen), columns = columnsOf(value);
  return heads ? Layout::heads(heads, columns / heads) : Layout::plain(columns);
}

int64_t tileRows(Layout layout, int64_t workers) {
  if (layout.byHead)
    return layout.pad;
  // Tiles of 32 rows keep more of a machine's registers busy; but the worker with the most of them
  // decides how long a step takes.
  int64_t tiles = layout.pad / 32;
  int64_t most = (tiles + workers - 1) / workers;
  return most * workers * 8 > tiles * 9 ? 16 : 32;
}

int64_t fineTileRows(Layout layout, int64_t workers, int64_t least) {
  auto mostRows = [&](int64_t rows) {
    int64_t tiles = layout.columns() / rows;
    return (tiles + workers - 1) / workers * rows;
  };
  return mostRows(2 * least) * 16 <= mostRows(least) * 17 ? 2 * least : least;
}

int64_t fineContextSplits(int64_t heads, int64_t slots, int64_t slotBlock, int64_t workers) {
  int64_t tiles = heads * ((slots + slotBlock - 1) / slotBlock);
  return std::clamp<int64_t>((workers - heads) / tiles, 1, 16);
}

int64_t contextSplits(int64_t heads, int64_t slots, int64_t slotBlock, int64_t workers) {
  int64_t tiles = heads * ((slots + slotBlock - 1) / slotBlock);
  for (int64_t splits = 1; splits < 16; ++splits)
    if (tiles * splits % workers == 0 || tiles * splits >= 4 * workers)
      return splits;
  return 16;
}

} // namespace pianola::transformer
