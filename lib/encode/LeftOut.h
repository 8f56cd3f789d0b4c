// LeftOut.h - what tapes gain by the zeros that do not stand there.
#ifndef PIANOLA_LIB_ENCODE_LEFTOUT_H
#define PIANOLA_LIB_ENCODE_LEFTOUT_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/raw_ostream.h"

namespace pianola {

/// Of a tiled module, how many matrices stand as two of four columns, or without blocks of zeros,
/// and how many bytes less that is; nothing if none does.
void printLeftOut(mlir::ModuleOp module, llvm::raw_ostream &out);

} // namespace pianola

#endif
