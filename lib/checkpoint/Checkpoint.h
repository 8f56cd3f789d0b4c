// Checkpoint.h - the weights of a model directory.
#ifndef PIANOLA_LIB_CHECKPOINT_CHECKPOINT_H
#define PIANOLA_LIB_CHECKPOINT_CHECKPOINT_H

#include "lib/checkpoint/InputFile.h"
#include "lib/checkpoint/WeightSource.h"

#include "llvm/ADT/StringMap.h"

#include <memory>

namespace pianola {

/// Tensors in safetensors files: `model.safetensors`, or the shards that
/// `model.safetensors.index.json` names. Other files, such as the `consolidated.safetensors` that
/// some releases duplicate their weights in, are not looked at. Files stay open and are read by
/// position (see InputFile.h for why they are not mapped).
class Checkpoint : public WeightSource {
public:
  /// Whether the directory has weights, that is, one of the two files above.
  static bool present(llvm::StringRef directory);

  /// Opens a directory. The headers of all shards are read and checked.
  static llvm::Expected<std::unique_ptr<Checkpoint>> open(llvm::StringRef directory);

  /// Opens a single safetensors file.
  static llvm::Expected<std::unique_ptr<Checkpoint>> openFile(llvm::StringRef path);

  const TensorInfo *find(llvm::StringRef name) const override;
  llvm::Expected<const TensorInfo *> require(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                                             TensorRole role) override;
  llvm::Error read(const TensorInfo &tensor, uint64_t firstByte,
                   llvm::MutableArrayRef<uint8_t> out) const override;
  std::vector<std::string> names() const override;
  std::string origin(llvm::StringRef name) const override;

private:
  struct Place {
    TensorInfo tensor;
    size_t file;
    uint64_t begin;
  };

  llvm::Error addFile(llvm::StringRef path, const llvm::StringMap<std::string> *index);
  llvm::Error addShards(llvm::StringRef directory, llvm::StringRef indexPath);

  std::vector<InputFile> files;
  std::string first; // what to call the checkpoint when a tensor is in none of its files
  llvm::StringMap<Place> places;
};

} // namespace pianola

#endif
