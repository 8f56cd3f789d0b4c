// GpuRoll.h - a roll for a GPU with the kernels of kernels/player.cu, to be played and to be bent
// in tests; and its model, computed again.
#ifndef PIANOLA_TEST_RUNTIME_CUDA_GPUROLL_H
#define PIANOLA_TEST_RUNTIME_CUDA_GPUROLL_H

#include "runtime/session/Session.h"

#include <nlohmann/json.hpp>

namespace pianola {

constexpr int kVocabulary = 16;

struct GpuRoll {
  explicit GpuRoll(int capability = 90); // or 80

  void write(const std::string &path) const;
  /// Writes it to a file of its own and opens that.
  Result<std::unique_ptr<Roll>> open() const;

  nlohmann::json manifest;
  std::string code; // PTX
  std::string cubin;
  std::vector<PianolaRollRecord> records;
  std::vector<float> tape, table, constant;
};

/// Logits after each of `ids`.
std::vector<std::vector<float>> modelLogits(const std::vector<int32_t> &ids);
/// What a generation after `prompt` must say; the last may be a stop.
std::vector<int32_t> modelTokens(std::vector<int32_t> prompt, const SamplingOptions &options,
                                 size_t most, const std::vector<int32_t> &stops = {});

} // namespace pianola

#endif
