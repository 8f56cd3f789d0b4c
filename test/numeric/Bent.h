// Bent.h - a proven schedule, and the ways to bend it.
#ifndef PIANOLA_TEST_NUMERIC_BENT_H
#define PIANOLA_TEST_NUMERIC_BENT_H

#include "dialects/schedule/Schedule.h"

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace pianola {

struct Bent {
  mlir::ModuleOp module;

  schedule::StepOp step(llvm::StringRef label) {
    schedule::StepOp found;
    module.walk([&](schedule::StepOp step) { found = step.getLabel() == label ? step : found; });
    return found;
  }
  schedule::BufferOp buffer(llvm::StringRef name) {
    schedule::BufferOp found;
    module.walk([&](schedule::BufferOp op) { found = op.getName() == name ? op : found; });
    return found;
  }
  /// Waits that count to `most` or less.
  void dropWaits(llvm::StringRef label, int64_t most = INT64_MAX) {
    schedule::StepOp bent = step(label);
    std::vector<int64_t> until;
    for (size_t i = bent.getWaits().size(); i-- > 0;)
      if ((*bent.getUntil())[i] <= most)
        bent.getWaitsMutable().erase(i);
      else
        until.insert(until.begin(), (*bent.getUntil())[i]);
    bent.setUntilAttr(until.empty() ? mlir::DenseI64ArrayAttr()
                                    : mlir::DenseI64ArrayAttr::get(module.getContext(), until));
  }
  void setUntil(llvm::StringRef label, int64_t until) { step(label).setUntil({until}); }
  void setTiles(llvm::StringRef label, int worker, std::vector<int64_t> pairs) {
    std::vector<mlir::Attribute> lists(step(label).getTilesAttr().begin(),
                                       step(label).getTilesAttr().end());
    lists[worker] = mlir::DenseI64ArrayAttr::get(module.getContext(), pairs);
    step(label).setTilesAttr(mlir::ArrayAttr::get(module.getContext(), lists));
  }
  /// Puts a step before the one that it follows, with what both need.
  void swapWith(llvm::StringRef label, llvm::StringRef before) {
    schedule::StepOp late = step(label), early = step(before);
    for (mlir::Operation &op : llvm::make_early_inc_range(*early->getBlock()))
      if (mlir::isa<schedule::BufferOp, schedule::EventOp>(op) && early->isBeforeInBlock(&op))
        op.moveBefore(early);
    late->moveBefore(early);
  }
};

} // namespace pianola

#endif
