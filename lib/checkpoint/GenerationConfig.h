// GenerationConfig.h - how a release wants to be sampled, and where each wish stands.
#ifndef PIANOLA_LIB_CHECKPOINT_GENERATIONCONFIG_H
#define PIANOLA_LIB_CHECKPOINT_GENERATIONCONFIG_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pianola {

/// A value and the file that it is from, "generation_config.json" or "config.json".
template <typename T> struct Setting {
  T value;
  std::string from;
};

/// What is absent here was in neither file.
struct GenerationConfig {
  /// Generation stops at any of these: the union of eos_token_id of both files, sorted. `from` of
  /// an id that stands in both is "generation_config.json".
  std::vector<Setting<int32_t>> stopIds;
  std::optional<Setting<int32_t>> bosId;
  std::optional<Setting<int32_t>> padId;
  std::optional<Setting<bool>> doSample;
  std::optional<Setting<double>> temperature;       // 0 or more
  std::optional<Setting<int64_t>> topK;             // 0: off
  std::optional<Setting<double>> topP;              // 0 to 1
  std::optional<Setting<double>> minP;              // 0 to 1
  std::optional<Setting<double>> repetitionPenalty; // over 0

  /// Reads DIRECTORY/generation_config.json, which need not exist, over DIRECTORY/config.json, or
  /// what a GGUF file says instead.
  static llvm::Expected<GenerationConfig> fromDirectory(llvm::StringRef directory);
  /// Reads the texts of these files.
  static llvm::Expected<GenerationConfig> fromTexts(llvm::StringRef model,
                                                    std::optional<llvm::StringRef> generation);
};

} // namespace pianola

#endif
