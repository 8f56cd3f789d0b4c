//===- LoadModel.cpp - A model directory as a module and its weights ------===//

#include "lib/driver/LoadModel.h"
#include "lib/checkpoint/Checkpoint.h"
#include "lib/checkpoint/QuantisedCheckpoint.h"
#include "lib/checkpoint/SeededWeights.h"

namespace pianola {

llvm::Expected<LoadedModel> loadModel(mlir::MLIRContext &context, llvm::StringRef directory,
                                      std::optional<uint64_t> seed) {
  LoadedModel model;
  llvm::Expected<ModelConfig> config = ModelConfig::fromDirectory(directory, knownArchitectures());
  if (!config)
    return config.takeError();
  model.config = std::move(*config);
  if (seed) {
    model.weights = std::make_unique<SeededWeights>(*seed);
  } else {
    llvm::Expected<std::unique_ptr<Checkpoint>> checkpoint = Checkpoint::open(directory);
    if (!checkpoint)
      return checkpoint.takeError();
    model.weights = std::move(*checkpoint);
    if (model.config.quantisation)
      model.weights = std::make_unique<QuantisedCheckpoint>(std::move(model.weights),
                                                            *model.config.quantisation);
  }
  llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> module =
      importModel(context, model.config, *model.weights, &model.notes);
  if (!module)
    return module.takeError();
  model.module = std::move(*module);
  return model;
}

} // namespace pianola
