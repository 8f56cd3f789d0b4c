//===- Encoding.cpp - How the bytes of a weight mean numbers --------------===//

#include "dialects/encoding/Encoding.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialects/encoding/EncodingDialect.cpp.inc"
#include "dialects/encoding/EncodingEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/encoding/EncodingTypes.cpp.inc"

using namespace mlir;

namespace pianola::encoding {

void EncodingDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/encoding/EncodingTypes.cpp.inc"
      >();
}

LogicalResult ScaledType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, Code code,
                                 int64_t group, Scale, bool zeros, bool order) {
  if (group < 0 || group % 32)
    return emitError() << "a group is a multiple of 32 columns, or 0 for whole rows, found "
                       << group;
  if (zeros && code != Code::I8 && code != Code::I4)
    return emitError() << stringifyCode(code) << " has a zero of its own and no zero points";
  if (order && group == 0)
    return emitError() << "whole rows need no order of their columns";
  return success();
}

int64_t ScaledType::getCodeBits() const {
  return getCode() == Code::I8 || getCode() == Code::F8E4M3 ? 8 : 4;
}

int64_t ScaledType::getScaleBytes() const {
  switch (getScale()) {
  case Scale::F32:
    return 4;
  case Scale::BF16:
  case Scale::F16:
    return 2;
  case Scale::E8M0:
    return 1;
  }
  llvm_unreachable("unknown scale");
}

LogicalResult TwoOfFourType::verify(llvm::function_ref<InFlightDiagnostic()> emitError,
                                    Type element) {
  if (!element.isBF16())
    return emitError() << "two of four columns have a bf16, found " << element;
  return success();
}

LogicalResult BlocksType::verify(llvm::function_ref<InFlightDiagnostic()> emitError, Type element,
                                 int64_t kept) {
  if (!isPlain(element))
    return emitError() << "blocks are of f32, bf16 or f16, found " << element;
  if (kept < 1)
    return emitError() << "of blocks at least one stands there, not " << kept;
  return success();
}

bool isEncoding(Type type) {
  return isPlain(type) || isa<ScaledType, TwoOfFourType, BlocksType>(type);
}

bool isPlain(Type type) { return type.isF32() || type.isBF16() || type.isF16(); }

Type elementOf(Type encoding) {
  if (auto pruned = dyn_cast<TwoOfFourType>(encoding))
    return pruned.getElement();
  auto blocks = dyn_cast<BlocksType>(encoding);
  return blocks ? blocks.getElement() : encoding;
}

int64_t bitsOf(Type encoding) {
  if (auto scaled = dyn_cast<ScaledType>(encoding))
    return scaled.getCodeBits();
  if (auto pruned = dyn_cast<TwoOfFourType>(encoding))
    return pruned.getElement().getIntOrFloatBitWidth() / 2;
  return elementOf(encoding).getIntOrFloatBitWidth();
}

int64_t rowBytes(Type encoding, int64_t columns) {
  if (auto blocks = dyn_cast<BlocksType>(encoding))
    return blocks.getKept() *
           (rowBytes(blocks.getElement(), BlocksType::kSide) + BlocksType::kNumberBytes);
  int64_t bytes = (columns * bitsOf(encoding) + 7) / 8;
  if (auto scaled = dyn_cast<ScaledType>(encoding))
    bytes += scaled.getGroups(columns) * (scaled.getScaleBytes() + scaled.getZeroBytes());
  if (isa<TwoOfFourType>(encoding))
    bytes += TwoOfFourType::getPatternBytes(columns);
  return bytes;
}

} // namespace pianola::encoding
