//===- LoadModel.h - A model directory as a module and its weights *- C++ -*-===//
#ifndef PIANOLA_LIB_DRIVER_LOADMODEL_H
#define PIANOLA_LIB_DRIVER_LOADMODEL_H

#include "lib/checkpoint/ModelConfig.h"
#include "lib/encode/ReencodedWeights.h"
#include "lib/import/Import.h"

namespace pianola {

struct LoadedModel {
  ModelConfig config;
  std::unique_ptr<WeightSource> weights;
  mlir::OwningOpRef<mlir::ModuleOp> module; // transformer dialect
  ImportNotes notes;
  ReencodedWeights *reencoded = nullptr; // `weights`, if any of them has another encoding
};

/// Reads config.json and the headers of the weights of `directory`, or a GGUF file's, and imports
/// the model. With a seed the weights are made up, and the directory needs no more than
/// config.json. `encodings` is a WeightSpec: what it keeps and GGUF has in types that there are no
/// codes for becomes what comes next. Empty: all weights are what they are exactly. What a
/// directory has quantised stays as it is. `positions`: that will be used at most; 0: all.
llvm::Expected<LoadedModel> loadModel(mlir::MLIRContext &context, llvm::StringRef directory,
                                      std::optional<uint64_t> seed, llvm::StringRef encodings = "",
                                      int64_t positions = 0);

/// Gives matrices other encodings, those that `find` has one for; what a directory has quantised
/// stays as it is.
void reencode(LoadedModel &model,
              llvm::function_ref<const WeightEncoding *(llvm::StringRef tensor)> find);

/// Has keys and values kept as `kv`, f32, bf16, int8 or fp8, in place of f32 where it is empty.
llvm::Error encodeContexts(mlir::ModuleOp module, llvm::StringRef kv);

} // namespace pianola

#endif
