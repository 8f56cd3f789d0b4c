// ReencodedWeights.h - weights that are encoded while they are read.
#ifndef PIANOLA_LIB_ENCODE_REENCODEDWEIGHTS_H
#define PIANOLA_LIB_ENCODE_REENCODEDWEIGHTS_H

#include "lib/encode/WeightSpec.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/raw_ostream.h"

#include <memory>
#include <mutex>

namespace pianola {

/// Bytes of a tensor, of codes and scales if it has them.
uint64_t storedBytes(const TensorInfo &tensor);

/// What a matrix is in another encoding.
TensorInfo encodedAs(const TensorInfo &plain, const WeightEncoding &encoding);

/// What another source has, matrices in other encodings. Rows are encoded when they are asked for:
/// memory holds no more of a model than before, but for matrices whose rows were placed.
class ReencodedWeights : public WeightSource {
public:
  explicit ReencodedWeights(std::unique_ptr<WeightSource> source) : source(std::move(source)) {}

  /// From now on the matrix has this encoding.
  const TensorInfo &encode(const TensorInfo &plain, const WeightEncoding &encoding);
  /// The rows of a matrix that has codes, found by someone who knew more than the matrix: from now
  /// on they are what is read. Errors are relative ones of what the matrix makes of activations.
  void place(llvm::StringRef name, EncodedRows rows, double outputError);
  /// What the source has of a matrix.
  llvm::Error readPlain(const TensorInfo &tensor, llvm::MutableArrayRef<float> out) const;
  /// Its reads so far do not count in the table.
  void forgetErrors();
  bool hasCodes() const;
  /// The relative error (of squares) of the rows of a matrix that were read; 0 of what is as it
  /// was.
  double errorOf(llvm::StringRef name) const;
  bool isReencoded(llvm::StringRef name) const { return tensors.contains(name); }
  /// A line for each matrix that is `standing`: bytes before and after, the relative error (of
  /// squares) of the rows that were read, and that of the outputs if it is known. Those for which
  /// others stand are in the sum of the bytes before.
  void printErrors(llvm::raw_ostream &out, const llvm::StringSet<> &standing) const;

  const TensorInfo *find(llvm::StringRef name) const override;
  llvm::Expected<const TensorInfo *> require(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                                             TensorRole role) override {
    return source->require(name, shape, role);
  }
  llvm::Error read(const TensorInfo &tensor, uint64_t firstByte,
                   llvm::MutableArrayRef<uint8_t> out) const override;
  llvm::Expected<EncodedRows> readRows(const TensorInfo &tensor, int64_t first,
                                       int64_t count) const override;
  std::vector<std::string> names() const override { return source->names(); }
  std::string origin(llvm::StringRef name) const override { return source->origin(name); }

private:
  struct Encoded {
    TensorInfo tensor;
    const TensorInfo *plain;
    std::string encoding;
    mutable double error = 0, size = 0; // sums of squares
    std::optional<EncodedRows> placed;
    double outputError = 0;
  };
  void measure(const Encoded &encoded, llvm::ArrayRef<float> wanted,
               llvm::ArrayRef<float> found) const;

  std::unique_ptr<WeightSource> source;
  llvm::StringMap<std::unique_ptr<Encoded>> tensors;
  std::vector<Encoded *> inOrder;
  mutable std::mutex mutex; // of the sums
};

} // namespace pianola

#endif
