// Mutator.h - one small change to a proven schedule.
#ifndef PIANOLA_TEST_NUMERIC_MUTATOR_H
#define PIANOLA_TEST_NUMERIC_MUTATOR_H

#include "dialects/schedule/Schedule.h"

#include "mlir/IR/AffineMap.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

#include <random>
#include <string>
#include <vector>

namespace pianola {

class Mutator {
public:
  Mutator(mlir::ModuleOp module, int workers, unsigned seed)
      : module(module), workers(workers), builder(module.getContext()), random(seed) {
    module.walk([&](schedule::StepOp step) { steps.push_back(step); });
    module.walk([&](schedule::BufferOp buffer) { buffers.push_back(buffer); });
    module.walk([&](schedule::ProgramOp program) { programs.push_back(program); });
  }

  /// Makes one change and says which, or nothing if it found nothing to change.
  std::string mutate() {
    switch (random() % 8) {
    case 0:
      return dropWait();
    case 1:
      return lowerTarget();
    case 2:
      return swapTiles();
    case 3:
      return moveTile();
    case 4:
      return shrinkArena();
    case 5:
      return mergeBuffers();
    case 6:
      return moveWrite();
    default:
      return shiftBuffer();
    }
  }
  bool changesCode = false;

  // The kinds of change, for who wants one of them.
  std::string dropWait() {
    return dropWait([](int64_t) { return true; });
  }
  /// A wait for the play before.
  std::string dropWaitForPlay() {
    return dropWait([](int64_t until) { return until <= 0; });
  }
  std::string swapSteps() {
    schedule::StepOp step = pick(steps);
    auto later = steps.begin() + (llvm::find(steps, step) - steps.begin()) + 1;
    if (later == steps.end() || (*later)->getParentOp() != step->getParentOp())
      return "";
    // Events are made where they are needed first.
    for (mlir::Value event : later->getWaits())
      event.getDefiningOp()->moveBefore(step);
    for (mlir::Operation &op : llvm::make_early_inc_range(*step->getBlock()))
      if (mlir::isa<schedule::BufferOp, schedule::EventOp>(op) && !op.isBeforeInBlock(step))
        op.moveBefore(step);
    (*later)->moveBefore(step);
    return "swap two steps";
  }

private:
  template <typename T> T &pick(std::vector<T> &from) { return from[random() % from.size()]; }

  std::string dropWait(llvm::function_ref<bool(int64_t)> wanted) {
    schedule::StepOp step = pick(steps);
    if (step.getWaits().empty())
      return "";
    size_t which = random() % step.getWaits().size();
    std::vector<int64_t> until = *step.getUntil();
    if (!wanted(until[which]))
      return "";
    until.erase(until.begin() + which);
    step.getWaitsMutable().erase(which);
    step.setUntilAttr(until.empty() ? mlir::DenseI64ArrayAttr()
                                    : builder.getDenseI64ArrayAttr(until));
    return "drop a wait";
  }
  std::string lowerTarget() {
    schedule::StepOp step = pick(steps);
    if (step.getWaits().empty())
      return "";
    std::vector<int64_t> until = *step.getUntil();
    --until[random() % until.size()];
    step.setUntil(until);
    return "lower a target";
  }
  // Lists with single tiles as pairs.
  std::vector<std::vector<int64_t>> listsOf(schedule::StepOp step) {
    std::vector<std::vector<int64_t>> lists;
    for (int w = 0; w < workers; ++w) {
      auto tiles = step.getTilesOf(w);
      lists.emplace_back(tiles.begin(), tiles.end());
    }
    return lists;
  }
  void setLists(schedule::StepOp step, const std::vector<std::vector<int64_t>> &lists) {
    std::vector<mlir::Attribute> attrs;
    for (const auto &list : lists) {
      std::vector<int64_t> pairs;
      for (int64_t tile : list)
        pairs.insert(pairs.end(), {tile, tile + 1});
      attrs.push_back(builder.getDenseI64ArrayAttr(pairs));
    }
    step.setTilesAttr(builder.getArrayAttr(attrs));
  }
  std::string swapTiles() {
    schedule::StepOp step = pick(steps);
    auto lists = listsOf(step);
    auto &list = pick(lists);
    if (list.size() < 2)
      return "";
    std::swap(pick(list), pick(list));
    setLists(step, lists);
    return "swap two tiles of a worker";
  }
  std::string moveTile() {
    schedule::StepOp step = pick(steps);
    auto lists = listsOf(step);
    auto &from = pick(lists), &to = pick(lists);
    if (from.empty() || &from == &to)
      return "";
    to.push_back(from.back());
    from.pop_back();
    setLists(step, lists);
    return "give a tile to another worker";
  }
  std::string shrinkArena() {
    schedule::ProgramOp program = pick(programs);
    program.setArena(*program.getArena() - 64 * (1 + random() % 4));
    return "shrink the arena";
  }
  std::string mergeBuffers() {
    schedule::BufferOp a = pick(buffers), b = pick(buffers);
    if (a == b || a->getParentOp() != b->getParentOp())
      return "";
    a.setAtAttr(b.getAtAttr());
    return "merge two buffers";
  }
  // The buffer before loses its last bytes to this one.
  std::string shiftBuffer() {
    schedule::BufferOp buffer = pick(buffers);
    if (*buffer.getAt() < 64)
      return "";
    buffer.setAt(*buffer.getAt() - 64);
    return "shrink a buffer";
  }
  std::string moveWrite() {
    std::vector<tile::StoreOp> stores;
    module.walk([&](tile::StoreOp store) { stores.push_back(store); });
    tile::StoreOp store = pick(stores);
    if (!store.getColumns())
      return "";
    mlir::AffineMap map = *store.getColumns();
    int64_t by = random() % 2 ? 16 : -16;
    store.setColumnsAttr(
        mlir::AffineMapAttr::get(mlir::AffineMap::get(map.getNumDims(), 0, map.getResult(0) + by)));
    changesCode = true;
    return "move a write";
  }

  mlir::ModuleOp module;
  int workers;
  mlir::Builder builder;
  std::mt19937 random;
  std::vector<schedule::StepOp> steps;
  std::vector<schedule::BufferOp> buffers;
  std::vector<schedule::ProgramOp> programs;
};

} // namespace pianola

#endif
