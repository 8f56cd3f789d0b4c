// Import.h - from a model directory to a module of the transformer dialect.
#ifndef PIANOLA_LIB_IMPORT_IMPORT_H
#define PIANOLA_LIB_IMPORT_IMPORT_H

#include "lib/checkpoint/DerivedWeights.h"
#include "lib/checkpoint/ModelConfig.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <string>
#include <vector>

namespace pianola {

/// What import noticed and a user may want to know.
struct ImportNotes {
  /// Tensors of the checkpoint that the model does not use, sorted. Buffers that are known to be
  /// redundant (rotary_emb.inv_freq, a head equal to the embedding it is tied to) are not among
  /// them.
  std::vector<std::string> unusedTensors;
  /// What may not be as expected, and what to do about it.
  std::vector<std::string> remarks;
};

/// Builds the module. Loads the dialects it needs into `context`. Errors: an architecture that is
/// not known, a config that its family cannot honour, and a tensor that is missing, of another
/// shape or of another type than the config asks for. Weights are not read, except that a head
/// beside tied embeddings is compared with them.
llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> importModel(mlir::MLIRContext &context,
                                                              const ModelConfig &config,
                                                              DerivedWeights &weights,
                                                              ImportNotes *notes = nullptr);

/// The architectures that importModel knows, as config.json spells them, sorted.
std::vector<std::string> knownArchitectures();

} // namespace pianola

#endif
