// Transformer.cpp - the transformer dialect's attributes and types; its ops are in
// TransformerOps.cpp.
#include "dialects/transformer/Transformer.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace pianola::transformer;

#include "dialects/transformer/TransformerDialect.cpp.inc"
#include "dialects/transformer/TransformerEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/transformer/TransformerAttrs.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/transformer/TransformerTypes.cpp.inc"

void TransformerDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/transformer/TransformerAttrs.cpp.inc"
      >();
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/transformer/TransformerTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/transformer/Transformer.cpp.inc"
      >();
}

LogicalResult TransformerDialect::verifyOperationAttribute(Operation *op, NamedAttribute attr) {
  if (attr.getName() != modelAttrName)
    return success();
  if (!isa<ModuleOp>(op))
    return op->emitOpError("carries '") << modelAttrName << "', which belongs on a module";
  if (!isa<ModelAttr>(attr.getValue()))
    return op->emitOpError("'") << modelAttrName
                                << "' is not a #transformer.model: " << attr.getValue();
  return success();
}

LogicalResult ModelAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringRef family,
                                int64_t vocabulary, int64_t hidden, int64_t layers,
                                int64_t maxPositions) {
  if (family.empty())
    return emitError() << "model: family is empty";
  if (vocabulary < 1 || hidden < 1 || layers < 1 || maxPositions < 1)
    return emitError() << "model: vocabulary " << vocabulary << ", hidden " << hidden << ", layers "
                       << layers << " and max_positions " << maxPositions
                       << " must all be at least 1";
  return success();
}

LogicalResult RoutesType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t chosen,
                                 int64_t experts) {
  if (chosen < 1 || chosen > experts)
    return emitError() << "routes: cannot choose " << chosen << " of " << experts << " experts";
  return success();
}

LogicalResult SelectionType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t top,
                                    int64_t positions) {
  if (top < 1 || positions < 1)
    return emitError() << "selection: " << top << " of " << positions
                       << " positions, where there must be at least one of one";
  return success();
}

LogicalResult ContextType::verify(function_ref<InFlightDiagnostic()> emitError, int64_t heads,
                                  int64_t headSize) {
  if (heads < 1 || headSize < 1)
    return emitError() << "context: heads " << heads << " and head size " << headSize
                       << " must be at least 1";
  return success();
}
