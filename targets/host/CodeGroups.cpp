//===- CodeGroups.cpp - Groups of codes as the tape has them --------------===//

#include "targets/host/CodeGroups.h"
#include "targets/host/Codes.h"

using namespace mlir;

namespace pianola::host {

using encoding::Code;

int64_t CodeKind::groupBytes() const {
  int64_t rows = 16 * registers;
  return codeBytes(group) + (hasScales() ? rows * (type.getScaleBytes() + type.getZeroBytes()) : 0);
}

std::string CodeKind::name() const {
  std::string text = "codes.";
  llvm::raw_string_ostream out(text);
  out << encoding::stringifyCode(type.getCode()) << "." << group << "." << block << "." << run
      << "." << (hasScales() ? encoding::stringifyScale(type.getScale()) : "row")
      << (type.getZeros() ? ".zeros" : "") << "." << registers << "." << ahead
      << (single ? ".single" : "") << (narrow ? ".narrow" : "") << (tiles ? ".tiles" : "");
  if (passes > 1)
    out << "." << passes << ".passes";
  return text;
}

Value codesOf(Emitter &e, const CodeKind &kind, Value group) {
  return e.at(group, kind.groupBytes() - kind.codeBytes(kind.group));
}

SmallVector<Value> scalesOf(Emitter &e, const CodeKind &kind, Value group) {
  SmallVector<Value> scales(kind.registers);
  if (kind.hasScales())
    for (int64_t r = 0; r < kind.registers; ++r)
      scales[r] =
          loadScales(e, kind.type.getScale(), e.at(group, r * 16 * kind.type.getScaleBytes()));
  return scales;
}

SmallVector<Value> zerosOf(Emitter &e, const CodeKind &kind, Value group, Value ofRows) {
  SmallVector<Value> zeros(kind.registers, e.lanesOf(int32_t(middleOf(kind.type.getCode()))));
  if (!kind.type.getZeros())
    return zeros;
  Value at = ofRows;
  if (kind.hasScales())
    at = e.at(group, 16 * kind.registers * kind.type.getScaleBytes());
  for (int64_t r = 0; r < kind.registers; ++r)
    zeros[r] = e.builder.create<arith::ExtUIOp>(
        e.loc, e.vector(e.i32()), e.load(e.vector(e.builder.getI8Type()), e.at(at, r * 16), 1));
  return zeros;
}

SmallVector<Value> countsOf(Emitter &e, const CodeKind &kind, Value step) {
  Value bytes = e.load(e.vector(e.i32()), step, 1);
  if (!kind.isPacked())
    return {bytes};
  Value mask = e.lanesOf(0x0f0f0f0f);
  Value shifted = e.builder.create<arith::ShRUIOp>(e.loc, bytes, e.lanesOf(4));
  SmallVector<Value> halves = {e.builder.create<arith::AndIOp>(e.loc, bytes, mask),
                               e.builder.create<arith::AndIOp>(e.loc, shifted, mask)};
  if (kind.type.getCode() == Code::F4E2M1)
    for (Value &half : halves)
      half = countHalves(e, half);
  return halves;
}

BlockActivation loadBlockActivation(Emitter &e, const CodeKind &kind, Value scale, Value sum) {
  Value factor = e.load(e.f32(), scale);
  if (kind.type.getCode() == Code::F4E2M1) // was counted in halves
    factor = e.fmul(factor, e.real(0.5f));
  return {e.splat(factor), e.splat(e.load(e.i32(), sum))};
}

Value addCounted(Emitter &e, Value sum, Value zero, Value scale, const BlockActivation &activation,
                 Value result) {
  if (zero)
    sum = e.builder.create<arith::SubIOp>(
        e.loc, sum, e.builder.create<arith::MulIOp>(e.loc, zero, activation.sum));
  Value real = e.builder.create<arith::SIToFPOp>(e.loc, e.vector(e.f32()), sum);
  return e.fma(real, scale ? e.fmul(scale, activation.scale) : activation.scale, result);
}

} // namespace pianola::host
