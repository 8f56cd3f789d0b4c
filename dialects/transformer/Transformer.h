// Transformer.h - the transformer dialect: see Transformer.td for what it means.
#ifndef PIANOLA_DIALECTS_TRANSFORMER_TRANSFORMER_H
#define PIANOLA_DIALECTS_TRANSFORMER_TRANSFORMER_H

#include "dialects/encoding/Encoding.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/transformer/TransformerDialect.h.inc"
#include "dialects/transformer/TransformerEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/transformer/TransformerAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/transformer/TransformerTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/transformer/Transformer.h.inc"

namespace pianola::transformer {

/// The name of the module attribute that holds a ModelAttr.
inline constexpr llvm::StringLiteral modelAttrName = "transformer.model";

/// The number of columns of activations, the N of tensor<?xNxf32>.
inline int64_t width(mlir::Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType()).getDimSize(1);
}

} // namespace pianola::transformer

#endif
