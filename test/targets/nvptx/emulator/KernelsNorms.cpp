// Softmax, norms and rotary positions.
#include "test/targets/nvptx/emulator/Rehearsal.h"
#include "test/targets/nvptx/emulator/SmallFloat.h"

using namespace pianola::ptx;

namespace {

using Floats = std::vector<float>;

Floats reals(size_t n, float most, uint64_t seed) {
  Draw draw(seed);
  return listOf(n, [&](size_t) { return draw.real(-most, most); });
}

// exp of differences up to 16 by ex2.approx of a rounded product: 16 * log2(e) * 2^-24 is 1.4e-6,
// the sum as much again.
void softmax(Rehearsal &p, uint32_t blocks, uint32_t threads, uint32_t columns) {
  const uint32_t rows = blocks * threads / 32;
  const Floats x = reals(rows * columns, 8, columns);
  const uint64_t in = p.put(x, "x"), out = p.room<float>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(out).add(columns);
  p.play("softmax_online", {blocks}, {threads}, arguments);
  std::vector<double> expected;
  for (size_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (size_t c = 0; c < columns; ++c)
      sum += std::exp(double(x[r * columns + c]));
    for (size_t c = 0; c < columns; ++c)
      expected.push_back(std::exp(double(x[r * columns + c])) / sum);
  }
  p.expectNear<float>(out, expected, 5e-6, 0, "y");
}

// The last bits of rsqrt.approx are not specified; values are below 8, whose ulp is 5e-7.
void layerNorm(Rehearsal &p, uint32_t rows, uint32_t threads, uint32_t columns) {
  const Floats x = reals(rows * columns, 3, 1), gain = reals(columns, 2, 2),
               bias = reals(columns, 1, 3);
  const uint64_t in = p.put(x, "x"), atGain = p.put(gain, "gain"), atBias = p.put(bias, "bias"),
                 out = p.room<float>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(atGain).add(atBias).add(out).add(columns);
  p.play("layer_norm", {rows}, {threads}, arguments);
  std::vector<double> expected;
  for (size_t r = 0; r < rows; ++r) {
    double mean = 0, square = 0;
    for (size_t c = 0; c < columns; ++c)
      mean += x[r * columns + c] / double(columns);
    for (size_t c = 0; c < columns; ++c)
      square += (x[r * columns + c] - mean) * (x[r * columns + c] - mean) / columns;
    for (size_t c = 0; c < columns; ++c)
      expected.push_back((x[r * columns + c] - mean) / std::sqrt(square + 1e-5) * gain[c] +
                         bias[c]);
  }
  p.expectNear<float>(out, expected, 2e-6, 2e-6, "y");
}

float foldWarp(Floats v) {
  for (size_t d = 16; d > 0; d /= 2) {
    const Floats before = v;
    for (size_t l = 0; l < 32; ++l)
      v[l] = before[l] + before[l ^ d];
  }
  return v[0];
}

// Only operations that IEEE rounds, in a known order: exact.
void rmsNorm(Rehearsal &p, uint32_t rows, uint32_t threads, uint32_t pairs) {
  Draw draw(pairs);
  const auto brains = [&](size_t n) {
    return listOf(n, [&](size_t) { return Brain.of(draw.real(-3, 3)); });
  };
  const uint32_t columns = pairs * 2;
  const auto x = brains(rows * columns), gain = brains(columns);
  const uint64_t in = p.put(x, "x"), atGain = p.put(gain, "gain"),
                 out = p.room<uint16_t>(x.size(), "y");
  Arguments arguments;
  arguments.add(in).add(atGain).add(out).add(pairs);
  p.play("rms_norm", {rows}, {threads}, arguments);
  std::vector<uint16_t> expected;
  for (size_t r = 0; r < rows; ++r) {
    const auto at = [&](size_t c) { return float(Brain.decode(x[r * columns + c])); };
    Floats sums(32, 0.0f);
    for (size_t w = 0; w < threads / 32; ++w) {
      Floats lanes(32, 0.0f);
      for (size_t l = 0; l < 32; ++l)
        for (size_t c = w * 32 + l; c < pairs; c += threads)
          for (size_t h = 0; h < 2; ++h)
            lanes[l] = std::fma(at(2 * c + h), at(2 * c + h), lanes[l]);
      sums[w] = foldWarp(lanes);
    }
    const float mean = foldWarp(sums) / float(columns);
    const float scale = 1.0f / std::sqrt(mean + 1e-6f);
    for (size_t c = 0; c < columns; ++c)
      expected.push_back(Brain.of(at(c) * scale * float(Brain.decode(gain[c]))));
  }
  p.expectSame(out, expected, "y");
}

// sincosf is within 2 ulp of values up to one, the combination adds two roundings.
void rope(Rehearsal &p, uint32_t heads, uint32_t tokens, uint32_t half) {
  Floats x = reals(heads * tokens * half * 2, 1, half);
  const Floats frequencies =
      listOf(half, [&](size_t i) { return std::pow(10000.0f, -float(i) / float(half)); });
  // The last is beyond what the short way to reduce an angle covers.
  const Floats positions =
      listOf(tokens, [&](size_t t) { return t + 1 == tokens ? 1234567.0f : float(t * 37); });
  const uint64_t at = p.put(x, "x"), atF = p.put(frequencies, "frequencies"),
                 atP = p.put(positions, "positions");
  Arguments arguments;
  arguments.add(at).add(atF).add(atP).add(half);
  p.play("rope", {heads, tokens}, {half}, arguments);
  std::vector<double> expected(x.size());
  for (size_t t = 0; t < tokens; ++t)
    for (size_t h = 0; h < heads; ++h)
      for (size_t i = 0; i < half; ++i) {
        const float angle = positions[t] * frequencies[i];
        const double s = std::sin(double(angle)), c = std::cos(double(angle));
        const size_t j = (t * heads + h) * 2 * half + i;
        expected[j] = x[j] * c - x[j + half] * s;
        expected[j + half] = x[j + half] * c + x[j] * s;
      }
  p.expectNear<float>(at, expected, 0, 1e-6, "x");
}

} // namespace

void pianola::ptx::addNorms(Repertoire &r) {
  r.file("norm");
  r.add("softmax_online_2x64", [](Rehearsal &p) { softmax(p, 2, 64, 100); });
  r.add("softmax_online_1x32", [](Rehearsal &p) { softmax(p, 1, 32, 512); });
  r.add("layer_norm_3x128", [](Rehearsal &p) { layerNorm(p, 3, 128, 300); });
  r.add("layer_norm_2x32", [](Rehearsal &p) { layerNorm(p, 2, 32, 64); });
  r.add("rms_norm_3x64", [](Rehearsal &p) { rmsNorm(p, 3, 64, 100); });
  r.add("rms_norm_1x256", [](Rehearsal &p) { rmsNorm(p, 1, 256, 512); });
  r.add("rope_3x4", [](Rehearsal &p) { rope(p, 3, 4, 32); });
}
