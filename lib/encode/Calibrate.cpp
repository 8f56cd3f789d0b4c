// Calibrate.cpp - weights are encoded while the model reads a text.
#include "lib/encode/Calibrate.h"

#include "lib/checkpoint/Refusal.h"
#include "lib/encode/Compensate.h"
#include "lib/quality/TextTokens.h"
#include "lib/reference/Interpreter.h"

#include "llvm/ADT/StringSet.h"

#include <cmath>

using namespace mlir;

namespace pianola {
namespace {

constexpr int64_t kSequence = 512;

class Calibration {
public:
  Calibration(ModuleOp module, ReencodedWeights &weights, Progress &progress)
      : weights(weights), progress(progress) {
    module.walk([&](transformer::EmbedOp op) { tables.insert(op.getWeight()); });
  }

  llvm::Error hear(Operation *op, Value input, const reference::Rows &x);

private:
  ReencodedWeights &weights;
  Progress &progress;
  llvm::StringSet<> tables; // symbols of embeddings
  Value known;              // whose factor this is
  reference::Rows factor;
};

llvm::Error Calibration::hear(Operation *op, Value input, const reference::Rows &x) {
  transformer::WeightOp weight = weightOf(op);
  const TensorInfo &tensor = *weights.find(weight.getTensor());
  progress.advance(tensor.bytes);
  if (!tensor.scaling || !weights.isReencoded(tensor.name) || tables.contains(weight.getSymName()))
    return llvm::Error::success();
  // Of heads, or of what chosen experts made, rows multiply a part each: their codes are rounded as
  // they are.
  if (x.columns != tensor.shape[1])
    return llvm::Error::success();
  if (input != known) {
    reference::Rows products = gram(x);
    for (int64_t i = 0; i < products.rows; ++i)
      if (!std::isfinite(products.row(i)[i]))
        return refuse("--calibrate: activations that " + inQuotes(tensor.name) +
                      " is multiplied by are not finite");
    factor = inverseFactor(products);
    known = input;
  }
  reference::Rows plain(tensor.shape[0], tensor.shape[1]), found = plain;
  if (llvm::Error error = weights.readPlain(tensor, plain.values))
    return error;
  EncodedRows rows = WeightSource::emptyRows(tensor, plain.rows);
  compensate(*tensor.scaling, factor, plain, rows);
  for (int64_t r = 0; r < plain.rows; ++r)
    decodeRow(*tensor.scaling, rows, r, found.row(r));
  weights.place(tensor.name, std::move(rows), std::sqrt(outputError(plain, found, someRows(x))));
  return llvm::Error::success();
}

} // namespace

llvm::Expected<CalibrationText> readCalibrationText(const std::string &path,
                                                    const std::string &directory,
                                                    const ModelConfig &config) {
  llvm::Expected<std::unique_ptr<Tokenizer>> tokenizer = readTokenizer(directory);
  if (!tokenizer)
    return tokenizer.takeError();
  llvm::Expected<std::vector<int32_t>> tokens = readTokens(path, **tokenizer);
  if (!tokens)
    return tokens.takeError();
  const std::vector<int32_t> &begin = (*tokenizer)->beginning();
  CalibrationText text;
  text.sequence = std::min(kSequence, config.maxPositions);
  int64_t most = std::min<int64_t>(tokens->size(), kMostCalibrationTokens);
  int64_t step = std::max<int64_t>(1, text.sequence - begin.size());
  for (int64_t first = 0; first < most; first += step) {
    text.ids.insert(text.ids.end(), begin.begin(), begin.end());
    text.ids.insert(text.ids.end(), tokens->begin() + first,
                    tokens->begin() + std::min(first + step, most));
  }
  return text;
}

llvm::Error calibrate(ModuleOp module, ReencodedWeights &weights, const CalibrationText &text,
                      Progress &progress) {
  uint64_t bytes = 0;
  module.walk([&](Operation *op) {
    if (isa<transformer::LinearOp, transformer::LmHeadOp, transformer::RouteOp,
            transformer::RoutedLinearOp, transformer::HeadLinearOp>(op))
      bytes += weights.find(weightOf(op).getTensor())->bytes;
  });
  progress.begin("calibrating", bytes);
  Calibration calibration(module, weights, progress);
  llvm::Error error =
      Interpreter(module, weights)
          .walk(text.ids, text.sequence, [&](Operation *op, Value input, const reference::Rows &x) {
            return calibration.hear(op, input, x);
          });
  progress.end();
  weights.forgetErrors(); // those of the interpreter's reads
  return error;
}

} // namespace pianola
