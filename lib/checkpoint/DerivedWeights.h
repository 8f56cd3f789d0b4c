// DerivedWeights.h - tensors made of other tensors' rows or columns, or 1 + w.
//
// Checkpoints keep together what a model takes apart (query, key and value; gate and up), and apart
// what it takes together (the experts of a mixture); they have the lanes of rotated heads in
// another order than the transformer dialect, and some of them matrices with inputs as rows. What
// is made of such parts is a tensor by itself, with a name of its own, for whoever comes after
// import.
#ifndef PIANOLA_LIB_CHECKPOINT_DERIVEDWEIGHTS_H
#define PIANOLA_LIB_CHECKPOINT_DERIVEDWEIGHTS_H

#include "lib/checkpoint/WeightSource.h"

#include "llvm/ADT/StringMap.h"

#include <list>
#include <memory>
#include <mutex>
#include <optional>

namespace pianola {

/// Some rows of a matrix, or elements of a vector.
struct WeightPart {
  std::string tensor; // where they are stored
  llvm::SmallVector<int64_t, 3>
      shape;                 // of all of it; rows of several dimensions are counted through
  std::vector<int64_t> rows; // none: all, in order
  /// `rows` are columns instead: of this slice, if there are three dimensions; and of them so many
  /// numbers, from the `first`-th on, if not all.
  std::optional<int64_t> columnsOf;
  int64_t first = 0, count = 0;
};

class DerivedWeights : public WeightSource {
public:
  explicit DerivedWeights(std::unique_ptr<WeightSource> stored) : stored(std::move(stored)) {}

  /// Makes `name` of parts, one below the other, which must be there and of the same type, width
  /// and encoding; codes that stand in columns become f32. `role` says whether these are rows of a
  /// matrix, or elements of a vector. Errors are those of require(). Asked again for the same name,
  /// it answers the same tensor.
  llvm::Expected<const TensorInfo *> derive(llvm::StringRef name, llvm::ArrayRef<WeightPart> parts,
                                            TensorRole role);

  /// Makes `name` of a vector: 1 + w, as f32, for norms whose weights are kept as what they differ
  /// from 1 by.
  llvm::Expected<const TensorInfo *> derivePlusOne(llvm::StringRef name, llvm::StringRef from,
                                                   llvm::ArrayRef<int64_t> shape);

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
  struct Piece {
    const TensorInfo *from;
    std::vector<int64_t> rows; // none: all
    std::optional<int64_t> columnsOf;
    int64_t first, count;              // of the rows of the whole
    int64_t depthBegin = 0, depth = 0; // numbers of columns

    /// Row `row` of these in `from`, and how many from it on, `most` at most, follow it there.
    std::pair<int64_t, int64_t> runAt(int64_t row, int64_t most) const;
  };
  struct Derived {
    TensorInfo tensor;
    std::vector<Piece> pieces;
    bool plusOne = false; // 1 + the only piece

    const Piece &pieceAt(int64_t row) const;
  };

  llvm::Expected<Piece> pieceOf(const WeightPart &part, TensorRole role, int64_t first);
  llvm::Error readPlusOne(const Derived &sum, uint64_t firstByte,
                          llvm::MutableArrayRef<uint8_t> out) const;
  llvm::Error readColumns(const Derived &whole, const Piece &piece, uint64_t firstByte,
                          llvm::MutableArrayRef<uint8_t> out) const;

  std::unique_ptr<WeightSource> stored;
  llvm::StringMap<Derived> derived;
  /// The last few pieces that were columns: each is read some rows at a time, and those of one
  /// stage by turns.
  struct Transposed {
    const Piece *piece;
    std::vector<uint8_t> bytes;
  };
  mutable std::mutex mutex;
  mutable std::list<Transposed> recent;
};

} // namespace pianola

#endif
