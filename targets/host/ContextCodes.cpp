//===- ContextCodes.cpp - Contexts of codes -------------------------------===//

#include "targets/host/ContextCodes.h"
#include "targets/host/Codes.h"

using namespace mlir;

namespace pianola::host {

constexpr int64_t kGroup = 16; // positions

static bool isFloat(tile::ContextType context) { return context.getElement().isFloat8E4M3FN(); }
static int64_t groupBytes(tile::ContextType context) { return kGroup * context.getPositionBytes(); }

//===----------------------------------------------------------------------===//
// Numbers to codes
//===----------------------------------------------------------------------===//

// 16 lanes, already divided by their scale.
static Value encode(Emitter &e, tile::ContextType context, Value lanes) {
  Type i32 = e.vector(e.i32()), i8 = e.vector(e.builder.getI8Type());
  OpBuilder &b = e.builder;
  if (!isFloat(context)) {
    Value whole = b.create<LLVM::RoundEvenOp>(e.loc, lanes.getType(), lanes);
    return b.create<arith::TruncIOp>(e.loc, i8, b.create<arith::FPToSIOp>(e.loc, i32, whole));
  }
  // Times 2^-120, the bits of e4m3 stand in the middle of an f32 (see tinyTimes). What is cut off
  // rounds what stays.
  Value tiny = e.fmul(lanes, e.real(lanes.getType(), 1 / tinyTimes(encoding::Code::F8E4M3)));
  Value bits = e.bits(tiny, e.i32());
  Value size = b.create<arith::AndIOp>(e.loc, bits, e.lanesOf(0x7fffffff));
  Value odd = b.create<arith::AndIOp>(e.loc, b.create<arith::ShRUIOp>(e.loc, size, e.lanesOf(20)),
                                      e.lanesOf(1));
  Value most = b.create<arith::AddIOp>(e.loc, odd, e.lanesOf(0x7ffff));
  Value code =
      b.create<arith::ShRUIOp>(e.loc, b.create<arith::AddIOp>(e.loc, size, most), e.lanesOf(20));
  Value sign = b.create<arith::AndIOp>(e.loc, b.create<arith::ShRUIOp>(e.loc, bits, e.lanesOf(24)),
                                       e.lanesOf(0x80));
  return b.create<arith::TruncIOp>(e.loc, i8, b.create<arith::OrIOp>(e.loc, code, sign));
}

void appendCodes(Emitter &e, tile::ContextType context, tile::ContextPart part, Value row,
                 Type element, Value half, Value position, Value codes) {
  int64_t size = context.getSize(), bytes = element.getIntOrFloatBitWidth() / 8;
  bool isKey = part == tile::ContextPart::Key;
  Type f32x16 = e.vector(e.f32()), i8 = e.builder.getI8Type();
  auto lanesAt = [&](Value column) {
    return e.loadLanes(element, e.at(row, e.mul(column, bytes)));
  };
  Value lanes = e.loop(e.constant(0), e.constant(size), 16, {e.real(f32x16, 0)},
                       [&](Value column, ValueRange most) -> SmallVector<Value> {
                         Value magnitude =
                             e.builder.create<LLVM::FAbsOp>(e.loc, f32x16, lanesAt(column));
                         return {e.fmax(most[0], magnitude)};
                       })[0];
  Value most = e.greatest(lanes), greatestCode = e.real(isFloat(context) ? 448 : 127);
  Value group = e.at(half, e.mul(e.div(position, kGroup), groupBytes(context)));
  Value inGroup = e.rem(position, kGroup);
  e.store(e.fdiv(most, greatestCode), e.at(group, e.mul(inGroup, 4)));
  Value inverse = e.splat(e.fdiv(greatestCode, e.fmax(most, e.real(1e-30f))));
  Value to = e.at(group, kScaleBytes);
  if (!isKey)
    to = e.at(to, e.mul(inGroup, size));
  e.loop(e.constant(0), e.constant(size), 16, [&](Value column) {
    Value codesOfLanes = encode(e, context, e.fmul(lanesAt(column), inverse));
    e.store(codesOfLanes, e.at(isKey ? codes : to, column), 1);
  });
  if (!isKey)
    return;
  to = e.at(to, inGroup);
  e.loop(e.constant(0), e.constant(size), 1,
         [&](Value i) { e.store(e.load(i8, e.at(codes, i), 1), e.at(to, e.mul(i, kGroup)), 1); });
}

//===----------------------------------------------------------------------===//
// Codes to numbers
//===----------------------------------------------------------------------===//

Value loadCodes(Emitter &e, Type element, Value from) {
  Value codes = e.load(e.vector(e.builder.getI8Type()), from, 1);
  Value whole = e.builder.create<arith::ExtSIOp>(e.loc, e.vector(e.i32()), codes);
  if (element.isInteger(8))
    return e.builder.create<arith::SIToFPOp>(e.loc, e.vector(e.f32()), whole);
  // The sign's copies are above the code: see floatOf.
  Value moved = e.builder.create<arith::ShLIOp>(e.loc, whole, e.lanesOf(20));
  Value bits = e.builder.create<arith::AndIOp>(e.loc, moved, e.lanesOf(int32_t(0x87f00000)));
  return e.fmul(e.bits(bits, e.f32()),
                e.real(e.vector(e.f32()), tinyTimes(encoding::Code::F8E4M3)));
}

// Four vectors of 16 codes at a time, a line of memory. They follow each other by 16 bytes as keys,
// lane by lane, and by a head as values, position by position.
void widenCodes(Emitter &e, tile::ContextType context, tile::ContextPart part, Value from,
                int64_t count, Value to) {
  int64_t size = context.getSize(), ahead = count / kGroup * groupBytes(context);
  auto four = [&](Value line, Value codes, Value numbers, int64_t step) {
    e.prefetch(e.at(line, ahead));
    for (int64_t i = 0; i < 4; ++i)
      e.store(loadCodes(e, context.getElement(), e.at(codes, i * step)),
              e.at(numbers, i * step * 4), 64);
  };
  e.loop(e.constant(0), e.constant(count / kGroup), 1, [&](Value number) {
    Value group = e.at(from, e.mul(number, groupBytes(context)));
    Value codes = e.at(group, kScaleBytes), numbers = e.at(to, e.mul(number, kGroup * size * 4));
    e.prefetch(e.at(group, ahead)); // the scales
    if (part == tile::ContextPart::Key) {
      e.loop(e.constant(0), e.constant(size * kGroup), 64, [&](Value at) {
        Value line = e.at(codes, at);
        four(line, line, e.at(numbers, e.mul(at, 4)), kGroup);
      });
      return;
    }
    e.loop(e.constant(0), e.constant(kGroup), 4, [&](Value position) {
      Value row = e.mul(position, size);
      e.loop(e.constant(0), e.constant(size), 16, [&](Value lane) {
        Value line = e.at(codes, e.add(row, e.mul(lane, 4))), at = e.add(row, lane);
        four(line, e.at(codes, at), e.at(numbers, e.mul(at, 4)), size);
      });
    });
  });
}

} // namespace pianola::host
