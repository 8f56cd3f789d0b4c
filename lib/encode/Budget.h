// Budget.h - an encoding for each matrix, so that all of them take no more than so many bytes.
#ifndef PIANOLA_LIB_ENCODE_BUDGET_H
#define PIANOLA_LIB_ENCODE_BUDGET_H

#include "lib/encode/Calibrate.h"
#include "lib/encode/WeightSpec.h"

#include "llvm/ADT/StringMap.h"

namespace pianola {

/// "700MB", "1.5GiB", "90000": a unit is B, kB, MB, GB, KiB, MiB or GiB.
llvm::Expected<uint64_t> parseBytes(llvm::StringRef text);

/// One way to encode a matrix, and what it costs.
struct Alternative {
  uint64_t bytes;
  double error;
};

/// For each matrix the number of one of its alternatives (at most 256): those with the least error
/// in all that fit the budget, but for what is lost where bytes are counted in units of a 2^15th of
/// what the smallest leave of it. Nothing if the smallest do not fit.
std::optional<std::vector<size_t>> spend(uint64_t budget,
                                         llvm::ArrayRef<std::vector<Alternative>> matrices);

/// An encoding for each matrix of the module that is not in codes yet: as it is, bf16, int8/32,
/// int8/128, int4/32, int4/64 or int4/128. The budget is for codes and scales, for what is in codes
/// already, and for vectors, as f32.
///
/// The error of a matrix is |(W - Q) X|^2 / |W X|^2, X being activations of the text (see
/// someRows), or, without a text and where rows are looked up, |W - Q|^2 / |W|^2. It counts by the
/// share of the logits that it can move: all of it for the head, and for any other matrix one over
/// the number of terms that the residual stream is the sum of.
llvm::Expected<llvm::StringMap<WeightEncoding>> encodeWithin(uint64_t budget, mlir::ModuleOp module,
                                                             const WeightSource &weights,
                                                             const CalibrationText *text);

} // namespace pianola

#endif
