// QuantisedCheckpoint.h - the weights of a checkpoint whose linears are quantised.
#ifndef PIANOLA_LIB_CHECKPOINT_QUANTISEDCHECKPOINT_H
#define PIANOLA_LIB_CHECKPOINT_QUANTISEDCHECKPOINT_H

#include "lib/checkpoint/StoredMatrix.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

namespace pianola {

/// Answers for "X.weight", or for "X" of all experts, with the codes and scales that the tensors
/// "X.*" hold, exactly as they are. Tensors that are not quantised are the checkpoint's own.
class QuantisedCheckpoint : public WeightSource {
public:
  QuantisedCheckpoint(std::unique_ptr<WeightSource> stored, Quantisation quantisation)
      : stored(std::move(stored)), cache(*this->stored), quantisation(std::move(quantisation)) {}

  const TensorInfo *find(llvm::StringRef name) const override;
  llvm::Expected<const TensorInfo *> require(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                                             TensorRole role) override;
  llvm::Error read(const TensorInfo &tensor, uint64_t firstByte,
                   llvm::MutableArrayRef<uint8_t> out) const override;
  llvm::Expected<EncodedRows> readRows(const TensorInfo &tensor, int64_t first,
                                       int64_t count) const override;
  std::vector<std::string> names() const override;
  std::string origin(llvm::StringRef name) const override;

private:
  struct Opened {
    TensorInfo tensor;
    std::unique_ptr<StoredMatrix> matrix;
  };

  std::unique_ptr<WeightSource> stored;
  TensorCache cache;
  Quantisation quantisation;
  llvm::StringMap<Opened> matrices;
  llvm::StringSet<> parts; // tensors that matrices are made of
};

} // namespace pianola

#endif
