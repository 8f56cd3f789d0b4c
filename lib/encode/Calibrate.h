// Calibrate.h - weights are encoded while the model reads a text.
#ifndef PIANOLA_LIB_ENCODE_CALIBRATE_H
#define PIANOLA_LIB_ENCODE_CALIBRATE_H

#include "lib/checkpoint/ModelConfig.h"
#include "lib/driver/Progress.h"
#include "lib/encode/ReencodedWeights.h"

#include "mlir/IR/BuiltinOps.h"

namespace pianola {

/// Sequences of the same length, but for the last, each with what the tokenizer puts before a text.
struct CalibrationText {
  std::vector<int32_t> ids;
  int64_t sequence;
};

/// The beginning of a text file, as far as kMostCalibrationTokens, in the tokens of a model
/// directory.
constexpr int64_t kMostCalibrationTokens = 1 << 16;
llvm::Expected<CalibrationText> readCalibrationText(const std::string &path,
                                                    const std::string &directory,
                                                    const ModelConfig &config);

/// Finds the codes of every matrix that is to have some and that activations are multiplied by,
/// in the order of the model: a matrix sees the activations that the matrices before it, rounded
/// already, make of the text, and so makes up for some of their error too. Matrices that read the
/// same value share what is known of it. An embedding sees no activations and is left alone, also
/// where it is the head.
llvm::Error calibrate(mlir::ModuleOp module, ReencodedWeights &weights, const CalibrationText &text,
                      Progress &progress);

} // namespace pianola

#endif
