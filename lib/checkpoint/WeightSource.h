// WeightSource.h - where the bytes of weights come from.
#ifndef PIANOLA_LIB_CHECKPOINT_WEIGHTSOURCE_H
#define PIANOLA_LIB_CHECKPOINT_WEIGHTSOURCE_H

#include "lib/checkpoint/Encoding.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pianola {

/// Element types of safetensors that take whole bytes.
enum class DType : uint8_t {
  Bool,
  U8,
  I8,
  F8E5M2,
  F8E4M3,
  F8E8M0,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  F64,
  I64,
  U64
};

/// As safetensors spells it: "BF16".
llvm::StringRef dtypeName(DType dtype);
std::optional<DType> dtypeFromName(llvm::StringRef name);
/// Bytes of one element.
uint64_t dtypeBytes(DType dtype);
/// All names, for messages.
std::string dtypeNames();

/// Bytes of a tensor, or nothing where that overflows 63 bits.
std::optional<uint64_t> tensorBytes(DType dtype, llvm::ArrayRef<int64_t> shape);

struct GgufType;

struct TensorInfo {
  std::string name;
  DType dtype;
  llvm::SmallVector<int64_t, 2> shape;
  uint64_t bytes;
  /// Of a matrix of codes and scales: read with readRows. It then counts a byte for each code.
  std::optional<Scaling> scaling = std::nullopt;
  /// As what a GGUF file has it, if it is from one; see GgufBlocks.h.
  const GgufType *gguf = nullptr;
  /// Of a matrix of bf16 that is known to have two of each four columns at most that are not zero.
  bool pruned = false;

  uint64_t elements() const { return bytes / dtypeBytes(dtype); }
};

/// What a tensor is for. A source that makes its tensors up needs to know.
enum class TensorRole { Matrix, Norm, Bias };

/// Tensors by name, row by row, little-endian. After import a source does not change, and every
/// const member may be called from several threads at once.
class WeightSource {
public:
  virtual ~WeightSource();

  /// The tensor of this name, or null. The pointer stays good as long as the source.
  virtual const TensorInfo *find(llvm::StringRef name) const = 0;

  /// Import says what it needs: this tensor, in this shape. The answer is what is there, or an
  /// error that names the file, the tensor, and what was found and expected.
  virtual llvm::Expected<const TensorInfo *>
  require(llvm::StringRef name, llvm::ArrayRef<int64_t> shape, TensorRole role) = 0;

  /// Fills `out` with the tensor's bytes from `firstByte` on. Reaching beyond the tensor's end is
  /// an error.
  virtual llvm::Error read(const TensorInfo &tensor, uint64_t firstByte,
                           llvm::MutableArrayRef<uint8_t> out) const = 0;

  /// Reads rows `first .. first + count - 1` of a matrix that has a scaling.
  virtual llvm::Expected<EncodedRows> readRows(const TensorInfo &tensor, int64_t first,
                                               int64_t count) const;

  /// All names, sorted.
  virtual std::vector<std::string> names() const = 0;

  /// What a message calls the origin of a tensor, such as its file.
  virtual std::string origin(llvm::StringRef name) const = 0;

  /// Reads elements of an F32, BF16 or F16 tensor as floats, or what codes and scales mean; another
  /// type is an error.
  llvm::Error readFloats(const TensorInfo &tensor, uint64_t firstElement,
                         llvm::MutableArrayRef<float> out) const;

  /// Room for rows of a matrix that has a scaling.
  static EncodedRows emptyRows(const TensorInfo &tensor, int64_t count);

private:
  llvm::Error decode(const TensorInfo &tensor, uint64_t firstElement,
                     llvm::MutableArrayRef<float> out) const;
};

} // namespace pianola

#endif
