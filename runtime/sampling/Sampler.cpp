// Sampler.cpp - from logits to the next token.
#include "runtime/sampling/Sampler.h"
#include "pianola/sampling.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
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
  if (vocabulary > PIANOLA_MOST_TOKENS)
    return Status::error("vocabulary: expected at most " + std::to_string(PIANOLA_MOST_TOKENS) +
                         " tokens, found " + std::to_string(vocabulary));
  if (options.topK < 0)
    return Status::error("top_k: expected 0 or more, found " + std::to_string(options.topK));
  for (const auto &[id, bias] : options.logitBias)
    if (id < 0 || id >= vocabulary || !(bias >= -1000 && bias <= 1000))
      return Status::error("logit_bias: token " + std::to_string(id) + " with " +
                           std::to_string(bias) + " is out of range");
  return Status();
}

Sampler::Sampler(SamplingOptions given, int32_t vocabulary)
    : options(std::move(given)), vocabulary(vocabulary) {
  std::map<int32_t, float> sums;
  for (const auto &[id, bias] : options.logitBias)
    sums[id] += bias;
  options.logitBias.assign(sums.begin(), sums.end());
}

//===----------------------------------------------------------------------===//
// The arithmetic that a GPU does too
//===----------------------------------------------------------------------===//

uint64_t Sampler::draw() {
  uint64_t z = options.seed + (++draws) * PIANOLA_DRAW_GOLDEN;
  z = (z ^ (z >> 30)) * PIANOLA_DRAW_FIRST;
  z = (z ^ (z >> 27)) * PIANOLA_DRAW_SECOND;
  z ^= z >> 31;
  return z >> (64 - PIANOLA_FRACTION_BITS);
}

uint64_t Sampler::weightOf(float below) {
  float x = below > PIANOLA_EXP_LEAST ? below : PIANOLA_EXP_LEAST;
  float shifted = x * PIANOLA_EXP_LOG2E + PIANOLA_EXP_WHOLE;
  float whole = shifted - PIANOLA_EXP_WHOLE;
  float rest = x - whole * PIANOLA_EXP_LN2_HIGH;
  rest = rest - whole * PIANOLA_EXP_LN2_LOW;
  constexpr float kSeries[] = PIANOLA_EXP_SERIES;
  float series = kSeries[4];
  for (int i = 3; i >= 0; --i)
    series = series * rest + kSeries[i];
  series = series * rest;
  series = series * rest + rest;
  series = series + 1.0f;
  // The lowest bits of `shifted` are the whole number's.
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  bits = (bits + 127 + PIANOLA_WEIGHT_BITS) << 23;
  float power;
  std::memcpy(&power, &bits, sizeof(power));
  return static_cast<uint64_t>(static_cast<int64_t>(series * power));
}

// floor(total * fraction / 2^24), in 64 bits.
static uint64_t portionOf(uint64_t total, uint64_t fraction) {
  uint64_t low = total & ((1 << PIANOLA_FRACTION_BITS) - 1);
  return (total >> PIANOLA_FRACTION_BITS) * fraction + (low * fraction >> PIANOLA_FRACTION_BITS);
}

void Sampler::penalise(const std::vector<int32_t> &history) {
  for (const auto &[id, bias] : options.logitBias)
    adjusted[id] += bias;
  if (!penalises())
    return;
  std::unordered_map<int32_t, int> counts;
  for (int32_t id : history)
    if (id >= 0 && id < vocabulary)
      ++counts[id];
  for (const auto &[id, count] : counts) {
    float &logit = adjusted[id];
    logit = logit > 0 ? logit / options.repetitionPenalty : logit * options.repetitionPenalty;
    logit -= options.presencePenalty + options.frequencyPenalty * static_cast<float>(count);
  }
}

//===----------------------------------------------------------------------===//
// Filters
//===----------------------------------------------------------------------===//

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Better {
  template <typename T> bool operator()(const T &a, const T &b) const {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  }
};

} // namespace

// All that are numbers, or the best of them, as a heap whose first is the worst: a later one of
// the same logit is no better.
void Sampler::findCandidates(const float *logits) {
  candidates.clear();
  size_t most = options.topK > 0 ? options.topK : SIZE_MAX;
  greatest = -kInfinity;
  for (int32_t id = 0; id < vocabulary; ++id) {
    float logit = logits[id];
    if (!(logit > -kInfinity && logit < kInfinity))
      continue;
    if (candidates.size() == most) {
      if (!(logit > candidates.front().logit))
        continue;
      std::pop_heap(candidates.begin(), candidates.end(), Better());
      candidates.back() = {logit, id};
      std::push_heap(candidates.begin(), candidates.end(), Better());
    } else {
      candidates.push_back({logit, id});
      if (candidates.size() == most)
        std::make_heap(candidates.begin(), candidates.end(), Better());
    }
    greatest = std::max(greatest, logit);
  }
}

// What top_p keeps. The order is made for as many as are needed.
void Sampler::keepTop() {
  uint64_t total = 0;
  for (const Candidate &candidate : candidates)
    total += weightOf(candidate);
  uint64_t enough =
      portionOf(total, static_cast<uint64_t>(options.topP * (1 << PIANOLA_FRACTION_BITS)));
  uint64_t sum = 0;
  size_t keep = 0;
  for (size_t ordered = 0; keep == 0 || sum < enough;) {
    auto begin = candidates.begin() + ordered;
    ordered = std::min(candidates.size(), std::max<size_t>(128, ordered * 8));
    std::nth_element(begin, candidates.begin() + (ordered - 1), candidates.end(), Better());
    std::sort(begin, candidates.begin() + ordered, Better());
    for (; keep < ordered && (keep == 0 || sum < enough); ++keep)
      sum += weightOf(candidates[keep]);
  }
  candidates.resize(keep);
}

Result<int32_t> Sampler::drawOne() {
  if (options.topK > 0 || options.topP < 1)
    std::sort(candidates.begin(), candidates.end(),
              [](const Candidate &a, const Candidate &b) { return a.id < b.id; });
  uint64_t least = static_cast<uint64_t>(options.minP * (uint64_t(1) << PIANOLA_WEIGHT_BITS));
  uint64_t total = 0;
  weights.clear();
  for (const Candidate &candidate : candidates) {
    uint64_t weight = weightOf(candidate);
    weights.push_back(weight >= least ? weight : 0);
    total += weights.back();
  }
  uint64_t place = portionOf(total, draw()), sum = 0;
  size_t i = 0;
  while (place >= (sum += weights[i]))
    ++i;
  return candidates[i].id;
}

void Sampler::forbid(const TokenMask &mask) {
  for (int32_t id = 0; id < vocabulary; ++id)
    if (!mask.allows(id))
      adjusted[id] = std::numeric_limits<float>::quiet_NaN();
}

Result<int32_t> Sampler::sample(const float *logits, const std::vector<int32_t> &history,
                                const TokenMask *mask) {
  if (mask || penalises() || !options.logitBias.empty()) {
    adjusted.assign(logits, logits + vocabulary);
    if (mask)
      forbid(*mask);
    penalise(history);
    logits = adjusted.data();
  }
  if (options.temperature == 0) {
    int32_t best = -1;
    float most = -kInfinity;
    for (int32_t id = 0; id < vocabulary; ++id)
      if (logits[id] > most || (best < 0 && logits[id] == most)) {
        most = logits[id];
        best = id;
      }
    if (best < 0)
      return Status::error("the model's logits are not numbers");
    return best;
  }
  findCandidates(logits);
  if (candidates.empty())
    return Status::error("the model's logits are not numbers");
  if (options.topP < 1)
    keepTop();
  return drawOne();
}

} // namespace pianola
