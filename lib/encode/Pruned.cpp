// Pruned.cpp - matrices of which two of each four columns at most are not zero.
#include "lib/encode/Pruned.h"

#include "dialects/transformer/Transformer.h"
#include "lib/encode/EncodingType.h"

#include <cmath>

using namespace mlir;

namespace pianola {
namespace {

// With fewer columns a GPU's panels are half empty.
constexpr int64_t kLeastColumns = 64;
constexpr int64_t kBytesAtOnce = 1 << 20;

llvm::Expected<bool> isPruned(const WeightSource &weights, const TensorInfo &tensor) {
  int64_t rows = tensor.shape[0], columns = tensor.shape[1], rowBytes = columns * 2;
  std::vector<uint8_t> bytes;
  // The first row says it of most matrices.
  for (int64_t row = 0, count = 1; row < rows; row += count) {
    count = row ? std::clamp<int64_t>(kBytesAtOnce / rowBytes, 1, rows - row) : 1;
    bytes.resize(count * rowBytes);
    if (llvm::Error error = weights.read(tensor, row * rowBytes, bytes))
      return std::move(error);
    auto *elements = reinterpret_cast<const uint16_t *>(bytes.data());
    for (int64_t r = 0; r < count; ++r, elements += columns)
      for (int64_t k = 0; k < columns; k += 4) {
        int kept = 0;
        for (int64_t i = k; i < std::min(k + 4, columns); ++i)
          kept += (elements[i] & 0x7fff) != 0;
        if (kept > 2)
          return false;
      }
  }
  return true;
}

} // namespace

uint64_t prunedRowBytes(int64_t columns) {
  return columns + encoding::TwoOfFourType::getPatternBytes(columns);
}

void prune(llvm::MutableArrayRef<float> row) {
  for (; !row.empty(); row = row.drop_front(std::min<size_t>(4, row.size()))) {
    llvm::MutableArrayRef<float> four = row.take_front(std::min<size_t>(4, row.size()));
    llvm::SmallVector<size_t, 4> order(four.size());
    std::iota(order.begin(), order.end(), 0);
    // What is no number stays, so that it is seen.
    auto rank = [&](size_t i) {
      return std::make_pair(std::isnan(four[i]) ? -INFINITY : -std::abs(four[i]), i);
    };
    llvm::sort(order, [&](size_t a, size_t b) { return rank(a) < rank(b); });
    for (size_t i = 2; i < order.size(); ++i)
      four[order[i]] = 0;
  }
}

llvm::Error findPruned(ModuleOp module, const WeightSource &weights) {
  llvm::StringSet<> encodable = encodableTensors(module), lookedUp = lookedUpWeights(module);
  for (auto op : module.getOps<transformer::WeightOp>()) {
    if (!op.getEncoding().isBF16() || !encodable.contains(op.getTensor()) ||
        lookedUp.contains(op.getSymName()) || op.getShape()[1] < kLeastColumns)
      continue;
    llvm::Expected<bool> found = isPruned(weights, *weights.find(op.getTensor()));
    if (!found)
      return found.takeError();
    if (*found)
      op.setEncodingAttr(
          TypeAttr::get(encoding::TwoOfFourType::get(op.getContext(), op.getEncoding())));
  }
  return llvm::Error::success();
}

} // namespace pianola
