// ModelConfig.h - config.json, with its spellings made one.
//
// A release writes its config in one of two spellings (transformers 4: `rope_theta`,
// `rope_scaling`; transformers 5: `rope_parameters`) and leaves out what it deems obvious. This is
// the one form that families read. What means the same in every family is resolved here; what has a
// default that depends on the family is optional, and the family's importer fills it in. What only
// some families know stays in `fields`, where they read it.
#ifndef PIANOLA_LIB_CHECKPOINT_MODELCONFIG_H
#define PIANOLA_LIB_CHECKPOINT_MODELCONFIG_H

#include "lib/checkpoint/JsonFields.h"
#include "lib/checkpoint/Quantisation.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <memory>
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
  std::optional<double> queryGrowth;            // llama_4_scaling_beta
  std::vector<float> shortFactors, longFactors; // longrope, of each pair
};

struct ModelConfig {
  std::string architecture; // architectures[0], such as "Qwen3ForCausalLM"
  bool isNested = false;    // it is the text_config of a model that has more parts

  int64_t vocabulary = 0; // rows of the embedding
  int64_t hidden = 0;
  int64_t intermediate = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kvHeads = 0;
  int64_t headSize = 0;
  int64_t maxPositions = 0; // with yarn, at least factor times the original
  double normEps = 0;

  std::optional<double> ropeTheta;
  /// Of layers with a window, where rope_parameters has one rope for these and one for the others.
  std::optional<double> localRopeTheta;
  RopeScaling rope;
  std::optional<double> rotaryShare; // partial_rotary_factor: of a head's lanes
  int64_t rotaryLanes(double shareIfAbsent) const {
    return int64_t(double(headSize) * rotaryShare.value_or(shareIfAbsent));
  }

  std::optional<bool> tied; // tie_word_embeddings

  std::optional<Quantisation> quantisation; // quantization_config

  /// All of them. Who reads one marks it as read.
  std::shared_ptr<JsonFields> fields;

  /// Positions that will be used; 0: all. Not in the file: who compiles for fewer may get other
  /// frequencies (longrope).
  int64_t positionsUsed = 0;

  /// Reads DIRECTORY/config.json, or what a GGUF file says instead. Where `known` lists
  /// architectures, another one is refused before any other field is looked at: fields mean what
  /// the architecture says.
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
