// ExpertMath.cpp - the arithmetic of mixtures of experts, on rows of f32.
#include "lib/reference/ExpertMath.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Parallel.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace pianola::reference {
namespace {

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

std::vector<float> scoresOf(llvm::ArrayRef<float> logits, transformer::Score score) {
  std::vector<float> scores(logits.begin(), logits.end());
  if (score == transformer::Score::Sigmoid) {
    for (float &value : scores)
      value = sigmoid(value);
    return scores;
  }
  float largest = *llvm::max_element(scores);
  double total = 0;
  for (float &value : scores)
    total += value = std::exp(value - largest);
  for (float &value : scores)
    value = float(value / total);
  return scores;
}

/// The numbers of the `count` greatest, the greatest first, of equals the lowest number.
std::vector<int32_t> greatest(llvm::ArrayRef<float> values, int64_t count) {
  std::vector<int32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](int32_t a, int32_t b) {
    float left = values[size_t(a)], right = values[size_t(b)];
    return left > right || (left == right && a < b);
  });
  order.resize(size_t(count));
  return order;
}

/// Leaves the best groups' experts in the race, and no others.
void keepGroups(std::vector<float> &scores, transformer::RouteOp op) {
  size_t groups = size_t(*op.getGroups()), size = scores.size() / groups;
  std::vector<float> ofGroups;
  for (size_t group = 0; group < groups; ++group) {
    llvm::ArrayRef<float> own = llvm::ArrayRef(scores).slice(group * size, size);
    std::vector<int32_t> best =
        greatest(own, *op.getBy() == transformer::GroupScore::TopTwo ? 2 : 1);
    float sum = 0;
    for (int32_t expert : best)
      sum += own[size_t(expert)];
    ofGroups.push_back(sum);
  }
  std::vector<int32_t> kept = greatest(ofGroups, int64_t(*op.getKeep()));
  for (size_t expert = 0; expert < scores.size(); ++expert)
    if (!llvm::is_contained(kept, int32_t(expert / size)))
      scores[expert] = -std::numeric_limits<float>::infinity();
}

} // namespace

Routes route(const Rows &logits, transformer::RouteOp op, llvm::ArrayRef<float> correction) {
  Routes routes;
  routes.chosen = op.getResult().getType().getChosen();
  for (int64_t i = 0; i < logits.rows; ++i) {
    std::vector<float> scores = scoresOf(logits.row(i), op.getScore()), corrected = scores;
    for (size_t expert = 0; expert < correction.size(); ++expert)
      corrected[expert] += correction[expert];
    if (op.getGroups())
      keepGroups(corrected, op);
    std::vector<int32_t> chosen = greatest(corrected, routes.chosen);
    double sum = 0;
    for (int32_t expert : chosen)
      sum += double(scores[size_t(expert)]);
    float factor = op.getScale().convertToFloat();
    for (int32_t expert : chosen) {
      float weight = scores[size_t(expert)];
      if (op.getNormalised())
        weight /= float(sum + 1e-20);
      routes.experts.push_back(expert);
      routes.weights.push_back(weight * factor);
    }
  }
  return routes;
}

Rows routedLinear(const Rows &x, const Routes &routes, const Rows &weight,
                  llvm::ArrayRef<float> bias, transformer::RoutedLinearOp op) {
  int64_t chosen = routes.chosen, in = weight.columns;
  int64_t out = weight.rows / op.getRoutes().getType().getExperts();
  bool ownInputs = x.columns != in, combined = op.getCombined();
  Rows y(x.rows, combined ? out : out * chosen);
  llvm::parallelFor(0, size_t(x.rows), [&](size_t row) {
    auto i = int64_t(row);
    llvm::MutableArrayRef<float> results = y.row(i);
    for (int64_t k = 0; k < chosen; ++k) {
      int64_t expert = routes.experts[size_t(i * chosen + k)];
      llvm::ArrayRef<float> input = x.row(i).slice(ownInputs ? size_t(k * in) : 0, size_t(in));
      for (int64_t r = 0; r < out; ++r) {
        auto value = float(dot(input, weight.row(expert * out + r)));
        if (!bias.empty())
          value += bias[size_t(expert * out + r)];
        if (op.getWeighted())
          value *= routes.weights[size_t(i * chosen + k)];
        results[size_t(combined ? r : k * out + r)] += value;
      }
    }
  });
  return y;
}

Rows gate(const Rows &x, const Rows &gates) {
  Rows y = x;
  for (int64_t i = 0; i < x.rows; ++i)
    for (size_t j = 0; j < size_t(x.columns); ++j)
      y.row(i)[j] *= sigmoid(gates.row(i)[gates.columns == 1 ? 0 : j]);
  return y;
}

} // namespace pianola::reference
