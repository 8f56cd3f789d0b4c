// StoredMatrix.h - a quantised linear's matrix, out of the tensors that its format spreads it over.
#ifndef PIANOLA_LIB_CHECKPOINT_STOREDMATRIX_H
#define PIANOLA_LIB_CHECKPOINT_STOREDMATRIX_H

#include "lib/checkpoint/Encoding.h"
#include "lib/checkpoint/Quantisation.h"
#include "lib/checkpoint/WeightSource.h"

#include <list>
#include <memory>
#include <mutex>

namespace pianola {

/// Whole tensors, of which the last few stay in memory: formats that pack codes along rows are read
/// column by column, and who packs a tape reads a matrix some rows at a time.
class TensorCache {
public:
  using Bytes = std::shared_ptr<const std::vector<uint8_t>>;

  explicit TensorCache(const WeightSource &weights) : weights(weights) {}
  llvm::Expected<Bytes> read(const TensorInfo &tensor);

private:
  const WeightSource &weights;
  std::mutex mutex;
  std::list<std::pair<const TensorInfo *, Bytes>> kept; // the last one used in front
};

class StoredMatrix {
public:
  virtual ~StoredMatrix() = default;

  const Scaling &scaling() const { return how; }
  /// Rows `first .. first + rows.rows - 1`, which are the matrix's.
  virtual llvm::Error read(int64_t first, EncodedRows &rows) const = 0;

  std::vector<std::string> tensors; // of the checkpoint, all that it is made of

protected:
  Scaling how;
};

/// The matrix of the linear `prefix`, such as "model.layers.0.mlp.up_proj", or null if it is not
/// quantised. Shapes and types of its tensors are checked. `shape` is [rows, columns], or that of
/// all experts' matrices, whose rows are then counted through.
llvm::Expected<std::unique_ptr<StoredMatrix>> openStored(const Quantisation &quantisation,
                                                         const WeightSource &weights,
                                                         TensorCache &cache, llvm::StringRef prefix,
                                                         llvm::ArrayRef<int64_t> shape);

} // namespace pianola

#endif
