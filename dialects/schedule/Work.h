//===- Work.h - How much a tile has to do -----------------------*- C++ -*-===//
#ifndef PIANOLA_DIALECTS_SCHEDULE_WORK_H
#define PIANOLA_DIALECTS_SCHEDULE_WORK_H

#include "dialects/schedule/Schedule.h"

namespace pianola::schedule {

/// What one tile, or a prologue, has to do.
struct Work {
  int64_t tape = 0;   // bytes of weights; of experts, as many as slots choose on average
  int64_t memory = 0; // bytes of activations and contexts, read or written
  int64_t reads = 0;  // of these, what it must wait for; constants too
  int64_t early = 0;  // of `reads`, what a worker reads before the step's events
  int64_t flops = 0;  // of inner products, with padding
  int64_t codes = 0;  // bytes of codes to be unpacked
  int64_t worst = 0;  // bytes of weights, where no two slots choose the same expert
  int64_t chosen = 0; // of `tape`, bytes of experts

  Work &operator+=(const Work &other) {
    tape += other.tape;
    memory += other.memory;
    reads += other.reads;
    early += other.early;
    flops += other.flops;
    codes += other.codes;
    worst += other.worst;
    chosen += other.chosen;
    return *this;
  }
  Work times(int64_t n) const {
    return {tape * n,  memory * n, reads * n, early * n,
            flops * n, codes * n,  worst * n, chosen * n};
  }
};

/// The work of the stages of one program, contexts having `positions`. All tiles of a section weigh
/// the same, but for parts of a context: which of them are an expert's, and how many, is for the
/// play to say, and they are alike in that.
class WorkOfProgram {
public:
  /// No positions: contexts count for the slots of the play alone.
  WorkOfProgram(ProgramOp program, std::optional<int64_t> positions);

  Work ofPrologue(StepOp step);
  /// Of the section's tile number `tile`.
  Work ofTile(StepOp step, tile::SectionOp section, int64_t tile);

private:
  Work ofBlock(StepOp step, mlir::Block &block, llvm::ArrayRef<int64_t> at);
  Work ofExperts(StepOp step, tile::ExpertsOp experts, llvm::ArrayRef<int64_t> at);

  int64_t slots;
  bool loops;
  int64_t early; // bytes that a worker takes before a step's events
  std::optional<int64_t> positions;
  bool isFine;                                      // a GPU's tiles
  llvm::DenseMap<mlir::Value, int64_t> chosen;      // positions that a selection has
  llvm::DenseMap<mlir::Value, double> filled;       // share of a buffer of parts
  llvm::DenseMap<mlir::Operation *, double> shares; // of tiles that are one chosen expert's
};

} // namespace pianola::schedule

#endif
