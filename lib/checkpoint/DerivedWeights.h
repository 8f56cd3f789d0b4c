// DerivedWeights.h - tensors that are rows or columns of other tensors, or 1 + w.
//
// Checkpoints keep together what a model takes apart (query, key and value; gate and up), the lanes
// of rotated heads in another order than the transformer dialect, and some of them matrices with
// inputs as rows. Such a part is a tensor by itself, with a name of its own, for whoever comes
// after import.
#ifndef PIANOLA_LIB_CHECKPOINT_DERIVEDWEIGHTS_H
#define PIANOLA_LIB_CHECKPOINT_DERIVEDWEIGHTS_H

#include "lib/checkpoint/WeightSource.h"

#include "llvm/ADT/StringMap.h"

#include <list>
#include <memory>
#include <mutex>

namespace pianola {

class DerivedWeights : public WeightSource {
public:
  explicit DerivedWeights(std::unique_ptr<WeightSource> stored) : stored(std::move(stored)) {}

  /// Makes `name` of a tensor's rows, or of a vector's elements: row i is row `rows[i]` of `from`,
  /// which must be there with the shape `whole`. Errors are those of require(). Asked again for the
  /// same name, it answers the same tensor. `transposed`: row i is column `rows[i]`; `from` must
  /// then hold plain numbers.
  llvm::Expected<const TensorInfo *> derive(llvm::StringRef name, llvm::StringRef from,
                                            llvm::ArrayRef<int64_t> whole, TensorRole role,
                                            std::vector<int64_t> rows, bool transposed = false);

  /// Makes `name` of a vector: 1 + w, as f32, for norms whose weights are kept as what they differ
  /// from 1 by.
  llvm::Expected<const TensorInfo *> derivePlusOne(llvm::StringRef name, llvm::StringRef from,
                                                   llvm::ArrayRef<int64_t> whole);

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
    std::vector<int64_t> rows; // none: 1 + `from`
    bool transposed = false;   // `rows` are columns of `from`

    /// How many rows from `row` on, `most` at most, stand one after the other in `from`.
    int64_t runAt(int64_t row, int64_t most) const;
  };

  llvm::Error readPlusOne(const Derived &sum, uint64_t firstByte,
                          llvm::MutableArrayRef<uint8_t> out) const;
  llvm::Error readTransposed(const Derived &part, uint64_t firstByte,
                             llvm::MutableArrayRef<uint8_t> out) const;

  std::unique_ptr<WeightSource> stored;
  llvm::StringMap<Derived> derived;
  /// The last few that were transposed, whole: each is read some rows at a time, and those of one
  /// stage by turns.
  struct Transposed {
    std::string name;
    std::vector<uint8_t> bytes;
  };
  mutable std::mutex mutex;
  mutable std::list<Transposed> recent;
};

} // namespace pianola

#endif
