//===- LoadModel.cpp - A model directory as a module and its weights ------===//

#include "lib/driver/LoadModel.h"
#include "dialects/transformer/Transformer.h"
#include "lib/checkpoint/Checkpoint.h"
#include "lib/checkpoint/GgufCheckpoint.h"
#include "lib/checkpoint/QuantisedCheckpoint.h"
#include "lib/checkpoint/SeededWeights.h"
#include "lib/encode/EncodingType.h"
#include "llvm/Support/Path.h"

namespace pianola {

void reencode(LoadedModel &model,
              llvm::function_ref<const WeightEncoding *(llvm::StringRef tensor)> find) {
  auto weights = std::make_unique<ReencodedWeights>(std::move(model.weights));
  llvm::StringSet<> encodable = encodableTensors(*model.module);
  model.module->walk([&](transformer::WeightOp op) {
    const TensorInfo *plain = weights->find(op.getTensor());
    const WeightEncoding *encoding = find(op.getTensor());
    if (!encodable.contains(op.getTensor()) || !encoding)
      return;
    // Of codes those of GGUF files alone become others.
    if (plain->scaling && (!plain->gguf || plain->scaling == encoding->scaling))
      return;
    const TensorInfo &encoded = weights->encode(*plain, *encoding);
    op.setEncodingAttr(mlir::TypeAttr::get(encodingOf(op.getContext(), encoded)));
  });
  model.reencoded = weights.get();
  model.weights = std::move(weights);
}

llvm::Expected<LoadedModel> loadModel(mlir::MLIRContext &context, llvm::StringRef directory,
                                      std::optional<uint64_t> seed, llvm::StringRef encodings,
                                      int64_t positions) {
  LoadedModel model;
  llvm::Expected<ModelConfig> config = ModelConfig::fromDirectory(directory, knownArchitectures());
  if (!config)
    return config.takeError();
  model.config = std::move(*config);
  if (seed) {
    model.weights = std::make_unique<SeededWeights>(*seed);
  } else if (isGguf(directory)) {
    llvm::Expected<std::unique_ptr<GgufCheckpoint>> checkpoint = GgufCheckpoint::open(directory);
    if (!checkpoint)
      return checkpoint.takeError();
    model.weights = std::move(*checkpoint);
  } else {
    llvm::Expected<std::unique_ptr<Checkpoint>> checkpoint = Checkpoint::open(directory);
    if (!checkpoint)
      return checkpoint.takeError();
    model.weights = std::move(*checkpoint);
    if (model.config.quantisation)
      model.weights = std::make_unique<QuantisedCheckpoint>(std::move(model.weights),
                                                            *model.config.quantisation);
  }
  auto weights = std::make_unique<DerivedWeights>(std::move(model.weights));
  model.config.positionsUsed = positions;
  llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> module =
      importModel(context, model.config, *weights, &model.notes);
  if (!module) {
    std::string problem = llvm::toString(module.takeError());
    // Not every rule is the metadata's own.
    if (isGguf(directory) && llvm::StringRef(problem).starts_with("config.json: "))
      problem = (llvm::sys::path::filename(directory) + ": as " + problem).str();
    return llvm::createStringError(problem);
  }
  model.weights = std::move(weights);
  model.module = std::move(*module);
  if (encodings.empty())
    return model;
  llvm::Expected<WeightSpec> spec = WeightSpec::parse(encodings);
  if (!spec)
    return spec.takeError();
  // Of 4 to 6 bits with minima or of scales that are products: codes of 8 bits add an error that is
  // small beside that which is there.
  WeightEncoding nearest = *llvm::cantFail(parseWeightEncoding("int8/32"));
  const WeightSource &read = *model.weights;
  llvm::StringSet<> ends, symbols = endWeights(*model.module);
  model.module->walk([&](transformer::WeightOp op) {
    if (symbols.contains(op.getSymName()))
      ends.insert(op.getTensor());
  });
  reencode(model, [&](llvm::StringRef tensor) {
    const WeightEncoding *wanted = spec->find(tensor, ends.contains(tensor));
    const GgufType *type = read.find(tensor)->gguf;
    return wanted || !type || type->plain || type->exact ? wanted : &nearest;
  });
  return model;
}

llvm::Error encodeContexts(mlir::ModuleOp module, llvm::StringRef kv) {
  if (kv.empty())
    return llvm::Error::success();
  mlir::Builder builder(module.getContext());
  mlir::Type element = llvm::StringSwitch<mlir::Type>(kv)
                           .Case("f32", builder.getF32Type())
                           .Case("bf16", builder.getBF16Type())
                           .Case("int8", builder.getI8Type())
                           .Case("fp8", builder.getFloat8E4M3FNType())
                           .Default(mlir::Type());
  if (!element)
    return llvm::createStringError("--kv: expected f32, bf16, int8 or fp8, found \"" + kv + "\"");
  for (auto cache : module.getOps<transformer::CacheOp>())
    cache.setElement(element);
  return llvm::Error::success();
}

} // namespace pianola
