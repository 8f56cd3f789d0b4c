// Import.cpp - finds the family of a model and lets it write the module.
#include "lib/import/Import.h"

#include "lib/checkpoint/Refusal.h"
#include "lib/checkpoint/TextConfig.h"
#include "lib/import/Family.h"
#include "lib/import/InertFields.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

namespace pianola {

static const Family *const families[] = {
    &deepSeekV2, &deepSeekV3, &deepSeekV32, &glm5,       &glm4MoeLite, &gemma2,  &gemma3,
    &glm,        &glm4,       &glm4Moe,     &gpt2,       &gptNeoX,     &gptOss,  &granite,
    &graniteMoe, &llama,      &llama4,      &ministral3, &mistral,     &mixtral, &olmo2,
    &olmo3,      &phi3,       &qwen2,       &qwen2Moe,   &qwen3,       &qwen35,  &qwen35Moe,
    &qwen3Moe,   &qwen3Next,  &smolLM3};

std::vector<std::string> knownArchitectures() {
  std::vector<std::string> names;
  for (const Family *family : families)
    names.push_back(family->architecture.str());
  llvm::append_range(names, nestingArchitectures());
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
    if (config.isNested)
      notes->remarks.push_back("only the text model is compiled");
    std::vector<std::string> unread = decoder.fields().unread();
    llvm::erase_if(unread, isInert);
    if (!unread.empty())
      notes->remarks.push_back("config.json: " + config.architecture + " has no use for " +
                               llvm::join(unread, ", "));
  }
  return module;
}

} // namespace pianola
