//===- CheckSchedule.cpp - Prove a schedule before it is played -----------===//
//
// The proof has four parts, each a function below: the program ends (Order); every tile stays
// inside of its buffers and these inside of the arena; every byte that is read was written before,
// by the one tile that writes it; and buffers that share bytes are never alive at the same time. A
// program ends with all workers meeting, so that nothing is to be proven across tokens.
//
//===----------------------------------------------------------------------===//

#include "dialects/schedule/Footprint.h"
#include "dialects/schedule/Order.h"
#include "dialects/schedule/TapeOrder.h"
#include "passes/Passes.h"

using namespace mlir;

namespace pianola {
#define GEN_PASS_DEF_CHECKSCHEDULE
#include "passes/Passes.h.inc"

using namespace schedule;

namespace {

class Proof {
public:
  Proof(ProgramOp program, int64_t workers)
      : program(program), workers(workers), steps(program.getSteps()) {}

  LogicalResult run() {
    FailureOr<Order> found = Order::compute(program, workers);
    if (failed(found))
      return failure();
    order = std::move(*found);
    if (failed(checkPlaces()))
      return failure();
    footprint = Footprint::of(program, workers);
    for (auto &[value, touches] : footprint.touches)
      if (failed(checkBounds(value, touches)) || failed(checkValue(value, touches)))
        return failure();
    return checkSharing();
  }

private:
  LogicalResult checkPlaces();
  LogicalResult checkBounds(Value value, ArrayRef<Touch> touches);
  LogicalResult checkValue(Value value, ArrayRef<Touch> touches);
  LogicalResult checkSharing();

  bool isBefore(const Touch &a, const Touch &b) const {
    return order->isBefore(a.step, a.worker, b.step, b.worker);
  }
  std::string nameOf(Value value) const {
    if (auto buffer = value.getDefiningOp<BufferOp>())
      return "buffer \"" + buffer.getName().str() + "\"";
    return "the context";
  }
  std::string describe(const Touch &touch) const {
    std::string text;
    llvm::raw_string_ostream stream(text);
    stream << "step \"" << StepOp(steps[touch.step]).getLabel() << "\" (stage "
           << StepOp(steps[touch.step]).getStage() << "), ";
    if (touch.tile < 0)
      stream << "prologue";
    else
      stream << "tile " << touch.tile;
    stream << ", worker " << touch.worker;
    return text;
  }
  InFlightDiagnostic refuse(const Touch &touch) {
    return StepOp(steps[touch.step]).emitError(describe(touch)) << ": ";
  }

  ProgramOp program;
  int64_t workers;
  std::vector<StepOp> steps;
  std::optional<Order> order;
  Footprint footprint;
};

// Buffers have a place, on a cache line, inside of the arena.
LogicalResult Proof::checkPlaces() {
  for (BufferOp buffer : program.getBuffers()) {
    if (!buffer.getAt() || !program.getArena())
      return buffer.emitError("buffer \"") << buffer.getName() << "\" has no place in the arena";
    int64_t at = *buffer.getAt(), end = at + buffer.getBuffer().getType().getBytes();
    int64_t arena = *program.getArena();
    if (at < 0 || at % 64 != 0 || end > arena)
      return buffer.emitError("buffer \"")
             << buffer.getName() << "\" at bytes " << at << " to " << end - 1
             << " does not start on a cache line inside of the arena of " << arena << " bytes";
  }
  return success();
}

LogicalResult Proof::checkBounds(Value value, ArrayRef<Touch> touches) {
  Extent extent = Extent::of(value, program.getSlots());
  for (const Touch &touch : touches)
    if (touch.slot < 0 || touch.slotEnd > extent.slots || touch.column < 0 ||
        touch.columnEnd > extent.columns)
      return refuse(touch) << (touch.write ? "writes " : "reads ") << extent.describe(touch)
                           << ", beyond the " << extent.bytes() << " bytes of " << nameOf(value)
                           << " at " << extent.at.value_or(0);
  return success();
}

// Cuts the value into cells along the borders of what is written, so that each cell has one writer,
// and then asks of every read and each cell that it covers whether the writer comes before.
LogicalResult Proof::checkValue(Value value, ArrayRef<Touch> touches) {
  Extent extent = Extent::of(value, program.getSlots());
  SmallVector<int64_t> slotCuts{0, extent.slots}, columnCuts{0, extent.columns};
  for (const Touch &touch : touches)
    if (touch.write) {
      slotCuts.append({touch.slot, touch.slotEnd});
      columnCuts.append({touch.column, touch.columnEnd});
    }
  for (auto *cuts : {&slotCuts, &columnCuts}) {
    llvm::sort(*cuts);
    cuts->erase(std::unique(cuts->begin(), cuts->end()), cuts->end());
  }
  auto cellOf = [](ArrayRef<int64_t> cuts, int64_t at) {
    return std::upper_bound(cuts.begin(), cuts.end(), at) - cuts.begin() - 1;
  };
  int64_t columns = columnCuts.size() - 1;
  std::vector<const Touch *> writer((slotCuts.size() - 1) * columns, nullptr);
  auto forCells = [&](const Touch &touch, auto visit) -> LogicalResult {
    int64_t slotEnd = cellOf(slotCuts, touch.slotEnd - 1) + 1;
    int64_t columnEnd = cellOf(columnCuts, touch.columnEnd - 1) + 1;
    for (int64_t i = cellOf(slotCuts, touch.slot); i < slotEnd; ++i)
      for (int64_t j = cellOf(columnCuts, touch.column); j < columnEnd; ++j)
        if (failed(visit(writer[i * columns + j], slotCuts[i], columnCuts[j])))
          return failure();
    return success();
  };

  for (const Touch &touch : touches)
    if (touch.write && failed(forCells(touch, [&](const Touch *&by, int64_t, int64_t) {
          if (by)
            return LogicalResult(refuse(touch)
                                 << "writes " << extent.describe(touch) << " of " << nameOf(value)
                                 << ", which " << describe(*by) << " writes too");
          by = &touch;
          return success();
        })))
      return failure();
  for (const Touch &touch : touches)
    if (!touch.write && failed(forCells(touch, [&](const Touch *by, int64_t slot, int64_t column) {
          if (!by) {
            Touch gap = touch;
            gap.slot = std::max(slot, touch.slot);
            gap.slotEnd = gap.slot + 1;
            gap.column = std::max(column, touch.column);
            gap.columnEnd = gap.column + 1;
            return LogicalResult(refuse(touch) << "reads " << extent.describe(gap) << " (in "
                                               << nameOf(value) << "), which nothing writes");
          }
          if (!isBefore(*by, touch))
            return LogicalResult(refuse(touch)
                                 << "reads " << extent.describe(*by) << " (in " << nameOf(value)
                                 << ") and may do so before they are written by " << describe(*by));
          return success();
        })))
      return failure();
  return success();
}

// Of two buffers that share bytes, one must be done with before the other is first written.
LogicalResult Proof::checkSharing() {
  struct Life {
    Value value;
    int64_t at, end;
    std::vector<const Touch *> lastUse, firstWrite; // of each worker
  };
  std::vector<Life> lives;
  for (auto &[value, touches] : footprint.touches) {
    Extent extent = Extent::of(value, program.getSlots());
    if (!extent.at)
      continue;
    Life life{value, *extent.at, *extent.at + extent.bytes(),
              std::vector<const Touch *>(workers, nullptr),
              std::vector<const Touch *>(workers, nullptr)};
    for (const Touch &touch : touches) {
      const Touch *&last = life.lastUse[touch.worker];
      if (!last || touch.step >= last->step)
        last = &touch;
      const Touch *&first = life.firstWrite[touch.worker];
      if (touch.write && (!first || touch.step < first->step))
        first = &touch;
    }
    lives.push_back(std::move(life));
  }
  llvm::sort(lives, [](const Life &a, const Life &b) {
    return std::pair(a.at, a.end) < std::pair(b.at, b.end);
  });

  // The use of `a` that may still be to come when `b` is written, and that write.
  auto conflict = [&](const Life &a, const Life &b) -> std::pair<const Touch *, const Touch *> {
    for (const Touch *use : a.lastUse)
      for (const Touch *write : b.firstWrite)
        if (use && write && !isBefore(*use, *write))
          return {use, write};
    return {};
  };
  for (size_t i = 0; i < lives.size(); ++i)
    for (size_t j = i + 1; j < lives.size() && lives[j].at < lives[i].end; ++j) {
      auto [use, write] = conflict(lives[i], lives[j]);
      if (!use || !conflict(lives[j], lives[i]).first)
        continue;
      Extent extent = Extent::of(lives[j].value, program.getSlots());
      return refuse(*write) << "writes " << extent.describe(*write) << " (in "
                            << nameOf(lives[j].value) << "), which it shares with "
                            << nameOf(lives[i].value) << ", and may do so before " << describe(*use)
                            << " is done with that";
    }
  return success();
}

//===----------------------------------------------------------------------===//
// Tapes
//===----------------------------------------------------------------------===//

LogicalResult compareTapes(ProgramOp a, ProgramOp b, int64_t workers) {
  for (int64_t w = 0; w < workers; ++w) {
    std::vector<TapeUse> ofA = getTape(a, w), ofB = getTape(b, w);
    for (size_t i = 0; i < std::max(ofA.size(), ofB.size()); ++i) {
      if (i < ofA.size() && i < ofB.size() && ofA[i].isSamePiece(ofB[i]))
        continue;
      bool inB = i < ofB.size();
      const TapeUse &use = inB ? ofB[i] : ofA[i];
      StepOp step = (inB ? b : a).getSteps()[use.step];
      return step.emitError("step \"")
             << step.getLabel() << "\" (stage " << step.getStage() << "), tile " << use.tile
             << " of its section, worker " << w << ": takes " << use.weight << " from bytes "
             << use.offset << " to " << use.offset + use.bytes - 1
             << " of the tape, where program @" << (inB ? a : b).getSymName()
             << " has something else";
    }
  }
  return success();
}

struct CheckSchedule : impl::CheckScheduleBase<CheckSchedule> {
  void runOnOperation() override {
    tile::MachineAttr machine = tile::getMachine(getOperation());
    if (!machine)
      return signalPassFailure();
    ProgramOp first;
    for (ProgramOp program : getOperation().getOps<ProgramOp>()) {
      if (failed(Proof(program, machine.getWorkers()).run()) ||
          (first && failed(compareTapes(first, program, machine.getWorkers()))))
        return signalPassFailure();
      if (!first)
        first = program;
    }
  }
};

} // namespace
} // namespace pianola
