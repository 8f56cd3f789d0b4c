// EncodingType.h - a tensor's encoding as a type of the compiler.
#ifndef PIANOLA_LIB_ENCODE_ENCODINGTYPE_H
#define PIANOLA_LIB_ENCODE_ENCODINGTYPE_H

#include "dialects/encoding/Encoding.h"
#include "lib/checkpoint/WeightSource.h"

namespace pianola {

/// f32, bf16, f16 or a scaled type; null for a tensor that can be no weight.
mlir::Type encodingOf(mlir::MLIRContext *context, const TensorInfo &tensor);

} // namespace pianola

#endif
