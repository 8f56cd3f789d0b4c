// ModelConfig.h - config.json, with its spellings made one.
//
// A release writes its config in one of two spellings (transformers 4: `rope_theta`,
// `rope_scaling`; transformers 5: `rope_parameters`) and leaves out what it deems obvious. This is
// the one form that families read. What means the same in every family is resolved here; what has a
// default that depends on the family is optional, and the family's importer fills it in.
#ifndef PIANOLA_LIB_CHECKPOINT_MODELCONFIG_H
#define PIANOLA_LIB_CHECKPOINT_MODELCONFIG_H

#include "lib/checkpoint/Quantisation.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pianola {

/// How rotary frequencies are derived from theta; see lib/import/RopeFrequencies.h.
struct RopeScaling {
  enum class Kind { Default, Linear, Llama3, Yarn, LongRope };
  Kind kind = Kind::Default;
  double factor = 1;
  double lowFrequencyFactor = 1;                // llama3
  double highFrequencyFactor = 4;               // llama3
  int64_t originalMaxPositions = 0;             // llama3, yarn, longrope
  double betaFast = 32, betaSlow = 1;           // yarn
  bool truncate = true;                         // yarn
  std::optional<double> attentionFactor;        // yarn, longrope
  std::optional<double> mscale, mscaleAllDim;   // yarn
  std::vector<float> shortFactors, longFactors; // longrope, of each pair
};

struct ModelConfig {
  std::string architecture; // architectures[0], such as "Qwen3ForCausalLM"

  int64_t vocabulary = 0; // rows of the embedding
  int64_t hidden = 0;
  int64_t intermediate = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kvHeads = 0;
  int64_t headSize = 0;
  int64_t maxPositions = 0; // with yarn, at least factor times the original
  double normEps = 0;
  std::string activation; // hidden_act

  std::optional<double> ropeTheta;
  RopeScaling rope;
  std::optional<double> rotaryShare; // partial_rotary_factor: of a head's lanes
  int64_t rotaryLanes(double shareIfAbsent) const {
    return int64_t(double(headSize) * rotaryShare.value_or(shareIfAbsent));
  }

  std::optional<bool> tied; // tie_word_embeddings
  std::optional<bool> attentionBias;
  bool mlpBias = false;

  std::optional<int64_t> slidingWindow;
  bool saysWindow = false; // sliding_window is there, if only to be null
  std::optional<bool> useSlidingWindow;
  std::optional<int64_t> maxWindowLayers;
  /// One per layer where given: whether its type is sliding_attention.
  std::optional<std::vector<bool>> slidingLayers;
  /// One per layer where given: no_rope_layers, in which 1 means rope.
  std::optional<std::vector<bool>> ropeLayers;
  int64_t noRopeLayerInterval = 4;

  // Granite's multipliers.
  std::optional<double> embeddingMultiplier, residualMultiplier, attentionMultiplier, logitsScaling;

  std::optional<Quantisation> quantisation; // quantization_config

  /// Positions that will be used; 0: all. Not in the file: who compiles for fewer may get other
  /// frequencies (longrope).
  int64_t positionsUsed = 0;

  /// Reads DIRECTORY/config.json. Where `known` lists architectures, another one is refused before
  /// any other field is looked at: fields mean what the architecture says.
  static llvm::Expected<ModelConfig> fromDirectory(llvm::StringRef directory,
                                                   llvm::ArrayRef<std::string> known = {});
  /// Reads the text of a config.json.
  static llvm::Expected<ModelConfig> fromText(llvm::StringRef text,
                                              llvm::ArrayRef<std::string> known = {});
};

/// What is said of an architecture that is not among the known ones.
llvm::Error refuseArchitecture(llvm::StringRef found, llvm::ArrayRef<std::string> known);

} // namespace pianola

#endif
