// Sampler.h - from logits to the next token.
//
// In the order of Hugging Face's transformers: logit bias, penalties, temperature, top-k, top-p,
// min-p; then one draw. Tokens of equal logits are ordered by id, lowest first.
//
// Draw i of seed s is a pure function of (s, i), splitmix64 of s + (i + 1) * 0x9e3779b97f4a7c15
// (Steele, Lea and Flood, 2014), of which the upper 24 bits make a number in [0, 1): the same
// tokens come out wherever the draws are made.
#ifndef PIANOLA_RUNTIME_SAMPLING_SAMPLER_H
#define PIANOLA_RUNTIME_SAMPLING_SAMPLER_H

#include "runtime/Status.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace pianola {

struct SamplingOptions {
  float temperature = 0;       // 0: greedy, the first of the greatest logits
  int32_t topK = 0;            // 0: all
  float topP = 1;              // keeps the token that crosses it; 1: all
  float minP = 0;              // of the greatest probability; 0: all
  float repetitionPenalty = 1; // divides positive logits of seen tokens, multiplies negative ones
  float presencePenalty = 0;   // subtracted once from seen tokens
  float frequencyPenalty = 0;  // subtracted for each time a token was seen
  std::vector<std::pair<int32_t, float>> logitBias;
  uint64_t seed = 0;
};

/// An error names the field, its value, and what is allowed.
Status validate(const SamplingOptions &options, int32_t vocabulary);

class Sampler {
public:
  /// Ids from `vocabulary` on are never chosen.
  Sampler(SamplingOptions options, int32_t vocabulary)
      : options(std::move(options)), vocabulary(vocabulary) {}

  /// `history` is what penalties count. NaN is never chosen; an error if there is nothing else.
  Result<int32_t> sample(const float *logits, const std::vector<int32_t> &history);

  const SamplingOptions &settings() const { return options; }
  bool penalises() const {
    return options.repetitionPenalty != 1 || options.presencePenalty != 0 ||
           options.frequencyPenalty != 0;
  }
  /// Draws made so far; who draws elsewhere counts on here.
  uint64_t drawn() const { return draws; }
  void setDrawn(uint64_t count) { draws = count; }

private:
  struct Candidate {
    float logit;
    int32_t id;
  };
  void penalise(const std::vector<int32_t> &history);
  void filter();
  float draw();

  SamplingOptions options;
  int32_t vocabulary;
  uint64_t draws = 0;
  std::vector<float> adjusted;
  std::vector<Candidate> candidates;
  std::vector<float> weights;
};

} // namespace pianola

#endif
