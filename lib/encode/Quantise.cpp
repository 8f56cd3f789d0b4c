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
    return std::ldexp(1.0f, std::clamp(int(std::lround(std::log2(scale))), -127, 127));
  }
  llvm_unreachable("unknown scale type");
}

// One group of numbers.
class Group {
public:
  Group(const Scaling &scaling, llvm::ArrayRef<float> values) : scaling(scaling), values(values) {
    for (float value : values) {
      least = std::min(least, value);
      most = std::max(most, value);
    }
  }

  float scale = 0;
  uint8_t zero = 0;

  void findScale();
  uint8_t codeOf(float value) const;

private:
  bool isInteger() const { return scaling.code == Code::I8 || scaling.code == Code::I4; }
  float levels() const { return scaling.code == Code::I8 ? 256 : 16; }
  void tryScale(float candidate, uint8_t candidateZero);

  const Scaling &scaling;
  llvm::ArrayRef<float> values;
  float least = 0, most = 0;
  double bestError = INFINITY;
  float fitted = 0; // the best scale for the codes that were measured last
};

uint8_t Group::codeOf(float value) const {
  if (scale == 0)
    return isInteger() ? zero : 0;
  if (isInteger())
    return uint8_t(std::clamp(roundOff(value / scale) + zero, 0.0f, levels() - 1));
  return scaling.code == Code::F8E4M3 ? toF8E4M3(value / scale) : toF4E2M1(value / scale);
}

// With the codes that the candidate gives, and of these the best scale.
void Group::tryScale(float candidate, uint8_t candidateZero) {
  auto measure = [&](float tried) -> double {
    Group with = *this;
    with.scale = tried;
    with.zero = candidateZero;
    double product = 0, square = 0, size = 0, inverse = 1.0 / tried;
    if (isInteger()) {
      float low = -float(candidateZero), high = levels() - 1 - candidateZero;
      for (float value : values) {
        float level = std::clamp(roundOff(value * float(inverse)), low, high);
        product += value * level;
        square += level * level;
        size += value * value;
      }
    } else {
      for (float value : values) {
        float level = codeValue(scaling.code, with.codeOf(value));
        product += value * level;
        square += level * level;
        size += value * value;
      }
    }
    fitted = square > 0 ? float(product / square) : 0;
    // The error with the scale as it is.
    return size - 2 * tried * product + double(tried) * tried * square;
  };
  candidate = roundScale(scaling.scale, candidate);
  if (candidate == 0 || !std::isfinite(candidate))
    return;
  measure(candidate);
  for (float tried : {candidate, fitted}) {
    if (scaling.scale == ScaleType::E8M0 && tried <= 0)
      continue;
    tried = roundScale(scaling.scale, tried);
    if (tried == 0 || !std::isfinite(tried))
      continue;
    if (double error = measure(tried); error < bestError) {
      bestError = error;
      scale = tried;
      zero = candidateZero;
    }
  }
}

void Group::findScale() {
  float greatest = -least > most ? least : most; // with its sign
  zero = impliedZero(scaling.code);
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

void quantiseRow(const Scaling &scaling, llvm::ArrayRef<float> values, int64_t row,
                 EncodedRows &out) {
  int64_t size = scaling.groupOf(out.columns);
  for (int64_t g = 0; g < out.groups; ++g) {
    int64_t first = g * size, count = std::min(size, out.columns - first);
    Group group(scaling, values.slice(first, count));
    group.findScale();
    out.scales[row * out.groups + g] = group.scale;
    if (scaling.zeros)
      out.zeros[row * out.groups + g] = group.zero;
    for (int64_t i = first; i < first + count; ++i)
      out.codes[row * out.columns + i] = group.codeOf(values[i]);
  }
}

} // namespace pianola
