//===- Score.cpp - How well positions match what slots look for -----------===//
//
// Of a slot, 64 positions at a time: inner products of their keys with all heads' queries, as
// attention takes them, of which then each positive one is weighed by its head.
//
//===----------------------------------------------------------------------===//

#include "targets/host/ContextCodes.h"
#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

void PartEmitter::lowerScore(tile::ScoreOp op) {
  constexpr int64_t kGroup = tile::ScoreOp::kGroup, kRowBytes = kGroup * 4;
  tile::ContextType context = op.getPast().getType();
  Place queries = places.lookup(op.getQueries()), weights = places.lookup(op.getWeights());
  int64_t size = context.getSize(), heads = op.getHeads(), parts = op.getParts();
  Type element = context.hasScales() ? f32() : context.getElement();
  int64_t bytes = element.getIntOrFloatBitWidth() / 8, perStep = element.isBF16() ? 2 : 1;
  int64_t positionBytes = context.hasScales() ? size * 4 : context.getPositionBytes();
  int64_t ahead = context.hasScales() ? 0 : kGroup * positionBytes;
  Form form = queries.element.isF32() ? Form::F32 : formFor(cpu, element, queries.element);
  ProductKind kind{element, form, kGroup / 16, 16 * perStep * bytes, 16 * positionBytes, ahead};

  Value packed = allocate(bf16(), heads * rowBytes(form, size) / 2);
  Value products = allocate(f32(), heads * kGroup), numbers;
  if (context.hasScales())
    numbers = allocate(f32(), kGroup * size);
  Value part = evaluate(op.getPartAttr());
  VectorType f32x16 = vector(f32());
  Value zero = real(f32x16, 0), factor = real(f32x16, op.getScale().convertToFloat());
  int64_t columns = op.getScores().getType().getColumns();
  Place scores = slice(op.getScores(), columns, op.getSlotsAttr(), AffineMapAttr());

  loop(low, high, 1, [&](Value slot) {
    loop(constant(0), constant(heads), 1, [&](Value head) {
      Value to = at(packed, mul(head, rowBytes(form, size)));
      loop(constant(0), constant(size), 16, [&](Value lane) {
        storeForm(*this, lanes(queries, slot, add(mul(head, size), lane)), form, to, lane);
      });
    });
    Value keys = halfOf(op.getPast(), sequenceOf(slot), constant(0), tile::ContextPart::Key);
    Value end = div(add(positionOf(slot), kGroup), kGroup); // groups that it sees
    loop(part, end, parts, [&](Value group) {
      Value from = at(keys, mul(group, kGroup * context.getPositionBytes())), own = from;
      if (context.hasScales()) {
        widenCodes(*this, context, tile::ContextPart::Key, from, kGroup, numbers);
        own = numbers;
      }
      callProducts(kernels, *this, kind,
                   {own, packed, constant(rowBytes(form, size)), products, constant(kRowBytes),
                    constant(size / perStep), constant(heads), equal(constant(0), constant(0))});
      SmallVector<Value> scales;
      if (context.hasScales())
        for (int64_t i = 0; i < kGroup; i += 16)
          scales.push_back(load(f32x16, at(from, i * context.getPositionBytes())));
      SmallVector<Value> totals =
          loop(constant(0), constant(heads), 1, SmallVector<Value>(kGroup / 16, zero),
               [&](Value head, ValueRange before) {
                 Value place = at(row(weights, slot), mul(head, weights.elementBytes()));
                 Value weight = splat(loadScalar(weights.element, place));
                 SmallVector<Value> after;
                 for (auto [i, total] : llvm::enumerate(before)) {
                   Value product = load(f32x16, at(products, add(mul(head, kRowBytes), i * 64)));
                   if (context.hasScales())
                     product = fmul(product, scales[i]);
                   after.push_back(fma(weight, fmax(product, zero), total));
                 }
                 return after;
               });
      Value column = add(mul(part, op.getColumnsOfPart()), mul(div(group, parts), kGroup));
      for (auto [i, total] : llvm::enumerate(totals))
        setLanes(fmul(total, factor), scores, slot, add(column, i * 16));
    });
  });
}

} // namespace pianola::host
