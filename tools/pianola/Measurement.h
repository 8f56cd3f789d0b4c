// Measurement.h - what repetitions of a benchmark have taken, and its statistics.
#ifndef PIANOLA_TOOLS_PIANOLA_MEASUREMENT_H
#define PIANOLA_TOOLS_PIANOLA_MEASUREMENT_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace pianola {

struct Measurement {
  int64_t prompt = 0, generated = 0, depth = 0;
  int64_t sequences = 1;          // that share plays
  std::vector<double> rates;      // tokens a second, of each repetition
  std::vector<double> tokens;     // us, of each play
  std::vector<double> bandwidths; // bytes a second, before and after each repetition
  double bytesPerToken = 0, contextBytesPerToken = 0, flopsPerToken = 0, predicted = 0;
};

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

inline double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(q * values.size()))];
}

inline double mean(const std::vector<double> &values) {
  double sum = 0;
  for (double value : values)
    sum += value;
  return sum / values.size();
}

inline double deviation(const std::vector<double> &values) {
  double m = mean(values), sum = 0;
  for (double value : values)
    sum += (value - m) * (value - m);
  return values.size() > 1 ? std::sqrt(sum / (values.size() - 1)) : 0;
}

} // namespace pianola

#endif
