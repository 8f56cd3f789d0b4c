// RopeFrequencies.cpp - rotary frequencies out of theta and a scaling rule.
#include "lib/import/RopeFrequencies.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>

namespace pianola {
namespace {

constexpr double twoPi = 2 * llvm::numbers::pi;

float llama3(float frequency, const RopeScaling &rope) {
  float wavelength = float(twoPi) / frequency;
  double original = double(rope.originalMaxPositions);
  float slow = frequency / float(rope.factor);
  if (wavelength > original / rope.lowFrequencyFactor)
    return slow;
  // Also where the two factors are equal, so that nothing is left to blend.
  if (wavelength < original / rope.highFrequencyFactor ||
      rope.highFrequencyFactor == rope.lowFrequencyFactor)
    return frequency;
  float smooth = (float(original) / wavelength - float(rope.lowFrequencyFactor)) /
                 float(rope.highFrequencyFactor - rope.lowFrequencyFactor);
  return (1 - smooth) * slow + smooth * frequency;
}

/// Where in the lanes yarn goes from the frequencies as they are to those divided.
struct YarnRamp {
  double low, high;

  YarnRamp(double theta, int64_t lanes, const RopeScaling &rope) {
    auto pairThatTurns = [&](double times) {
      return double(lanes) * std::log(double(rope.originalMaxPositions) / (times * twoPi)) /
             (2 * std::log(theta));
    };
    low = pairThatTurns(rope.betaFast);
    high = pairThatTurns(rope.betaSlow);
    if (rope.truncate) {
      low = std::floor(low);
      high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, double(lanes - 1));
    if (low == high)
      high += 0.001;
  }

  float operator()(int64_t pair) const {
    return float(std::clamp((double(pair) - low) / (high - low), 0.0, 1.0));
  }
};

float yarnScale(const RopeScaling &rope) {
  auto magnitude = [&](double scale) {
    return rope.factor <= 1 ? 1.0 : 0.1 * scale * std::log(rope.factor) + 1.0;
  };
  if (rope.attentionFactor)
    return float(*rope.attentionFactor);
  if (rope.mscale.value_or(0) != 0 && rope.mscaleAllDim.value_or(0) != 0)
    return float(magnitude(*rope.mscale) / magnitude(*rope.mscaleAllDim));
  return float(magnitude(1));
}

float longRopeScale(const RopeScaling &rope) {
  if (rope.attentionFactor)
    return float(*rope.attentionFactor);
  if (rope.factor <= 1)
    return 1;
  return float(std::sqrt(1 + std::log(rope.factor) / std::log(double(rope.originalMaxPositions))));
}

} // namespace

RopeTable ropeFrequencies(double theta, int64_t lanes, const RopeScaling &scaling,
                          int64_t positions) {
  RopeTable table;
  table.scale = scaling.kind == RopeScaling::Kind::Yarn       ? yarnScale(scaling)
                : scaling.kind == RopeScaling::Kind::LongRope ? longRopeScale(scaling)
                                                              : 1.0f;
  YarnRamp ramp(theta, lanes, scaling);
  float factor = float(scaling.factor);
  for (int64_t i = 0; i < lanes / 2; ++i) {
    float period = std::pow(float(theta), float(2 * i) / float(lanes));
    float frequency = 1.0f / period;
    switch (scaling.kind) {
    case RopeScaling::Kind::Default:
      break;
    case RopeScaling::Kind::Linear:
      frequency /= factor;
      break;
    case RopeScaling::Kind::Llama3:
      frequency = llama3(frequency, scaling);
      break;
    case RopeScaling::Kind::Yarn: {
      float kept = 1 - ramp(i);
      frequency = 1.0f / (factor * period) * (1 - kept) + frequency * kept;
      break;
    }
    case RopeScaling::Kind::LongRope:
      frequency =
          1.0f / ((positions > scaling.originalMaxPositions ? scaling.longFactors
                                                            : scaling.shortFactors)[size_t(i)] *
                  period);
      break;
    }
    table.inverseFrequencies.push_back(frequency);
  }
  return table;
}

} // namespace pianola
