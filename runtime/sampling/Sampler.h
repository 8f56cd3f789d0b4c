// Sampler.h - from logits to the next token.
//
// In the order of Hugging Face's transformers: mask, logit bias, penalties, temperature, top-k,
// top-p, min-p; then one draw. Tokens of equal logits are ordered by id, lowest first.
//
// A GPU samples too (targets/nvptx/Sample.cpp) and comes to the same token, so the arithmetic is
// exact or free of order. All of f32 is IEEE's, each operation rounded to nearest; no two are
// fused.
//
//   logit      l = logit + bias of the token (several of one token are added up before), and, if it
//              was seen c > 0 times, l = (l > 0 ? l / repetition : l * repetition)
//              - (presence + frequency * c)
//   mask       tokens that it does not allow have NaN for a logit. GPUs know of no masks: whoever
//              has one samples on the host, from the logits
//   greedy     the first of the greatest l; NaN is never chosen
//   otherwise  tokens whose l is NaN or infinite take no part; g is the greatest l of the others
//   top_k      the first k in the order of l, greatest first
//   weight     w = floor(2^40 exp((l - g) / temperature)), a whole number, exp as computed by
//              Sampler::weightOf; so every sum is exact, whatever its order
//   top_p      tokens in the order of l, until their sum is floor(total * floor(2^24 top_p) / 2^24)
//              or more; the first one always, all of them if top_p is 1
//   min_p      of what is left: w >= floor(2^40 min_p)
//   draw       of the total of what is left, floor(total * d / 2^24): the tokens stand side by side
//              in the order of their ids, each as wide as its weight, and this place is in one
//
// Draw i of seed s is a pure function of (s, i), splitmix64 of s + (i + 1) * 0x9e3779b97f4a7c15
// (Steele, Lea and Flood, 2014), of which the upper 24 bits are d, a number in [0, 1) with them
// behind the point: the same tokens come out wherever the draws are made.
#ifndef PIANOLA_RUNTIME_SAMPLING_SAMPLER_H
#define PIANOLA_RUNTIME_SAMPLING_SAMPLER_H

#include "runtime/Status.h"
#include "runtime/sampling/TokenMask.h"

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
  Sampler(SamplingOptions options, int32_t vocabulary);

  /// `history` is what penalties count. NaN is never chosen; an error if there is nothing else.
  /// With a mask only what it allows is chosen.
  Result<int32_t> sample(const float *logits, const std::vector<int32_t> &history,
                         const TokenMask *mask = nullptr);

  const SamplingOptions &settings() const { return options; }
  bool penalises() const {
    return options.repetitionPenalty != 1 || options.presencePenalty != 0 ||
           options.frequencyPenalty != 0;
  }
  /// Draws made so far; who draws elsewhere counts on here.
  uint64_t drawn() const { return draws; }
  void setDrawn(uint64_t count) { draws = count; }

  /// Of a logit that is `below` <= 0 above the greatest one, divided by the temperature.
  static uint64_t weightOf(float below);

private:
  struct Candidate {
    float logit;
    int32_t id;
  };
  void forbid(const TokenMask &mask);
  void penalise(const std::vector<int32_t> &history);
  void findCandidates(const float *logits);
  void keepTop();
  Result<int32_t> drawOne();
  uint64_t weightOf(const Candidate &candidate) const {
    return weightOf((candidate.logit - greatest) / options.temperature);
  }
  uint64_t draw();

  SamplingOptions options;
  int32_t vocabulary;
  uint64_t draws = 0;
  float greatest = 0; // of the candidates' logits
  std::vector<float> adjusted;
  std::vector<Candidate> candidates;
  std::vector<uint64_t> weights;
};

} // namespace pianola

#endif
