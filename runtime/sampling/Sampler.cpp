// Sampler.cpp - from logits to the next token.
#include "runtime/sampling/Sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <unordered_map>

namespace pianola {

Status validate(const SamplingOptions &options, int32_t vocabulary) {
  auto range = [](const char *name, float value, float low, float high) {
    return value >= low && value <= high
               ? Status()
               : Status::error(std::string(name) + ": expected a number from " +
                               std::to_string(low) + " to " + std::to_string(high) + ", found " +
                               std::to_string(value));
  };
  for (Status status : {range("temperature", options.temperature, 0, 100),
                        range("top_p", options.topP, 0, 1), range("min_p", options.minP, 0, 1),
                        range("repetition_penalty", options.repetitionPenalty, 0.01f, 100),
                        range("presence_penalty", options.presencePenalty, -100, 100),
                        range("frequency_penalty", options.frequencyPenalty, -100, 100)})
    if (!status.ok())
      return status;
  if (options.topK < 0)
    return Status::error("top_k: expected 0 or more, found " + std::to_string(options.topK));
  for (const auto &[id, bias] : options.logitBias)
    if (id < 0 || id >= vocabulary || !(bias >= -1000 && bias <= 1000))
      return Status::error("logit_bias: token " + std::to_string(id) + " with " +
                           std::to_string(bias) + " is out of range");
  return Status();
}

float Sampler::draw() {
  uint64_t z = options.seed + (++draws) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return static_cast<float>(z >> 40) * 0x1p-24f;
}

void Sampler::penalise(const std::vector<int32_t> &history) {
  for (const auto &[id, bias] : options.logitBias)
    adjusted[id] += bias;
  std::unordered_map<int32_t, int> counts;
  for (int32_t id : history)
    if (id >= 0 && id < vocabulary)
      ++counts[id];
  for (const auto &[id, count] : counts) {
    float &logit = adjusted[id];
    logit = logit > 0 ? logit / options.repetitionPenalty : logit * options.repetitionPenalty;
    logit -= options.presencePenalty + options.frequencyPenalty * count;
  }
}

// Leaves in `candidates`, best first, what the filters keep, and in `weights` exp(logit -
// greatest).
void Sampler::filter() {
  auto better = [](const Candidate &a, const Candidate &b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  size_t keep =
      options.topK > 0 ? std::min<size_t>(options.topK, candidates.size()) : candidates.size();
  if (keep < candidates.size()) {
    std::nth_element(candidates.begin(), candidates.begin() + keep, candidates.end(), better);
    candidates.resize(keep);
  }
  std::sort(candidates.begin(), candidates.end(), better);
  weights.clear();
  float total = 0;
  for (const Candidate &candidate : candidates) {
    weights.push_back(std::exp(candidate.logit - candidates.front().logit));
    total += weights.back();
  }
  if (options.topP < 1) {
    float sum = 0;
    for (keep = 0; keep < weights.size() && (keep == 0 || sum < options.topP * total); ++keep)
      sum += weights[keep];
    weights.resize(keep);
  }
  // The greatest weight is 1, so a probability's share of the greatest is its weight.
  while (weights.size() > 1 && weights.back() < options.minP)
    weights.pop_back();
}

Result<int32_t> Sampler::sample(const float *logits, const std::vector<int32_t> &history) {
  if (penalises() || !options.logitBias.empty()) {
    adjusted.assign(logits, logits + vocabulary);
    penalise(history);
    logits = adjusted.data();
  }
  if (options.temperature == 0) {
    int32_t best = -1;
    float greatest = -std::numeric_limits<float>::infinity();
    for (int32_t id = 0; id < vocabulary; ++id)
      if (logits[id] > greatest || (best < 0 && logits[id] == greatest)) {
        greatest = logits[id];
        best = id;
      }
    if (best < 0)
      return Status::error("the model's logits are not numbers");
    return best;
  }
  candidates.clear();
  for (int32_t id = 0; id < vocabulary; ++id)
    if (logits[id] > -std::numeric_limits<float>::infinity() &&
        logits[id] < std::numeric_limits<float>::infinity())
      candidates.push_back({logits[id] / options.temperature, id});
  if (candidates.empty())
    return Status::error("the model's logits are not numbers");
  filter();
  float total = 0;
  for (float weight : weights)
    total += weight;
  float target = draw() * total, sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i];
    if (target < sum)
      return candidates[i].id;
  }
  return candidates[weights.size() - 1].id;
}

} // namespace pianola
