// Quantise.cpp - numbers become codes and scales.
#include "lib/encode/Quantise.h"

#include <algorithm>
#include <cmath>

namespace pianola {
namespace {

// To the nearest, ties to even, of numbers below 2^22: faster than the library's.
float roundOff(float value) {
  constexpr float kMagic = 12582912; // 1.5 * 2^23
  return (value + kMagic) - kMagic;
}

float roundScale(ScaleType type, float scale) {
  switch (type) {
  case ScaleType::F32:
    return scale;
  case ScaleType::BF16:
    return fromBf16(toBf16(scale));
  case ScaleType::F16:
    return fromF16(toF16(std::clamp(scale, -65504.0f, 65504.0f)));
  case ScaleType::E8M0:
    return scale == 0 ? 0
                      : std::ldexp(1.0f, std::clamp(int(std::lround(std::log2(scale))), -127, 127));
  }
  llvm_unreachable("unknown scale type");
}

bool isIntegerCode(const Scaling &scaling) {
  return scaling.code == Code::I8 || scaling.code == Code::I4;
}

float levelsOf(const Scaling &scaling) { return scaling.code == Code::I8 ? 256 : 16; }

// One group of numbers.
class Group {
public:
  Group(const Scaling &scaling, llvm::ArrayRef<float> values) : scaling(scaling), values(values) {
    for (float value : values) {
      least = std::min(least, value);
      most = std::max(most, value);
    }
  }

  void findScale();
  GroupScale best; // the scale not yet rounded

private:
  bool isInteger() const { return isIntegerCode(scaling); }
  float levels() const { return levelsOf(scaling); }
  struct Fit {
    double product = 0, square = 0;
  };
  Fit measure(float tried, uint8_t triedZero) const;
  void tryScale(float candidate, uint8_t candidateZero);

  const Scaling &scaling;
  llvm::ArrayRef<float> values;
  float least = 0, most = 0;
  double bestError = INFINITY;
};

// What a scale gives: sums over the group of value * level, level^2, level being the code less its
// zero point. Eight sums of each, so that a compiler may take them at once.
Group::Fit Group::measure(float tried, uint8_t triedZero) const {
  constexpr size_t kLanes = 8;
  float products[kLanes] = {}, squares[kLanes] = {};
  float inverse = 1 / tried;
  if (isInteger()) {
    float low = -float(triedZero), high = levels() - 1 - triedZero;
    size_t i = 0;
    for (; i + kLanes <= values.size(); i += kLanes)
      for (size_t lane = 0; lane < kLanes; ++lane) {
        float value = values[i + lane], level = roundOff(value * inverse);
        level = level < low ? low : level;
        level = level > high ? high : level;
        products[lane] += value * level;
        squares[lane] += level * level;
      }
    for (; i < values.size(); ++i) {
      float level = std::clamp(roundOff(values[i] * inverse), low, high);
      products[0] += values[i] * level;
      squares[0] += level * level;
    }
  } else {
    for (float value : values) {
      float level = codeValue(scaling.code, codeOf(scaling, {tried, 0}, value));
      products[0] += value * level;
      squares[0] += level * level;
    }
  }
  Fit fit;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    fit.product += products[lane];
    fit.square += squares[lane];
  }
  return fit;
}

// The error with the codes that the candidate gives and the best scale for these, which a power of
// two cannot be.
void Group::tryScale(float candidate, uint8_t candidateZero) {
  bool isPower = scaling.scale == ScaleType::E8M0;
  if (isPower)
    candidate = roundScale(scaling.scale, candidate);
  if (candidate == 0 || !std::isfinite(1 / candidate))
    return;
  Fit fit = measure(candidate, candidateZero);
  if (fit.square == 0)
    return;
  double scale = isPower ? candidate : fit.product / fit.square;
  // The squared error, less the sum of squares of the values.
  double error = scale * (scale * fit.square - 2 * fit.product);
  if (error < bestError) {
    bestError = error;
    best = {float(scale), candidateZero};
  }
}

void Group::findScale() {
  float greatest = -least > most ? least : most; // with its sign
  uint8_t zero = impliedZero(scaling.code);
  best.zero = zero;
  if (greatest == 0)
    return;
  if (scaling.zeros) {
    for (int step = 0; step <= 8; ++step) {
      float candidate = (most - least) / (levels() - 1) * (1 - 0.04f * step);
      float place = std::clamp(roundOff(-least / candidate), 0.0f, levels() - 1);
      tryScale(candidate, uint8_t(place));
    }
    return;
  }
  switch (scaling.code) {
  case Code::I8:
    tryScale(greatest / -128, zero);
    tryScale(greatest / 127, zero);
    return;
  case Code::I4:
    // The greatest number may be the lowest code, of which there is one more; and cutting it off a
    // little serves the others.
    for (float level = 7; level <= 9; level += 0.25f) {
      tryScale(greatest / -level, zero);
      tryScale(greatest / (level - 0.75f), zero);
    }
    return;
  case Code::F8E4M3:
    for (float level : {448.0f, 416.0f, 384.0f, 352.0f, 320.0f, 288.0f, 256.0f})
      tryScale(std::fabs(greatest) / level, zero);
    return;
  case Code::F4E2M1:
    for (float level : {3.0f, 6.0f, 12.0f})
      tryScale(std::fabs(greatest) / level, zero);
    return;
  }
}

} // namespace

GroupScale findScale(const Scaling &scaling, llvm::ArrayRef<float> values) {
  Group group(scaling, values);
  group.findScale();
  return {roundScale(scaling.scale, group.best.scale), group.best.zero};
}

uint8_t codeOf(const Scaling &scaling, GroupScale group, float value) {
  if (group.scale == 0)
    return isIntegerCode(scaling) ? group.zero : 0;
  if (isIntegerCode(scaling))
    return uint8_t(
        std::clamp(roundOff(value * (1 / group.scale)) + group.zero, 0.0f, levelsOf(scaling) - 1));
  return scaling.code == Code::F8E4M3 ? toF8E4M3(value / group.scale)
                                      : toF4E2M1(value / group.scale);
}

void setGroup(GroupScale group, int64_t row, int64_t number, EncodedRows &out) {
  out.scales[row * out.groups + number] = group.scale;
  if (!out.zeros.empty())
    out.zeros[row * out.groups + number] = group.zero;
}

void quantiseRow(const Scaling &scaling, llvm::ArrayRef<float> values, int64_t row,
                 EncodedRows &out) {
  int64_t size = scaling.groupOf(out.columns);
  for (int64_t g = 0; g < out.groups; ++g) {
    int64_t first = g * size, count = std::min(size, out.columns - first);
    GroupScale group = findScale(scaling, values.slice(first, count));
    setGroup(group, row, g, out);
    for (int64_t i = first; i < first + count; ++i)
      out.codes[row * out.columns + i] = codeOf(scaling, group, values[i]);
  }
}

} // namespace pianola
