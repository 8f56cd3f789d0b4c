// Pruned.h - matrices of which two of each four columns at most are not zero.
#ifndef PIANOLA_LIB_ENCODE_PRUNED_H
#define PIANOLA_LIB_ENCODE_PRUNED_H

#include "lib/checkpoint/WeightSource.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"

namespace pianola {

/// Bytes of a row of so many columns, as `!encoding.two_of_four<bf16>`.
uint64_t prunedRowBytes(int64_t columns);

/// Leaves of each four numbers of a row the two greatest, the earlier ones of equals.
void prune(llvm::MutableArrayRef<float> row);

/// Gives the matrices of bf16 that are so by themselves the encoding `!encoding.two_of_four`, where
/// that makes them smaller. Of any other matrix no more is read than shows it.
llvm::Error findPruned(mlir::ModuleOp module, const WeightSource &weights);

} // namespace pianola

#endif
