//===- KeptTypes.cpp - What became of a GGUF file's types -----------------===//

#include "lib/driver/KeptTypes.h"
#include "dialects/transformer/Transformer.h"
#include "lib/checkpoint/GgufBlocks.h"
#include "llvm/Support/Format.h"
#include <map>

namespace pianola {

// As --weights says it.
static std::string encodingName(const TensorInfo &tensor) {
  if (tensor.pruned)
    return "2:4";
  if (!tensor.scaling)
    return llvm::StringRef(dtypeName(tensor.dtype)).lower();
  const Scaling &scaling = *tensor.scaling;
  if (scaling.code == Code::F4E2M1)
    return "mxfp4";
  std::string name = scaling.code == Code::I8 ? "int8" : scaling.code == Code::I4 ? "int4" : "fp8";
  name += "/" + (scaling.group ? std::to_string(scaling.group) : "row");
  return scaling.zeros ? name + "z" : name;
}

void printKept(mlir::ModuleOp module, const WeightSource &weights,
               const ReencodedWeights *reencoded, llvm::raw_ostream &out) {
  struct Kept {
    int64_t count = 0;
    double error = 0;
  };
  std::map<std::pair<std::string, std::string>, Kept> all;
  module.walk([&](transformer::WeightOp op) {
    const TensorInfo &tensor = *weights.find(op.getTensor());
    if (!tensor.gguf)
      return;
    Kept &kept = all[{tensor.gguf->name.str(), encodingName(tensor)}];
    ++kept.count;
    if (reencoded)
      kept.error = std::max(kept.error, reencoded->errorOf(tensor.name));
  });
  for (const auto &[names, kept] : all) {
    out << names.first << ": " << kept.count << (kept.count == 1 ? " weight" : " weights")
        << ", kept as " << names.second << ", ";
    if (kept.error == 0)
      out << "exactly\n";
    else
      out << llvm::format("relative error %.1e at most\n", kept.error);
  }
}

} // namespace pianola
