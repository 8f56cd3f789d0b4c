// ZeroBlocks.h - matrices of which whole blocks are zero.
#ifndef PIANOLA_LIB_ENCODE_ZEROBLOCKS_H
#define PIANOLA_LIB_ENCODE_ZEROBLOCKS_H

#include "lib/checkpoint/WeightSource.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/ArrayRef.h"

namespace pianola {

/// Which of the blocks of 32 columns of these rows are not zero, all with elements of so many bytes
/// (bf16, f16 or f32) and columns that are a multiple of 32.
std::vector<bool> blocksThere(llvm::ArrayRef<uint8_t> rows, int64_t columns, int64_t elementBytes);

/// Gives matrices of plain numbers, or with two of four columns, of which enough blocks are zero
/// the encoding `!encoding.blocks`: where that makes them an eighth smaller, and their heads or
/// experts are whole blocks. Of any other matrix no more is read than shows it.
llvm::Error findZeroBlocks(mlir::ModuleOp module, const WeightSource &weights);

} // namespace pianola

#endif
