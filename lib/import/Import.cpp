// Import.cpp - finds the family of a model and lets it write the module.
#include "lib/import/Import.h"

#include "lib/checkpoint/Refusal.h"
#include "lib/import/Family.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

namespace pianola {

static const Family *const families[] = {&glm,  &granite, &llama, &mistral,
                                         &phi3, &qwen2,   &qwen3, &smolLM3};

std::vector<std::string> knownArchitectures() {
  std::vector<std::string> names;
  for (const Family *family : families)
    names.push_back(family->architecture.str());
  llvm::sort(names);
  return names;
}

llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> importModel(mlir::MLIRContext &context,
                                                              const ModelConfig &config,
                                                              DerivedWeights &weights,
                                                              ImportNotes *notes) {
  const auto *found = llvm::find_if(
      families, [&](const Family *family) { return family->architecture == config.architecture; });
  if (found == std::end(families))
    return refuseArchitecture(config.architecture, knownArchitectures());
  DecoderBuilder decoder(context, config, weights, (*found)->name);
  (*found)->build(decoder);
  llvm::Expected<mlir::OwningOpRef<mlir::ModuleOp>> module = decoder.finish();
  if (module && notes) {
    notes->unusedTensors = decoder.unusedTensors();
    notes->remarks = decoder.remarks;
  }
  return module;
}

} // namespace pianola
