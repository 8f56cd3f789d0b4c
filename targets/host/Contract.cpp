//===- Contract.cpp - Inner products of a weight tile with every slot -----===//

#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

// Weights of this many k stay in the first cache while all blocks of slots pass by: 32 rows of bf16
// are 32 KiB.
static constexpr int64_t kDepthBlock = 512;

// Hardware follows a tape by itself, but stops at the ends of pages.
static constexpr int64_t kAhead = 4096;

void PartEmitter::lowerContract(tile::ContractOp op) {
  tile::MatrixType matrix = op.getMatrix().getType();
  auto type = cast<RankedTensorType>(op.getValue().getType());
  Place vectors = places.lookup(op.getValue());
  Form form = formFor(cpu, matrix.getElement(), vectors.element);
  if (form == Form::Split) {
    auto found = splits.find(op.getValue());
    vectors = found != splits.end() ? found->second : splitRows(vectors, type.getDimSize(0));
  }
  Place results = place(op.getResult());
  Value weights = weightAt(op.getMatrix());
  int64_t bytes = matrix.getElement().getIntOrFloatBitWidth() / 8, depth = matrix.getDepth();
  int64_t perStep = matrix.getElement().isBF16() ? 2 : 1;

  auto group = [&](Value firstRow, int64_t registers) {
    int64_t stepBytes = 16 * registers * perStep * bytes;
    ProductKind kind{matrix.getElement(),   form,   registers, stepBytes,
                     stepBytes / registers, kAhead, oneSlot};
    Value from = at(weights, mul(firstRow, depth * bytes));
    Value x = at(vectors.base, mul(low, vectors.stride * vectors.elementBytes()));
    auto multiply = [&](Value k, Value steps) {
      kernels.call(*this, kind,
                   {at(from, mul(k, stepBytes / perStep)), at(x, mul(k, bytesOf(form))),
                    constant(vectors.stride * vectors.elementBytes()),
                    at(row(results, low), mul(firstRow, 4)), constant(results.stride * 4), steps,
                    sub(high, low), equal(k, constant(0))});
    };
    if (oneSlot || depth <= kDepthBlock)
      return multiply(constant(0), constant(depth / perStep));
    loop(constant(0), constant(depth), kDepthBlock, [&](Value k) {
      multiply(k, div(min(sub(constant(depth), k), constant(kDepthBlock)), perStep));
    });
  };
  int64_t whole = matrix.getRowPad() / 32 * 32;
  if (whole == 32)
    group(constant(0), 2);
  else if (whole > 32)
    loop(constant(0), constant(whole), 32, [&](Value first) { group(first, 2); });
  if (whole < matrix.getRowPad())
    group(constant(whole), 1);
}

} // namespace pianola::host
