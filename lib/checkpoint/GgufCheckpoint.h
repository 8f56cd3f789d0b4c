// GgufCheckpoint.h - the weights of a GGUF file.
#ifndef PIANOLA_LIB_CHECKPOINT_GGUFCHECKPOINT_H
#define PIANOLA_LIB_CHECKPOINT_GGUFCHECKPOINT_H

#include "lib/checkpoint/GgufFile.h"

#include "llvm/ADT/StringMap.h"

namespace pianola {

/// Tensors of a GGUF file, by the names that they have in a model directory; those of all experts
/// together are matrices of one expert each. Matrices of types that Encoding.h has are codes and
/// scales, what has another one is f32 (see GgufBlocks.h). What such files have otherwise than
/// directories and is no matter of names, their config.json says (see GgufConfig.h).
class GgufCheckpoint : public WeightSource {
public:
  static llvm::Expected<std::unique_ptr<GgufCheckpoint>> open(llvm::StringRef path);

  const TensorInfo *find(llvm::StringRef name) const override;
  llvm::Expected<const TensorInfo *> require(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                                             TensorRole role) override;
  llvm::Error read(const TensorInfo &tensor, uint64_t firstByte,
                   llvm::MutableArrayRef<uint8_t> out) const override;
  llvm::Expected<EncodedRows> readRows(const TensorInfo &tensor, int64_t first,
                                       int64_t count) const override;
  std::vector<std::string> names() const override;
  std::string origin(llvm::StringRef) const override { return file->name().str(); }

private:
  struct Place {
    TensorInfo tensor;
    const GgufTensor *stored;
    uint64_t first; // of its numbers in the stored one's
  };
  llvm::Error add(const std::string &name, const GgufTensor &stored, llvm::ArrayRef<int64_t> shape,
                  uint64_t first);

  std::unique_ptr<GgufFile> file;
  llvm::StringMap<Place> places;
};

} // namespace pianola

#endif
