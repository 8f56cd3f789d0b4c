//===- IntegerRows.cpp - Activations as integers --------------------------===//

#include "targets/host/IntegerRows.h"

using namespace mlir;

namespace pianola::host {

// A sum of products of a block fits 31 bits: 128 * 255 * 32512.
constexpr int64_t kMostOfBlock = 128;
// The greatest code of an activation: one whose upper byte rounds to 127, and of a narrow one 127.
constexpr float kGreatest = 32512, kGreatestNarrow = 127;

// As many columns as fit, of which there are a whole number in a group.
static int64_t blockOf(int64_t group) {
  int64_t block = std::min(group, kMostOfBlock) / 32 * 32;
  while (block > 32 && group % block)
    block -= 32;
  return std::max<int64_t>(block, 32);
}

IntegerRow::IntegerRow(const HostCpu &cpu, encoding::ScaledType type, RankedTensorType values)
    : columns(values.getDimSize(1)),
      block(type.getGroup() ? blockOf(type.getGroup()) : kMostOfBlock),
      narrow(values.getElementType().isBF16() && cpu.hasByteProducts()) {}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

// Codes of 16 columns, from `column` on.
static void storeCodes(Emitter &e, bool narrow, Value codes, Value column, Value to) {
  auto &builder = e.builder;
  Type i8 = builder.getI8Type(), i16 = builder.getI16Type();
  if (narrow) {
    e.store(builder.create<arith::TruncIOp>(e.loc, e.vector(i8), codes), e.at(to, column), 1);
    return;
  }
  if (e.cpu.hasByteProducts()) {
    // The lower byte is signed: what it lacks the upper one has.
    Value upper = builder.create<arith::ShRSIOp>(
        e.loc, builder.create<arith::AddIOp>(e.loc, codes, e.lanesOf(128)), e.lanesOf(8));
    Value at = e.at(to, e.add(e.mul(e.div(column, 32), 64), e.rem(column, 32)));
    e.store(builder.create<arith::TruncIOp>(e.loc, e.vector(i8), upper), at, 1);
    e.store(builder.create<arith::TruncIOp>(e.loc, e.vector(i8), codes), e.at(at, 32), 1);
    return;
  }
  SmallVector<int32_t> order;
  for (int32_t column = 0; column < 16; column += 4)
    order.append({column, column + 2, column + 1, column + 3});
  Value halves = builder.create<arith::TruncIOp>(e.loc, e.vector(i16), codes);
  e.store(builder.create<LLVM::ShuffleVectorOp>(e.loc, halves, halves, order),
          e.at(to, e.mul(column, 2)), 1);
}

void storeIntegers(Emitter &e, const IntegerRow &row, llvm::function_ref<Value(Value)> lanes,
                   Value to) {
  VectorType f32x16 = e.vector(e.f32());
  Value most = e.real(row.narrow ? kGreatestNarrow : kGreatest);
  e.loop(e.constant(0), e.constant(row.blocks()), 1, [&](Value number) {
    Value begin = e.mul(number, row.block);
    Value end = e.min(e.add(begin, row.block), e.constant(row.columns));
    Value magnitudes =
        e.loop(begin, end, 16, {e.real(f32x16, 0)}, [&](Value column, ValueRange carried) {
          Value magnitude = e.builder.create<LLVM::FAbsOp>(e.loc, f32x16, lanes(column));
          return SmallVector<Value>{e.fmax(carried[0], magnitude)};
        })[0];
    Value greatest = e.greatest(magnitudes);
    // A block of zeros, or of what a float cannot divide by, has codes of zero.
    Value isTiny =
        e.builder.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::OLT, greatest, e.real(1e-30f));
    Value inverse = e.select(isTiny, e.real(0), e.fdiv(most, greatest));
    Value factor = e.splat(inverse);
    Value sums = e.loop(begin, end, 16, {e.lanesOf(0)}, [&](Value column, ValueRange carried) {
      Value scaled =
          e.builder.create<LLVM::RoundEvenOp>(e.loc, f32x16, e.fmul(lanes(column), factor));
      Value codes = e.builder.create<arith::FPToSIOp>(e.loc, e.vector(e.i32()), scaled);
      storeCodes(e, row.narrow, codes, column, to);
      return SmallVector<Value>{e.builder.create<arith::AddIOp>(e.loc, carried[0], codes)};
    })[0];
    e.store(e.fdiv(greatest, most), e.at(to, e.add(e.mul(number, 4), row.scalesAt())));
    Value sum = e.builder.create<vector::ReductionOp>(e.loc, vector::CombiningKind::ADD, sums);
    e.store(sum, e.at(to, e.add(e.mul(number, 4), row.sumsAt())));
  });
}

} // namespace pianola::host
