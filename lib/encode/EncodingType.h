// EncodingType.h - a tensor's encoding as a type of the compiler.
#ifndef PIANOLA_LIB_ENCODE_ENCODINGTYPE_H
#define PIANOLA_LIB_ENCODE_ENCODINGTYPE_H

#include "dialects/encoding/Encoding.h"
#include "lib/checkpoint/WeightSource.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringSet.h"

namespace pianola {

/// f32, bf16, f16 or a scaled type; null for a tensor that can be no weight.
mlir::Type encodingOf(mlir::MLIRContext *context, const TensorInfo &tensor);

/// Names of the module's tensors that rows are looked up in, or products taken with. What a
/// convolution has for each channel is none: rolls have it as f32, and rounded it would save
/// nothing.
llvm::StringSet<> encodableTensors(mlir::ModuleOp module);

/// Symbols of the weights whose rows are looked up, by tokens or positions.
llvm::StringSet<> lookedUpWeights(mlir::ModuleOp module);

/// These, and those of heads.
llvm::StringSet<> endWeights(mlir::ModuleOp module);

} // namespace pianola

#endif
