//===- PlanMemory.cpp - Place the activations in the arena ----------------===//

#include "dialects/tile/Access.h"
#include "mlir/IR/Builders.h"
#include "passes/Passes.h"

using namespace mlir;

namespace pianola {
#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Passes.h.inc"

namespace {

constexpr int64_t kLine = 64;

struct Life {
  schedule::BufferOp buffer;
  int64_t bytes;
  int64_t first = -1, last = -1; // steps, both included
  int64_t at = -1;

  bool meets(const Life &other) const { return first <= other.last && other.first <= last; }
};

SmallVector<Life> livesOf(schedule::ProgramOp program) {
  SmallVector<Life> lives;
  std::vector<schedule::StepOp> steps = program.getSteps();
  for (schedule::BufferOp buffer : program.getBuffers()) {
    Life life{buffer, (buffer.getBuffer().getType().getBytes() + kLine - 1) / kLine * kLine};
    bool isRead = false;
    for (auto [number, step] : llvm::enumerate(steps)) {
      if (!llvm::is_contained(step.getBindings(), buffer.getBuffer()))
        continue;
      if (life.first < 0)
        life.first = number;
      else
        isRead = true;
      life.last = number;
    }
    if (!isRead)
      life.last = steps.size(); // a result of the program
    if (life.first >= 0)
      lives.push_back(life);
  }
  return lives;
}

// The smallest gap between neighbours that are alive at the same time, or the end.
int64_t findPlace(const Life &life, ArrayRef<Life *> neighbours) {
  int64_t best = -1, bestGap = 0, end = 0;
  for (Life *neighbour : neighbours) {
    int64_t gap = neighbour->at - end;
    if (gap >= life.bytes && (best < 0 || gap < bestGap)) {
      best = end;
      bestGap = gap;
    }
    end = std::max(end, neighbour->at + neighbour->bytes);
  }
  return best < 0 ? end : best;
}

struct PlanMemory : impl::PlanMemoryBase<PlanMemory> {
  void runOnOperation() override {
    Builder builder(&getContext());
    getOperation().walk([&](schedule::ProgramOp program) {
      SmallVector<Life> lives = livesOf(program);
      SmallVector<Life *> order;
      for (Life &life : lives)
        order.push_back(&life);
      llvm::sort(order, [](Life *a, Life *b) {
        return std::tuple(-a->bytes, a->first, a) < std::tuple(-b->bytes, b->first, b);
      });
      int64_t arena = 0;
      for (Life *life : order) {
        SmallVector<Life *> neighbours;
        for (Life *other : order)
          if (other->at >= 0 && other->meets(*life))
            neighbours.push_back(other);
        llvm::sort(neighbours, [](Life *a, Life *b) { return a->at < b->at; });
        life->at = findPlace(*life, neighbours);
        arena = std::max(arena, life->at + life->bytes);
        life->buffer.setAtAttr(builder.getI64IntegerAttr(life->at));
      }
      program.setArenaAttr(builder.getI64IntegerAttr(arena));
    });
  }
};

} // namespace
} // namespace pianola
