//===- Contract.cpp - Inner products of a weight tile with every slot -----===//

#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

// Weights of this many k stay in the first cache while all blocks of slots pass by: 32 rows of bf16
// are 32 KiB.
static constexpr int64_t kDepthBlock = 512;

// Hardware follows a tape by itself, but stops at the ends of pages.
static constexpr int64_t kAhead = 4096;

bool PartEmitter::takesTiles(tile::ContractOp op) {
  auto type = cast<RankedTensorType>(op.getValue().getType());
  return cpu.hasTileProducts() && type.getDimSize(0) > 1 &&
         formFor(cpu, op.getMatrix().getType().getElement(), type.getElementType()) == Form::Split;
}

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

  // What tiles do not reach, half of a tile's depth, goes the other way.
  bool tiles = takesTiles(op);
  int64_t inTiles = tiles ? depth / kSplitBlock * kSplitBlock : 0;
  Value slots = sub(high, low), firstInTiles = low, slotsInTiles = slots;
  if (tiles) {
    firstInTiles = mul(div(low, 16), 16);
    slotsInTiles = mul(div(add(sub(high, firstInTiles), 15), 16), 16);
  }

  auto group = [&](Value firstRow, int64_t registers) {
    int64_t stepBytes = 16 * registers * perStep * bytes;
    ProductKind kind{matrix.getElement(),   form,   registers, stepBytes,
                     stepBytes / registers, kAhead, oneSlot};
    Value from = at(weights, mul(firstRow, depth * bytes));
    auto multiply = [&](Value k, Value end) {
      Value slot = kind.tiles ? firstInTiles : low;
      kernels.call(
          *this, kind,
          {at(from, mul(k, stepBytes / perStep)), at(row(vectors, slot), offsetIn(*this, form, k)),
           constant(vectors.stride * vectors.elementBytes()),
           at(row(results, slot), mul(firstRow, 4)), constant(results.stride * 4),
           div(sub(end, k), perStep), kind.tiles ? slotsInTiles : slots, equal(k, constant(0))});
    };
    auto multiplyInBlocks = [&](int64_t begin, int64_t end) {
      if (oneSlot || end - begin <= kDepthBlock)
        return multiply(constant(begin), constant(end));
      loop(constant(begin), constant(end), kDepthBlock,
           [&](Value k) { multiply(k, min(constant(end), add(k, kDepthBlock))); });
    };
    if (inTiles > 0) {
      kind.tiles = true;
      multiplyInBlocks(0, inTiles);
      kind.tiles = false;
    }
    if (inTiles < depth)
      multiplyInBlocks(inTiles, depth);
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
