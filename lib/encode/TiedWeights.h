// TiedWeights.h - weights that are equal, to the last bit, stand once.
#ifndef PIANOLA_LIB_ENCODE_TIEDWEIGHTS_H
#define PIANOLA_LIB_ENCODE_TIEDWEIGHTS_H

#include "lib/checkpoint/WeightSource.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"

namespace pianola {

/// Lets layers use an earlier layer's weights where theirs are the same, encoding and all: those of
/// models that were grown by repeating layers. So it is with a head that repeats the embedding.
/// Of weights that differ from all others no more is read than shows it. What is said of the head
/// goes to `notes`.
llvm::Error tieWeights(mlir::ModuleOp module, const WeightSource &weights,
                       llvm::raw_ostream &notes);

} // namespace pianola

#endif
