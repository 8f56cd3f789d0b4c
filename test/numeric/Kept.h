// Kept.h - keys and values as --kv says, and how far logits may be from what they should be.
#ifndef PIANOLA_TEST_NUMERIC_KEPT_H
#define PIANOLA_TEST_NUMERIC_KEPT_H

#include "test/numeric/Reference.h"
#include "test/numeric/Tolerance.h"

namespace pianola {

struct Kept {
  const char *name;
  /// How far logits of the goldens may be from those of keys and values of f32, relative L2.
  double error;
  /// And a roll's from the interpreter's. Where these are a hair apart before they are rounded,
  /// they may become different codes after.
  double tolerance = 2 * kHostTolerance;
};

inline void PrintTo(const Kept &kept, std::ostream *out) { *out << kept.name; }

constexpr Kept kKept[] = {{"bf16", 0.01, kHostTolerance}, {"int8", 0.02}, {"fp8", 0.15}};

/// The interpreter's logits with keys and values of `kv`.
inline std::vector<float> interpretedAs(const CompileOptions &options, const std::string &kv,
                                        const std::vector<int32_t> &ids) {
  return interpreted(options, ids,
                     [&](mlir::ModuleOp module) { llvm::cantFail(encodeContexts(module, kv)); });
}

} // namespace pianola

#endif
