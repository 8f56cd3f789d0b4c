// DerivedWeights.h - tensors that are rows of other tensors, in an order of their own.
//
// Checkpoints keep together what a model takes apart (query, key and value; gate and up), and the
// lanes of rotated heads in another order than the transformer dialect. Such a part is a tensor by
// itself, with a name of its own, for whoever comes after import.
#ifndef PIANOLA_LIB_CHECKPOINT_DERIVEDWEIGHTS_H
#define PIANOLA_LIB_CHECKPOINT_DERIVEDWEIGHTS_H

#include "lib/checkpoint/WeightSource.h"

#include "llvm/ADT/StringMap.h"

#include <memory>

namespace pianola {

class DerivedWeights : public WeightSource {
public:
  explicit DerivedWeights(std::unique_ptr<WeightSource> stored) : stored(std::move(stored)) {}

  /// Makes `name` of a tensor's rows, or of a vector's elements: row i is row `rows[i]` of `from`,
  /// which must be there with the shape `whole`. Errors are those of require(). Asked again for the
  /// same name, it answers the same tensor.
  llvm::Expected<const TensorInfo *> derive(llvm::StringRef name, llvm::StringRef from,
                                            llvm::ArrayRef<int64_t> whole, TensorRole role,
                                            std::vector<int64_t> rows);

  const TensorInfo *find(llvm::StringRef name) const override;
  llvm::Expected<const TensorInfo *> require(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                                             TensorRole role) override;
  llvm::Error read(const TensorInfo &tensor, uint64_t firstByte,
                   llvm::MutableArrayRef<uint8_t> out) const override;
  llvm::Expected<EncodedRows> readRows(const TensorInfo &tensor, int64_t first,
                                       int64_t count) const override;
  /// Those of the source: what was derived is not in a file.
  std::vector<std::string> names() const override;
  std::string origin(llvm::StringRef name) const override;

private:
  struct Derived {
    TensorInfo tensor;
    const TensorInfo *from;
    std::vector<int64_t> rows;

    /// How many rows from `row` on, `most` at most, stand one after the other in `from`.
    int64_t runAt(int64_t row, int64_t most) const;
  };

  std::unique_ptr<WeightSource> stored;
  llvm::StringMap<Derived> derived;
};

} // namespace pianola

#endif
