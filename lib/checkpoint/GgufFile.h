// GgufFile.h - what a GGUF file says it holds.
//
// The format (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), little-endian: "GGUF",
// the version, how many tensors and how many pairs of metadata; the pairs, each a key, a type and a
// value; of each tensor its name, its dimensions (that of neighbours first), its type and where its
// bytes begin; these, from the next multiple of general.alignment on. Versions 2 and 3 are the
// same.
#ifndef PIANOLA_LIB_CHECKPOINT_GGUFFILE_H
#define PIANOLA_LIB_CHECKPOINT_GGUFFILE_H

#include "lib/checkpoint/GgufBlocks.h"
#include "lib/checkpoint/InputFile.h"

#include <nlohmann/json.hpp>

#include <memory>

namespace pianola {

struct GgufTensor {
  std::string name;
  const GgufType *type;
  llvm::SmallVector<int64_t, 3> shape; // rows first, as everywhere else
  uint64_t begin, bytes;               // in the file
};

class GgufFile {
public:
  /// Reads and checks everything but the tensors' bytes.
  static llvm::Expected<std::unique_ptr<GgufFile>> open(llvm::StringRef path);

  /// The last component of the path, for messages.
  llvm::StringRef name() const { return file.name(); }
  /// Metadata by their keys. Numbers are f32 or f64 made double, or integers.
  const nlohmann::json &metadata() const { return pairs; }
  const std::vector<GgufTensor> &tensors() const { return list; }
  /// Null if there is none.
  const GgufTensor *find(llvm::StringRef tensor) const;

  /// Fills `out` from byte `first` of the file on. Thread-safe.
  llvm::Error read(uint64_t first, llvm::MutableArrayRef<uint8_t> out) const {
    return file.read(first, out);
  }
  /// The numbers of a tensor from the `first`-th on. Beside codes, for which see readRows of
  /// GgufCheckpoint, these are what every type means.
  llvm::Error readFloats(const GgufTensor &tensor, uint64_t first,
                         llvm::MutableArrayRef<float> out) const;
  /// That a block of the tensor has no finite scale.
  llvm::Error refuseScale(const GgufTensor &tensor, uint64_t block) const;

private:
  explicit GgufFile(InputFile file) : file(std::move(file)), pairs(nlohmann::json::object()) {}
  llvm::Error readHeader();
  llvm::Error place(uint64_t end);

  InputFile file;
  nlohmann::json pairs;
  std::vector<GgufTensor> list;
};

/// Whether it is a file of this format: by its first bytes, or by what its name ends in.
bool isGguf(llvm::StringRef path);

} // namespace pianola

#endif
