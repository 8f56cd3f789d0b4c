//===- CheckSchedule.cpp - Prove a schedule before it is played -----------===//
//
// The proof has these parts, each a function below: the program ends (Order); rings keep what is
// looked at; every tile stays inside of its buffers and these inside of the arena; every byte that
// is read was written before, by the one tile that writes it; buffers that share bytes are never
// alive at the same time. What concerns the tapes stands in CheckTapes.cpp.
//
// A program that does not loop ends with all workers meeting, so that nothing is to be proven
// across tokens. One that loops is proven for two plays in a row: what holds from one play to the
// next holds from one to any later one, because each worker does in the later one what it did in
// the next.
//
//===----------------------------------------------------------------------===//

#include "dialects/schedule/CheckTapes.h"
#include "dialects/schedule/Footprint.h"
#include "dialects/schedule/Order.h"
#include "passes/Passes.h"

using namespace mlir;

namespace pianola {
#define GEN_PASS_DEF_CHECKSCHEDULE
#include "passes/Passes.h.inc"

using namespace schedule;

namespace {

class Proof {
public:
  Proof(ProgramOp program, tile::MachineAttr machine)
      : program(program), workers(machine.getWorkers()), machine(machine),
        steps(program.getSteps()) {}

  LogicalResult run() {
    if (failed(checkForm()) || failed(checkRings()))
      return failure();
    FailureOr<Order> found = Order::compute(program, workers);
    if (failed(found))
      return failure();
    order = std::move(*found);
    if (failed(checkPlaces()))
      return failure();
    footprint = Footprint::of(program, workers);
    for (auto &[value, touches] : footprint.touches)
      if (failed(checkBounds(value, touches)) || failed(checkValue(value, touches)) ||
          failed(checkPast(value, touches)))
        return failure();
    return checkSharing();
  }

private:
  LogicalResult checkForm();
  LogicalResult checkRings();
  LogicalResult checkPlaces();
  LogicalResult checkBounds(Value value, ArrayRef<Touch> touches);
  LogicalResult checkValue(Value value, ArrayRef<Touch> touches);
  LogicalResult checkPast(Value value, ArrayRef<Touch> touches);
  LogicalResult checkSharing();

  bool isBefore(const Touch &a, const Touch &b) const {
    return order->isBefore(a.step, a.worker, b.step, b.worker);
  }
  // What a tile of a head leaves, the worker's next one of it finds.
  bool isEarlierTile(Value value, const Touch &a, const Touch &b) const {
    return value && isa<tile::StateType>(value.getType()) && a.step == b.step &&
           a.worker == b.worker && a.tile < b.tile;
  }
  // Of the next play's `b`.
  bool isBeforeNext(const Touch &a, const Touch &b) const {
    return order->isBefore(a.step, a.worker, steps.size() + b.step, b.worker);
  }
  bool isBeforeNextWaits(const Touch &a, const Touch &b) const {
    return order->isBeforeWaits(a.step, a.worker, b.step, b.worker);
  }
  std::string nameOf(Value value) const {
    if (!value)
      return "the tokens";
    if (auto buffer = value.getDefiningOp<BufferOp>())
      return "buffer \"" + buffer.getName().str() + "\"";
    return isa<tile::StateType>(value.getType()) ? "the state" : "the context";
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
  tile::MachineAttr machine;
  std::vector<StepOp> steps;
  std::optional<Order> order;
  Footprint footprint;
};

// What a play writes into a ring never stands where an attention of the play looks, nor what it
// records where a convolution does.
LogicalResult Proof::checkRings() {
  auto slots = static_cast<int64_t>(program.getSlots());
  for (StepOp step : steps) {
    WalkResult result = step.getStageOp().walk([&](tile::AttendOp attend) {
      int64_t window = attend.getReach();
      int64_t ring = attend.getPast().getType().getRing();
      if (!ring || (window && ring >= tile::ContextType::ringFor(window, slots)))
        return WalkResult::advance();
      InFlightDiagnostic refusal = step.emitError("step \"") << step.getLabel() << "\": ";
      if (window)
        refusal << "a window of " << window << " positions and the play's " << slots
                << " need a ring of " << tile::ContextType::ringFor(window, slots) << ", found "
                << ring;
      else
        refusal << "attends to all positions, of which the context keeps " << ring;
      return WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      return failure();
    result = step.getStageOp().walk([&](tile::ConvolveOp convolve) {
      int64_t needed = slots + convolve.getTaps() - 1;
      if (convolve.getState().getType().getRows() >= needed)
        return WalkResult::advance();
      step.emitError("step \"") << step.getLabel() << "\": " << int64_t(convolve.getTaps())
                                << " taps and the play's " << slots << " slots need " << needed
                                << " rows of a history, found "
                                << convolve.getState().getType().getRows();
      return WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      return failure();
  }
  return success();
}

// What the machine can play at all.
LogicalResult Proof::checkForm() {
  for (StepOp step : steps)
    if (int64_t most = machine.getWaits(); most && step.getWaits().size() > size_t(most))
      return step.emitError("step \"") << step.getLabel() << "\" waits for "
                                       << step.getWaits().size() << " events; this machine's steps "
                                       << "wait for " << most << " at most";
  if (!program.getLoops() || steps.empty())
    return success();
  // Workers know by its event that they may begin a play, and worker 0 whether there is one.
  StepOp first = steps.front();
  for (int64_t w = 1; w < workers; ++w)
    if (!first.getTilesOf(w).empty())
      return first.emitError("step \"")
             << first.getLabel() << "\", tile " << first.getTilesOf(w).front() << ", worker " << w
             << ": a program that loops begins with a step of worker 0 alone";
  if (!first.getSignals())
    return first.emitError("step \"") << first.getLabel() << "\" signals no event: in a program "
                                      << "that loops all workers wait for its first step";
  return success();
}

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
    if (!touch.past && (touch.slot < 0 || touch.slotEnd > extent.slots || touch.column < 0 ||
                        touch.columnEnd > extent.columns))
      return refuse(touch) << (touch.write ? "writes " : "reads ") << extent.describe(touch)
                           << ", beyond the " << extent.bytes() << " bytes of " << nameOf(value)
                           << " at " << extent.at.value_or(0);
  return success();
}

// Cuts the value into cells along the borders of what is written, so that each cell has one writer,
// and then asks of every read and each cell that it covers whether the writer comes before.
//
// A byte that is an expert's has a writer whatever is chosen if there is one tile for each expert
// that may be chosen, counted from 0: which of them it is, the choice says, and that it is one. So
// a cell then has all of these for writers, and a read must come after all.
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
  using Writers = SmallVector<const Touch *, 1>;
  std::vector<Writers> writers((slotCuts.size() - 1) * columns);
  auto forCells = [&](const Touch &touch, auto visit) -> LogicalResult {
    int64_t slotEnd = cellOf(slotCuts, touch.slotEnd - 1) + 1;
    int64_t columnEnd = cellOf(columnCuts, touch.columnEnd - 1) + 1;
    for (int64_t i = cellOf(slotCuts, touch.slot); i < slotEnd; ++i)
      for (int64_t j = cellOf(columnCuts, touch.column); j < columnEnd; ++j)
        if (failed(visit(writers[i * columns + j], slotCuts[i], columnCuts[j])))
          return failure();
    return success();
  };

  for (const Touch &touch : touches)
    if (touch.write && failed(forCells(touch, [&](Writers &by, int64_t, int64_t) {
          for (const Touch *other : by)
            if (other->step != touch.step || other->chosen < 0 || touch.chosen < 0 ||
                other->chosen == touch.chosen)
              return LogicalResult(refuse(touch)
                                   << "writes " << extent.describe(touch) << " of " << nameOf(value)
                                   << ", which " << describe(*other) << " writes too");
          by.push_back(&touch);
          return success();
        })))
      return failure();
  for (const Touch &touch : touches)
    if (!touch.write && !touch.past &&
        failed(forCells(touch, [&](const Writers &by, int64_t slot, int64_t column) {
          bool isOfExperts = !by.empty() && by.front()->chosen >= 0;
          if (by.empty() || (isOfExperts && int64_t(by.size()) < by.front()->choices)) {
            Touch gap = touch;
            gap.slot = std::max(slot, touch.slot);
            gap.slotEnd = gap.slot + 1;
            gap.column = std::max(column, touch.column);
            gap.columnEnd = gap.column + 1;
            InFlightDiagnostic refusal = refuse(touch);
            refusal << "reads " << extent.describe(gap) << " (in " << nameOf(value) << "), which ";
            if (isOfExperts)
              return LogicalResult(refusal << "tiles for " << int64_t(by.size()) << " of "
                                           << by.front()->choices
                                           << " experts that may be chosen write");
            return LogicalResult(refusal << "nothing writes");
          }
          for (const Touch *writer : by)
            if (!isBefore(*writer, touch) && !isEarlierTile(value, *writer, touch))
              return LogicalResult(refuse(touch)
                                   << "reads " << extent.describe(*writer) << " (in "
                                   << nameOf(value) << ") and may do so before they are written by "
                                   << describe(*writer));
          return success();
        })))
      return failure();
  return success();
}

// What plays before have left must have been written there, and, if it is overwritten, must have
// been read before. A machine that reads early does so with contexts: before it waits for the
// step's events.
LogicalResult Proof::checkPast(Value value, ArrayRef<Touch> touches) {
  Extent extent = Extent::of(value, program.getSlots());
  // Of a context every play writes other positions; tokens are overwritten. So are states, for the
  // next play to find: of a history, rows that taps have looked at.
  bool overwritten = !value, isState = value && isa<tile::StateType>(value.getType());
  std::vector<const Touch *> writes;
  for (const Touch &touch : touches)
    if (touch.write)
      writes.push_back(&touch);
  for (const Touch &read : touches) {
    if (!read.past)
      continue;
    SmallVector<bool> covered(read.columnEnd - read.column, false);
    for (const Touch *write : writes) {
      int64_t begin = std::max(read.column, write->column);
      int64_t end = std::min(read.columnEnd, write->columnEnd);
      for (int64_t column = begin; column < end; ++column)
        covered[column - read.column] = true;
      if (begin >= end)
        continue;
      bool early = !overwritten && machine.getEarly();
      if (program.getLoops() &&
          !(early ? isBeforeNextWaits(*write, read) : isBeforeNext(*write, read)))
        return refuse(read) << "reads " << nameOf(value) << ", of which " << describe(*write)
                            << ", writes " << extent.describe(*write)
                            << " in the play before, and may do so before they are written";
      if (isState && program.getLoops() && !isBeforeNext(read, *write))
        return refuse(*write) << "writes " << extent.describe(*write)
                              << " in the next play, and may do so before " << describe(read)
                              << " has read them";
      if (overwritten && !isBefore(read, *write))
        return refuse(*write) << "writes " << extent.describe(*write) << " and may do so before "
                              << describe(read) << " has read them";
    }
    if (!overwritten && llvm::is_contained(covered, false))
      return refuse(read) << "reads " << nameOf(value) << " in columns " << read.column << " to "
                          << read.columnEnd - 1 << " (bytes of every position), of which no play "
                          << "writes all";
  }
  return success();
}

// Of two buffers that share bytes, one must be done with before the other is first written; and in
// a program that loops each must be done with before the next play writes the other, or itself.
LogicalResult Proof::checkSharing() {
  struct Life {
    Value value;
    int64_t at, end;
    std::vector<const Touch *> lastUse, firstWrite; // of each worker
    std::vector<int32_t> used;                      // steps until then, of each worker
  };
  std::vector<Life> lives;
  for (auto &[value, touches] : footprint.touches) {
    Extent extent = Extent::of(value, program.getSlots());
    if (!extent.at)
      continue;
    Life life{value,
              *extent.at,
              *extent.at + extent.bytes(),
              std::vector<const Touch *>(workers, nullptr),
              std::vector<const Touch *>(workers, nullptr),
              std::vector<int32_t>(workers, 0)};
    for (const Touch &touch : touches) {
      const Touch *&last = life.lastUse[touch.worker];
      if (!last || touch.step >= last->step)
        last = &touch;
      const Touch *&first = life.firstWrite[touch.worker];
      if (touch.write && (!first || touch.step < first->step))
        first = &touch;
      life.used[touch.worker] = last->step + 1;
    }
    lives.push_back(std::move(life));
  }
  llvm::sort(lives, [](const Life &a, const Life &b) {
    return std::pair(a.at, a.end) < std::pair(b.at, b.end);
  });

  // The use of `a` that may still be to come when `b` is written (in this play, or in the next),
  // and that write.
  auto conflict = [&](const Life &a, const Life &b,
                      bool next) -> std::pair<const Touch *, const Touch *> {
    for (const Touch *write : b.firstWrite) {
      if (!write)
        continue;
      ArrayRef<int32_t> finished =
          order->finished(write->step + (next ? steps.size() : 0), write->worker);
      for (int64_t v = 0; v < workers; ++v)
        if (finished[v] < a.used[v])
          return {a.lastUse[v], write};
    }
    return {};
  };
  auto refuseWrite = [&](const Touch &write, const Life &of) {
    return refuse(write) << "writes " << Extent::of(of.value, program.getSlots()).describe(write)
                         << " (in " << nameOf(of.value) << ")";
  };
  for (size_t i = 0; i < lives.size(); ++i)
    for (size_t j = i; j < lives.size() && lives[j].at < lives[i].end; ++j) {
      const Life &a = lives[i], &b = lives[j];
      if (i != j) {
        auto [use, write] = conflict(a, b, false);
        if (use && conflict(b, a, false).first)
          return refuseWrite(*write, b)
                 << ", which it shares with " << nameOf(a.value) << ", and may do so before "
                 << describe(*use) << " is done with that";
      }
      if (!program.getLoops())
        continue;
      for (auto [used, written] : {std::pair(&a, &b), std::pair(&b, &a)})
        if (auto [use, write] = conflict(*used, *written, true); use)
          return refuseWrite(*write, *written)
                 << " and may do so before " << describe(*use)
                 << " of the play before is done with " << nameOf(used->value);
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
      if (failed(Proof(program, machine).run()) || failed(checkRing(program, machine)) ||
          (first && failed(compareTapes(first, program, machine.getWorkers()))))
        return signalPassFailure();
      if (!first)
        first = program;
    }
  }
};

} // namespace
} // namespace pianola
