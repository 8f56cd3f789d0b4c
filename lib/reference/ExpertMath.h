// ExpertMath.h - the arithmetic of mixtures of experts, on rows of f32.
#ifndef PIANOLA_LIB_REFERENCE_EXPERTMATH_H
#define PIANOLA_LIB_REFERENCE_EXPERTMATH_H

#include "lib/reference/RowMath.h"

namespace pianola::reference {

/// For each row, `chosen` experts and what each counts.
struct Routes {
  int64_t chosen = 0;
  std::vector<int32_t> experts;
  std::vector<float> weights;
};

/// What a router makes of its logits; see transformer.route. `correction`: none, or one an expert.
Routes route(const Rows &logits, transformer::RouteOp op, llvm::ArrayRef<float> correction);

/// See transformer.routed_linear; `weight` has the rows of all experts, and so has `bias`, if there
/// is one.
Rows routedLinear(const Rows &x, const Routes &routes, const Rows &weight,
                  llvm::ArrayRef<float> bias, transformer::RoutedLinearOp op);

/// x times the sigmoid of `gates`.
Rows gate(const Rows &x, const Rows &gates);

} // namespace pianola::reference

#endif
