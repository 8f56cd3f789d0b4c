// SeededWeights.h - weights out of a seed, for models whose checkpoint one does not have.
//
// A tensor exists once import has required it. Element i of a tensor is a function of the seed, the
// tensor's name, and i alone, so any slice can be read in any order and by any number of threads,
// and two runs agree bit for bit. Values are bf16 and uniform:
//
//     matrix   mean 0, standard deviation 0.02, as initialisers do
//     norm     mean 1, standard deviation 0.1
//     bias     mean 0, standard deviation 0.02
//
// The four elements 4j .. 4j+3 are the four 16-bit parts, lowest first, of output number key + j of
// splitmix64 started at 0 (Steele, Lea and Flood, 2014), and u becomes mean + scale * (u -
// 32767.5), each step rounded to f32 and the result to bf16. The key is splitmix64's output number
// hash ^ (output number seed + 1), with hash the 64-bit FNV-1a of the name.
#ifndef PIANOLA_LIB_CHECKPOINT_SEEDEDWEIGHTS_H
#define PIANOLA_LIB_CHECKPOINT_SEEDEDWEIGHTS_H

#include "lib/checkpoint/WeightSource.h"

#include "llvm/ADT/StringMap.h"

namespace pianola {

class SeededWeights : public WeightSource {
public:
  explicit SeededWeights(uint64_t seed) : seed(seed) {}

  const TensorInfo *find(llvm::StringRef name) const override;
  /// Makes the tensor. Requiring it again in another shape is an error.
  llvm::Expected<const TensorInfo *> require(llvm::StringRef name, llvm::ArrayRef<int64_t> shape,
                                             TensorRole role) override;
  llvm::Error read(const TensorInfo &tensor, uint64_t firstByte,
                   llvm::MutableArrayRef<uint8_t> out) const override;
  std::vector<std::string> names() const override;
  std::string origin(llvm::StringRef name) const override;

private:
  struct Made {
    TensorInfo tensor;
    uint64_t key;
    float mean;
    float scale;
  };

  uint64_t seed;
  llvm::StringMap<Made> tensors;
};

} // namespace pianola

#endif
