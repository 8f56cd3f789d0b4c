//===- Passes.h - From a model to a proven schedule -------------*- C++ -*-===//
#ifndef PIANOLA_PASSES_PASSES_H
#define PIANOLA_PASSES_PASSES_H

#include "dialects/schedule/Schedule.h"
#include "dialects/tile/Tile.h"
#include "dialects/transformer/Transformer.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace pianola {
#define GEN_PASS_DECL
#include "passes/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"
} // namespace pianola

#endif
