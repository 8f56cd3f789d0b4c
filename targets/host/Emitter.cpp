//===- Emitter.cpp - Writing scalar and vector code with few words --------===//

#include "targets/host/Emitter.h"
#include <numeric>

using namespace mlir;

namespace pianola::host {

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value Emitter::constant(int64_t value) {
  return builder.create<arith::ConstantOp>(loc, builder.getI64IntegerAttr(value));
}
Value Emitter::add(Value a, Value b) { return builder.create<arith::AddIOp>(loc, a, b); }
Value Emitter::sub(Value a, Value b) { return builder.create<arith::SubIOp>(loc, a, b); }
Value Emitter::mul(Value a, Value b) { return builder.create<arith::MulIOp>(loc, a, b); }
Value Emitter::div(Value a, int64_t b) {
  return b == 1 ? a : builder.create<arith::DivUIOp>(loc, a, constant(b)).getResult();
}
Value Emitter::rem(Value a, int64_t b) {
  return b == 1 ? constant(0) : builder.create<arith::RemUIOp>(loc, a, constant(b)).getResult();
}
Value Emitter::min(Value a, Value b) { return builder.create<arith::MinSIOp>(loc, a, b); }
Value Emitter::max(Value a, Value b) { return builder.create<arith::MaxSIOp>(loc, a, b); }
Value Emitter::less(Value a, Value b) {
  return builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::slt, a, b);
}
Value Emitter::equal(Value a, Value b) {
  return builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, a, b);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value Emitter::at(Value base, Value offset) {
  return builder.create<LLVM::GEPOp>(loc, pointer(), builder.getI8Type(), base, ValueRange(offset));
}
Value Emitter::load(Type type, Value from, unsigned alignment) {
  return builder.create<LLVM::LoadOp>(loc, type, from, alignment);
}
void Emitter::store(Value value, Value to, unsigned alignment) {
  builder.create<LLVM::StoreOp>(loc, value, to, alignment);
}
void Emitter::prefetch(Value where, bool intoSecond) {
  // A read, to be kept in all caches or in those from the second on, of data.
  builder.create<LLVM::Prefetch>(loc, where, 0, intoSecond ? 2 : 3, 1);
}

//===----------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------===//

Value Emitter::real(Type type, float value) {
  TypedAttr attr = builder.getF32FloatAttr(value);
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, Attribute(attr));
  return builder.create<arith::ConstantOp>(loc, attr);
}
Value Emitter::splat(Value scalar, int64_t lanes) {
  return builder.create<vector::BroadcastOp>(loc, vector(scalar.getType(), lanes), scalar);
}
Value Emitter::fadd(Value a, Value b) { return builder.create<arith::AddFOp>(loc, a, b); }
Value Emitter::fsub(Value a, Value b) { return builder.create<arith::SubFOp>(loc, a, b); }
Value Emitter::fmul(Value a, Value b) { return builder.create<arith::MulFOp>(loc, a, b); }
Value Emitter::fdiv(Value a, Value b) { return builder.create<arith::DivFOp>(loc, a, b); }
Value Emitter::fmax(Value a, Value b) { return builder.create<arith::MaxNumFOp>(loc, a, b); }
Value Emitter::fmin(Value a, Value b) { return builder.create<arith::MinNumFOp>(loc, a, b); }
Value Emitter::fma(Value a, Value b, Value c) {
  return builder.create<LLVM::FMAOp>(loc, a.getType(), a, b, c);
}
Value Emitter::sqrt(Value a) { return builder.create<LLVM::SqrtOp>(loc, a.getType(), a); }
Value Emitter::sum(Value a) {
  // Halves, so that the order is a tree and the same everywhere.
  for (int64_t lanes = cast<VectorType>(a.getType()).getDimSize(0) / 2; lanes >= 1; lanes /= 2)
    a = fadd(builder.create<vector::ExtractStridedSliceOp>(loc, a, ArrayRef<int64_t>{0}, lanes, 1),
             builder.create<vector::ExtractStridedSliceOp>(loc, a, lanes, lanes, 1));
  return builder.create<vector::ExtractOp>(loc, a, 0);
}
Value Emitter::greatest(Value a) {
  for (int64_t lanes = cast<VectorType>(a.getType()).getDimSize(0) / 2; lanes >= 1; lanes /= 2)
    a = fmax(builder.create<vector::ExtractStridedSliceOp>(loc, a, ArrayRef<int64_t>{0}, lanes, 1),
             builder.create<vector::ExtractStridedSliceOp>(loc, a, lanes, lanes, 1));
  return builder.create<vector::ExtractOp>(loc, a, 0);
}
Value Emitter::select(Value condition, Value a, Value b) {
  return builder.create<arith::SelectOp>(loc, condition, a, b);
}

Value Emitter::lanesBelow(Value count) {
  SmallVector<int32_t> ramp(16);
  std::iota(ramp.begin(), ramp.end(), 0);
  Value lane = builder.create<arith::ConstantOp>(
      loc, DenseElementsAttr::get(vector(i32()), ArrayRef<int32_t>(ramp)));
  Value end = splat(builder.create<arith::TruncIOp>(loc, i32(), count));
  return builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::slt, lane, end);
}

// tanh(x) = 1 - 2 / (e^2x + 1).
Value Emitter::softcap(Value a, float cap) {
  auto c = [&](float value) { return real(a.getType(), value); };
  Value twice = exp(fmul(a, c(2 / cap)));
  return fmul(fsub(c(1), fdiv(c(2), fadd(twice, c(1)))), c(cap));
}

// x = n ln 2 + r with |r| <= ln 2 / 2, so exp(x) = 2^n exp(r); ln 2 in two parts (Cody and Waite,
// 1980), exp(r) by its Taylor polynomial of degree 7, whose remainder is 0.347^8 / 8! < 2^-27.
Value Emitter::exp(Value a) {
  Type type = a.getType();
  Type integers = i32();
  if (auto vector = dyn_cast<VectorType>(type))
    integers = this->vector(i32(), vector.getDimSize(0));
  auto c = [&](double value) { return real(type, static_cast<float>(value)); };
  Value tiny = builder.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OLT, a, c(-87.0));
  Value x = fmax(a, c(-87.0));
  x = builder.create<arith::MinNumFOp>(loc, x, c(88.0));
  Value n = builder.create<LLVM::RoundEvenOp>(loc, type, fmul(x, c(1.4426950408889634)));
  Value r = fma(n, c(-0.693145751953125), x);
  r = fma(n, c(-1.42860682030941723212e-6), r);
  Value y = c(1.0 / 5040);
  for (double coefficient : {1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0})
    y = fma(y, r, c(coefficient));
  Value exponent = builder.create<arith::FPToSIOp>(loc, integers, n);
  auto integer = [&](int32_t value) -> Value {
    TypedAttr attr = builder.getI32IntegerAttr(value);
    if (auto vector = dyn_cast<VectorType>(integers))
      attr = DenseElementsAttr::get(vector, Attribute(attr));
    return builder.create<arith::ConstantOp>(loc, attr);
  };
  exponent = builder.create<arith::ShLIOp>(
      loc, builder.create<arith::AddIOp>(loc, exponent, integer(127)), integer(23));
  Value result = fmul(y, builder.create<arith::BitcastOp>(loc, type, exponent));
  return select(tiny, c(0), result);
}

//===----------------------------------------------------------------------===//
// bf16, which is the upper half of f32
//===----------------------------------------------------------------------===//

Value Emitter::lanesOf(int32_t value) {
  return builder.create<arith::ConstantOp>(
      loc, DenseElementsAttr::get(vector(i32()), Attribute(builder.getI32IntegerAttr(value))));
}

Value Emitter::bits(Value from, Type element) {
  auto type = cast<VectorType>(from.getType());
  int64_t lanes = type.getDimSize(0) * type.getElementTypeBitWidth();
  return builder.create<LLVM::BitcastOp>(
      loc, vector(element, lanes / element.getIntOrFloatBitWidth()), from);
}

Value Emitter::evenOf(Value pairs) {
  return bits(builder.create<arith::ShLIOp>(loc, pairs, lanesOf(16)), f32());
}
Value Emitter::oddOf(Value pairs) {
  return bits(builder.create<arith::AndIOp>(loc, pairs, lanesOf(int32_t(0xffff0000))), f32());
}

Value Emitter::intrinsic(StringRef name, Type result, ValueRange operands) {
  return builder
      .create<LLVM::CallIntrinsicOp>(loc, result, builder.getStringAttr("llvm.x86." + name),
                                     operands)
      .getResults();
}

Value Emitter::inHalves(ValueRange lanes, llvm::function_ref<Value(ValueRange)> body) {
  SmallVector<int32_t> order(16);
  std::iota(order.begin(), order.end(), 0);
  Value results[2];
  for (int64_t half = 0; half < 2; ++half) {
    SmallVector<Value> halves;
    for (Value each : lanes)
      halves.push_back(builder.create<LLVM::ShuffleVectorOp>(loc, each, each,
                                                             ArrayRef(order).slice(half * 8, 8)));
    results[half] = body(halves);
  }
  return builder.create<LLVM::ShuffleVectorOp>(loc, results[0], results[1], order);
}

Value Emitter::roundToBf16(Value lanes) {
  if (cpu.hasBf16Products())
    return builder.create<arith::TruncFOp>(loc, vector(bf16()), lanes);
  // LLVM would call a library: add half of the last place that stays, less one if that is even. A
  // NaN could overflow, so it loses its payload first.
  Value whole = bits(lanes, i32());
  Value upper = builder.create<arith::ShRUIOp>(loc, whole, lanesOf(16));
  Value even = builder.create<arith::AndIOp>(loc, upper, lanesOf(1));
  Value rounded = builder.create<arith::AddIOp>(
      loc, whole, builder.create<arith::AddIOp>(loc, even, lanesOf(0x7fff)));
  Value isNan = builder.create<arith::CmpFOp>(loc, arith::CmpFPredicate::UNO, lanes, lanes);
  rounded = select(isNan, lanesOf(0x7fc00000), rounded);
  Value halves = builder.create<arith::TruncIOp>(
      loc, vector(builder.getI16Type()), builder.create<arith::ShRUIOp>(loc, rounded, lanesOf(16)));
  return bits(halves, bf16());
}

Value Emitter::loadLanes(Type element, Value pointer) {
  if (element.isF32())
    return load(vector(f32()), pointer);
  if (element.isF16())
    return builder.create<arith::ExtFOp>(loc, vector(f32()),
                                         load(vector(builder.getF16Type()), pointer, 2));
  Value halves = load(vector(builder.getI16Type()), pointer, 2);
  return evenOf(builder.create<arith::ExtUIOp>(loc, vector(i32()), halves));
}

void Emitter::storeLanes(Value value, Type element, Value pointer) {
  if (element.isBF16())
    value = roundToBf16(value);
  store(value, pointer, element.isBF16() ? 2 : 4);
}

Value Emitter::loadScalar(Type element, Value pointer) {
  if (element.isF32())
    return load(f32(), pointer);
  if (element.isF16())
    return builder.create<arith::ExtFOp>(loc, f32(), load(builder.getF16Type(), pointer, 2));
  Value bits = builder.create<arith::ExtUIOp>(loc, i32(), load(builder.getI16Type(), pointer, 2));
  Value sixteen = builder.create<arith::ConstantOp>(loc, builder.getI32IntegerAttr(16));
  return builder.create<arith::BitcastOp>(loc, f32(),
                                          builder.create<arith::ShLIOp>(loc, bits, sixteen));
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

void Emitter::loop(Value low, Value high, int64_t step, llvm::function_ref<void(Value)> body) {
  loop(low, high, step, {}, [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>();
  });
}

SmallVector<Value> Emitter::loop(Value low, Value high, int64_t step, ArrayRef<Value> initial,
                                 llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto op = builder.create<scf::ForOp>(
      loc, low, high, constant(step), initial,
      [&](OpBuilder &inner, Location, Value i, ValueRange carried) {
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
        SmallVector<Value> next = body(i, carried);
        builder.create<scf::YieldOp>(loc, next);
      });
  return op.getResults();
}

void Emitter::when(Value condition, llvm::function_ref<void()> body) {
  auto op = builder.create<scf::IfOp>(loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  body();
}

} // namespace pianola::host
