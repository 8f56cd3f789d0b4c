//===- KeptTypes.h - What became of a GGUF file's types ----------*- C++ -*-===//
#ifndef PIANOLA_LIB_DRIVER_KEPTTYPES_H
#define PIANOLA_LIB_DRIVER_KEPTTYPES_H

#include "lib/encode/ReencodedWeights.h"
#include "mlir/IR/BuiltinOps.h"

namespace pianola {

/// A line for each type of a GGUF file and each encoding that its tensors have become: how many
/// weights of the module, and whether they are exactly what they were, or by how much, relative to
/// themselves, the worst of them is off (the root of the sum of squares). Nothing of a directory.
/// `reencoded` may be null; its reads are what is known of errors.
void printKept(mlir::ModuleOp module, const WeightSource &weights,
               const ReencodedWeights *reencoded, llvm::raw_ostream &out);

} // namespace pianola

#endif
