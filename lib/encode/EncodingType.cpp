// EncodingType.cpp - a tensor's encoding as a type of the compiler.
#include "lib/encode/EncodingType.h"
#include "dialects/transformer/Transformer.h"

using namespace mlir;

namespace pianola {

static_assert(int(Code::F4E2M1) == int(encoding::Code::F4E2M1) &&
              int(ScaleType::E8M0) == int(encoding::Scale::E8M0));

Type encodingOf(MLIRContext *context, const TensorInfo &tensor) {
  if (const std::optional<Scaling> &scaling = tensor.scaling)
    return encoding::ScaledType::get(context, encoding::Code(scaling->code), scaling->group,
                                     encoding::Scale(scaling->scale), scaling->zeros,
                                     !scaling->order.empty());
  switch (tensor.dtype) {
  case DType::F32:
    return Float32Type::get(context);
  case DType::BF16:
    if (tensor.pruned)
      return encoding::TwoOfFourType::get(context, BFloat16Type::get(context));
    return BFloat16Type::get(context);
  case DType::F16:
    return Float16Type::get(context);
  default:
    return Type();
  }
}

llvm::StringSet<> encodableTensors(ModuleOp module) {
  llvm::StringSet<> convolved, found;
  module.walk([&](transformer::ConvolveOp op) { convolved.insert(op.getWeight()); });
  module.walk([&](transformer::WeightOp op) {
    if (op.getShape().size() == 2 && !convolved.contains(op.getSymName()))
      found.insert(op.getTensor());
  });
  return found;
}

llvm::StringSet<> lookedUpWeights(ModuleOp module) {
  llvm::StringSet<> found;
  module.walk([&](transformer::EmbedOp op) {
    found.insert(op.getWeight());
    if (op.getPositions())
      found.insert(*op.getPositions());
  });
  return found;
}

llvm::StringSet<> endWeights(ModuleOp module) {
  llvm::StringSet<> found = lookedUpWeights(module);
  module.walk([&](transformer::LmHeadOp head) { found.insert(head.getWeight()); });
  return found;
}

} // namespace pianola
