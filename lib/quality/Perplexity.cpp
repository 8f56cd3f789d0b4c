// Perplexity.cpp - what logits say of a text, and how far two models' logits are apart.
#include "lib/quality/Perplexity.h"

#include <algorithm>
#include <cmath>

namespace pianola {

std::vector<Window> windowsOf(size_t tokens, size_t context) {
  std::vector<Window> windows;
  size_t stride = std::max<size_t>(1, context / 2);
  for (size_t first = 0, scored = 1; scored < tokens; first += stride) {
    size_t end = std::min(first + context, tokens);
    windows.push_back({first, scored, end});
    scored = end;
  }
  return windows;
}

// log of the sum of exp, with the greatest taken out so that nothing overflows.
static double logSum(llvm::ArrayRef<float> logits) {
  double greatest = -INFINITY, sum = 0;
  for (float logit : logits)
    greatest = std::max(greatest, double(logit));
  for (float logit : logits)
    sum += std::exp(logit - greatest);
  return greatest + std::log(sum);
}

double surprise(llvm::ArrayRef<float> logits, int32_t token) {
  return logSum(logits) - logits[token];
}

double divergence(llvm::ArrayRef<float> p, llvm::ArrayRef<float> q) {
  double sumP = logSum(p), sumQ = logSum(q), result = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    double logP = p[i] - sumP, weight = std::exp(logP);
    // What has no weight adds nothing, however unlikely the other finds it.
    if (weight != 0)
      result += weight * (logP - (q[i] - sumQ));
  }
  // Rounding may leave a little less than nothing of two distributions that are the same.
  return result < 0 ? 0 : result;
}

int32_t topToken(llvm::ArrayRef<float> logits) {
  return int32_t(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

Mean meanOf(llvm::ArrayRef<double> values) {
  Mean mean;
  for (double value : values)
    mean.value += value / values.size();
  double squares = 0;
  for (double value : values)
    squares += (value - mean.value) * (value - mean.value);
  if (values.size() > 1)
    mean.error = std::sqrt(squares / (values.size() - 1) / values.size());
  return mean;
}

double quantileOf(std::vector<double> values, double share) {
  auto rank = size_t(std::ceil(share * values.size()));
  auto at = values.begin() + (rank ? rank - 1 : 0);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

Mean expOf(Mean logarithm) {
  double value = std::exp(logarithm.value);
  return {value, value * logarithm.error};
}

} // namespace pianola
