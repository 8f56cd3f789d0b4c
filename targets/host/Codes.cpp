//===- Codes.cpp - Codes and scales of the tape in registers --------------===//

#include "targets/host/Codes.h"

using namespace mlir;

namespace pianola::host {

using encoding::Code;

static Value filled(Emitter &e, Type like, int32_t value) {
  if (isa<VectorType>(like))
    return e.lanesOf(value);
  return e.builder.create<arith::ConstantOp>(e.loc, e.builder.getI32IntegerAttr(value));
}

// Bits of a scale, one or 16, as f32.
static Value powerOfTwo(Emitter &e, Value bytes, Type i32, Type f32) {
  // The exponent of a float; a byte of 0 is 2^-127, which is a float only without its exponent.
  Value wide = e.builder.create<arith::ExtUIOp>(e.loc, i32, bytes);
  Value shifted = e.builder.create<arith::ShLIOp>(e.loc, wide, filled(e, i32, 23));
  Value isLeast =
      e.builder.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, wide, filled(e, i32, 0));
  Value bits = e.select(isLeast, filled(e, i32, 0x00400000), shifted);
  return e.builder.create<arith::BitcastOp>(e.loc, f32, bits);
}

Value loadScale(Emitter &e, encoding::Scale type, Value pointer) {
  switch (type) {
  case encoding::Scale::F32:
    return e.load(e.f32(), pointer, 1);
  case encoding::Scale::BF16:
  case encoding::Scale::F16:
    return e.loadScalar(type == encoding::Scale::F16 ? Type(e.builder.getF16Type()) : e.bf16(),
                        pointer);
  case encoding::Scale::E8M0:
    return powerOfTwo(e, e.load(e.builder.getI8Type(), pointer, 1), e.i32(), e.f32());
  }
  llvm_unreachable("unknown scale");
}

Value loadScales(Emitter &e, encoding::Scale type, Value pointer) {
  switch (type) {
  case encoding::Scale::F32:
    return e.load(e.vector(e.f32()), pointer, 1);
  case encoding::Scale::BF16:
  case encoding::Scale::F16:
    return e.loadLanes(type == encoding::Scale::F16 ? Type(e.builder.getF16Type()) : e.bf16(),
                       pointer);
  case encoding::Scale::E8M0:
    return powerOfTwo(e, e.load(e.vector(e.builder.getI8Type()), pointer, 1), e.vector(e.i32()),
                      e.vector(e.f32()));
  }
  llvm_unreachable("unknown scale");
}

float tinyTimes(Code code) { return code == Code::F8E4M3 ? 0x1p120f : 0x1p126f; }

// Shifted right with its sign, a code has the sign where it was, copies of it, and the rest.
Value floatOf(Emitter &e, Code code, Value upper) {
  bool isE4M3 = code == Code::F8E4M3;
  Value moved = e.builder.create<arith::ShRSIOp>(e.loc, upper, filled(e, e.i32(), isE4M3 ? 4 : 6));
  Value bits = e.builder.create<arith::AndIOp>(
      e.loc, moved, filled(e, e.i32(), int32_t(isE4M3 ? 0x87f00000 : 0x81c00000)));
  Value tiny = e.builder.create<arith::BitcastOp>(e.loc, e.f32(), bits);
  return e.fmul(tiny, e.real(tinyTimes(code)));
}

// Two columns at a time become upper halves of f32, which are bf16.
SmallVector<Value> tinyFloatsOf(Emitter &e, Value fours) {
  Type i16 = e.builder.getI16Type();
  auto type = e.vector(i16, 32);
  auto all = [&](int16_t value) -> Value {
    return e.builder.create<arith::ConstantOp>(e.loc, DenseElementsAttr::get(type, value));
  };
  SmallVector<Value> floats(4);
  for (int64_t odd = 0; odd < 2; ++odd) {
    Value upper = e.bits(fours, i16);
    if (!odd)
      upper = e.builder.create<arith::ShLIOp>(e.loc, upper, all(8));
    Value moved = e.builder.create<arith::ShRSIOp>(e.loc, upper, all(4));
    Value pairs =
        e.bits(e.builder.create<arith::AndIOp>(e.loc, moved, all(int16_t(0x87f0))), e.i32());
    floats[odd] = e.evenOf(pairs);
    floats[odd + 2] = e.oddOf(pairs);
  }
  return floats;
}

int64_t middleOf(Code code) { return code == Code::I8 ? 128 : code == Code::I4 ? 8 : 12; }

Value countHalves(Emitter &e, Value codes) {
  static constexpr int8_t kDoubled[8] = {0, 1, 2, 3, 4, 6, 8, 12};
  Type i8 = e.builder.getI8Type();
  bool isWide = e.cpu.hasAvx512();
  int64_t bytes = isWide ? 64 : 32;
  SmallVector<int8_t> table(bytes);
  for (int64_t i = 0; i < bytes; ++i)
    table[i] = int8_t(middleOf(Code::F4E2M1) + (i & 8 ? -kDoubled[i % 8] : kDoubled[i % 8]));
  auto type = e.vector(i8, bytes);
  Value numbers = e.builder.create<arith::ConstantOp>(
      e.loc, DenseElementsAttr::get(type, ArrayRef<int8_t>(table)));
  auto look = [&](StringRef name, Value index) {
    return e.intrinsic(name, type, {numbers, e.bits(index, i8)});
  };
  if (isWide)
    return e.bits(look("avx512.pshuf.b.512", codes), e.i32());
  return e.inHalves(
      codes, [&](ValueRange half) { return e.bits(look("avx2.pshuf.b", half[0]), e.i32()); });
}

} // namespace pianola::host
