//===- Emitter.cpp - Writing GPU code with few words ----------------------===//

#include "targets/nvptx/Emitter.h"

using namespace mlir;

namespace pianola::nvptx {

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value Emitter::constant(Type type, int64_t value) {
  return builder.create<arith::ConstantOp>(loc, builder.getIntegerAttr(type, value));
}
Value Emitter::add(Value a, Value b) { return builder.create<arith::AddIOp>(loc, a, b); }
Value Emitter::sub(Value a, Value b) { return builder.create<arith::SubIOp>(loc, a, b); }
Value Emitter::mul(Value a, Value b) { return builder.create<arith::MulIOp>(loc, a, b); }
Value Emitter::div(Value a, Value b) { return builder.create<arith::DivUIOp>(loc, a, b); }
Value Emitter::rem(Value a, Value b) { return builder.create<arith::RemUIOp>(loc, a, b); }
Value Emitter::min(Value a, Value b) { return builder.create<arith::MinSIOp>(loc, a, b); }
Value Emitter::max(Value a, Value b) { return builder.create<arith::MaxSIOp>(loc, a, b); }
Value Emitter::less(Value a, Value b) {
  return builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::slt, a, b);
}
Value Emitter::lessUnsigned(Value a, Value b) {
  return builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::ult, a, b);
}
Value Emitter::equal(Value a, Value b) {
  return builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, a, b);
}
Value Emitter::differ(Value a, Value b) {
  return builder.create<arith::CmpIOp>(loc, arith::CmpIPredicate::ne, a, b);
}
Value Emitter::both(Value a, Value b) { return builder.create<arith::AndIOp>(loc, a, b); }
Value Emitter::either(Value a, Value b) { return builder.create<arith::OrIOp>(loc, a, b); }
Value Emitter::exclusive(Value a, Value b) { return builder.create<arith::XOrIOp>(loc, a, b); }
// `table` is the result for a = 0xf0, b = 0xcc, c = 0xaa.
static Value logic(Emitter &e, Value a, Value b, Value c, int table) {
  std::string text = "lop3.b32 $0, $1, $2, $3, " + std::to_string(table) + ";";
  return e.builder
      .create<LLVM::InlineAsmOp>(e.loc, e.i32(), ValueRange{a, b, c}, text, "=r,r,r,r",
                                 /*has_side_effects=*/false, /*is_align_stack=*/false,
                                 LLVM::AsmDialectAttr(), ArrayAttr())
      .getResult(0);
}
Value Emitter::maskedOr(Value a, int64_t mask, int64_t c) {
  return logic(*this, a, constant(mask), constant(c), (0xf0 & 0xcc) | 0xaa);
}
Value Emitter::maskedXor(Value a, int64_t mask, int64_t c) {
  return logic(*this, a, constant(mask), constant(c), (0xf0 & 0xcc) ^ 0xaa);
}
Value Emitter::negate(Value condition) { return exclusive(condition, constant(i1(), 1)); }
Value Emitter::shiftLeft(Value a, int64_t bits) {
  return builder.create<arith::ShLIOp>(loc, a, constant(a.getType(), bits));
}
Value Emitter::shiftRight(Value a, int64_t bits) {
  return builder.create<arith::ShRUIOp>(loc, a, constant(a.getType(), bits));
}
Value Emitter::shiftLeft(Value a, Value bits) {
  return builder.create<arith::ShLIOp>(loc, a, bits);
}
Value Emitter::shiftRight(Value a, Value bits) {
  return builder.create<arith::ShRUIOp>(loc, a, bits);
}
Value Emitter::shiftRightSigned(Value a, int64_t bits) {
  return builder.create<arith::ShRSIOp>(loc, a, constant(a.getType(), bits));
}
Value Emitter::leadingZeros(Value a) {
  return builder.create<LLVM::CountLeadingZerosOp>(loc, a.getType(), a, /*is_zero_poison=*/false);
}
Value Emitter::widen(Value a) {
  return a.getType() == i64() ? a : builder.create<arith::ExtUIOp>(loc, i64(), a).getResult();
}
Value Emitter::narrow(Value a) {
  return a.getType() == i32() ? a : builder.create<arith::TruncIOp>(loc, i32(), a).getResult();
}
Value Emitter::select(Value condition, Value a, Value b) {
  return builder.create<arith::SelectOp>(loc, condition, a, b);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value Emitter::at(Value pointer, Value offset) {
  return builder.create<LLVM::GEPOp>(loc, pointer.getType(), builder.getI8Type(), pointer,
                                     ValueRange(widen(offset)));
}
Value Emitter::at(Value pointer, int64_t offset) {
  if (offset == 0)
    return pointer;
  return builder.create<LLVM::GEPOp>(loc, pointer.getType(), builder.getI8Type(), pointer,
                                     ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(offset)});
}

static unsigned alignmentOf(Type type, unsigned alignment) {
  if (alignment)
    return alignment;
  if (auto vector = dyn_cast<VectorType>(type))
    return vector.getNumElements() * vector.getElementTypeBitWidth() / 8;
  return type.getIntOrFloatBitWidth() / 8;
}

Value Emitter::load(Type type, Value pointer, unsigned alignment) {
  return builder.create<LLVM::LoadOp>(loc, type, pointer, alignmentOf(type, alignment));
}
Value Emitter::loadConstant(Type type, Value pointer, unsigned alignment) {
  return builder.create<LLVM::LoadOp>(loc, type, pointer, alignmentOf(type, alignment),
                                      /*isVolatile=*/false, /*isNonTemporal=*/false,
                                      /*isInvariant=*/true);
}
Value Emitter::loadVolatile(Type type, Value pointer) {
  return builder.create<LLVM::LoadOp>(loc, type, pointer, alignmentOf(type, 0),
                                      /*isVolatile=*/true);
}
void Emitter::store(Value value, Value pointer, unsigned alignment) {
  if (auto type = dyn_cast<LLVM::LLVMPointerType>(pointer.getType());
      type && type.getAddressSpace() == 0)
    builder.create<LLVM::StoreOp>(loc, value, pointer);
  else
    builder.create<LLVM::StoreOp>(loc, value, pointer, alignmentOf(value.getType(), alignment));
}
void Emitter::storeVolatile(Value value, Value pointer) {
  builder.create<LLVM::StoreOp>(loc, value, pointer, alignmentOf(value.getType(), 0),
                                /*isVolatile=*/true);
}
Value Emitter::toPointer(Value integer, Type pointer) {
  return builder.create<LLVM::IntToPtrOp>(loc, pointer, integer);
}
Value Emitter::toInteger(Value pointer, Type integer) {
  return builder.create<LLVM::PtrToIntOp>(loc, integer, pointer);
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

Value Emitter::element(Value vector, int64_t index) {
  return builder.create<LLVM::ExtractElementOp>(loc, vector, constant(index));
}
Value Emitter::vectorOf(ArrayRef<Value> elements) {
  VectorType type = vector(elements.front().getType(), elements.size());
  Value result = builder.create<LLVM::UndefOp>(loc, type);
  for (auto [index, value] : llvm::enumerate(elements))
    result = builder.create<LLVM::InsertElementOp>(loc, result, value, constant(index));
  return result;
}
Value Emitter::zeros(VectorType type) {
  return builder.create<LLVM::ConstantOp>(loc, type, builder.getZeroAttr(type));
}
Value Emitter::bits(Value value, Type type) {
  return builder.create<LLVM::BitcastOp>(loc, type, value);
}

//===----------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------===//

Value Emitter::real(double value) {
  return builder.create<arith::ConstantOp>(loc, builder.getF32FloatAttr(static_cast<float>(value)));
}
Value Emitter::fadd(Value a, Value b) { return builder.create<arith::AddFOp>(loc, a, b); }
Value Emitter::fsub(Value a, Value b) { return builder.create<arith::SubFOp>(loc, a, b); }
Value Emitter::fmul(Value a, Value b) { return builder.create<arith::MulFOp>(loc, a, b); }
Value Emitter::fdiv(Value a, Value b) { return builder.create<arith::DivFOp>(loc, a, b); }
Value Emitter::fmax(Value a, Value b) { return builder.create<arith::MaxNumFOp>(loc, a, b); }
Value Emitter::fmin(Value a, Value b) { return builder.create<arith::MinNumFOp>(loc, a, b); }
Value Emitter::fabs(Value a) { return builder.create<LLVM::FAbsOp>(loc, a); }
Value Emitter::toReal(Value integer) {
  return builder.create<arith::UIToFPOp>(loc, f32(), integer);
}
Value Emitter::truncate(Value a, Type integer) {
  return builder.create<arith::FPToUIOp>(loc, integer, a);
}
Value Emitter::fma(Value a, Value b, Value c) {
  return builder.create<LLVM::FMAOp>(loc, a.getType(), a, b, c);
}
Value Emitter::fless(Value a, Value b) {
  return builder.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OLT, a, b);
}
Value Emitter::fequal(Value a, Value b) {
  return builder.create<arith::CmpFOp>(loc, arith::CmpFPredicate::OEQ, a, b);
}
Value Emitter::call(StringRef intrinsic, Type result, ValueRange operands) {
  return builder
      .create<LLVM::CallIntrinsicOp>(loc, result, builder.getStringAttr(intrinsic), operands,
                                     LLVM::FastmathFlagsAttr())
      .getResults();
}
Value Emitter::exp2(Value a) { return call("llvm.nvvm.ex2.approx.ftz.f", f32(), a); }
Value Emitter::rsqrt(Value a) { return call("llvm.nvvm.rsqrt.approx.f", f32(), a); }
Value Emitter::reciprocal(Value a) {
  return builder.create<NVVM::RcpApproxFtzF32Op>(loc, f32(), a);
}
Value Emitter::tanh(Value a) {
  Value twice = exp(fadd(a, a));
  return fsub(real(1), fdiv(real(2), fadd(twice, real(1))));
}
Value Emitter::softcap(Value a, double cap) {
  return fmul(tanh(fmul(a, real(1 / cap))), real(cap));
}
Value Emitter::packBf16(Value low, Value high) {
  Type pair = vector(builder.getBF16Type(), 2);
  return bits(call("llvm.nvvm.ff2bf16x2.rn", pair, {high, low}), i32());
}
Value Emitter::fmaPairs(Value a, Value b, Value c) {
  Type pair = vector(builder.getBF16Type(), 2);
  return bits(call("llvm.nvvm.fma.rn.bf16x2", pair, {bits(a, pair), bits(b, pair), bits(c, pair)}),
              i32());
}
Emitter::Pairs Emitter::splitPairs(ArrayRef<Value> values) {
  Pairs pairs;
  for (size_t i = 0; i < values.size(); i += 2) {
    Value pair = packBf16(values[i], values[i + 1]);
    pairs.greater.push_back(pair);
    pairs.lesser.push_back(
        packBf16(fsub(values[i], lowBf16(pair)), fsub(values[i + 1], highBf16(pair))));
  }
  return pairs;
}
Value Emitter::lowBf16(Value pair) { return bits(shiftLeft(pair, 16), f32()); }
Value Emitter::highBf16(Value pair) {
  return bits(both(pair, constant(int64_t(0xffff0000))), f32());
}
Value Emitter::widenElement(Value value) {
  if (value.getType().isF32())
    return value;
  if (value.getType().isF16())
    return builder.create<arith::ExtFOp>(loc, f32(), value);
  Value whole = builder.create<arith::ExtUIOp>(loc, i32(), bits(value, i16()));
  return bits(shiftLeft(whole, 16), f32());
}

//===----------------------------------------------------------------------===//
// The warp
//===----------------------------------------------------------------------===//

Value Emitter::shuffleXor(Value value, int64_t mask) {
  return builder.create<NVVM::ShflOp>(loc, value.getType(), constant(-1), value, constant(mask),
                                      constant(31), NVVM::ShflKind::bfly, UnitAttr());
}
Value Emitter::shuffleFrom(Value value, Value lane) {
  return builder.create<NVVM::ShflOp>(loc, value.getType(), constant(-1), value, lane, constant(31),
                                      NVVM::ShflKind::idx, UnitAttr());
}
Value Emitter::sumLanes(Value value, int64_t width) {
  for (int64_t mask = width / 2; mask >= 1; mask /= 2) {
    Value other = shuffleXor(value, mask);
    value = value.getType().isF32() ? fadd(value, other) : add(value, other);
  }
  return value;
}
Value Emitter::greatestLane(Value value, int64_t width) {
  for (int64_t mask = width / 2; mask >= 1; mask /= 2)
    value = fmax(value, shuffleXor(value, mask));
  return value;
}
Value Emitter::reduce(NVVM::ReduxKind kind, Value value) {
  return builder.create<NVVM::ReduxOp>(loc, value.getType(), value, kind, constant(-1));
}
Value Emitter::sumLanesBefore(Value value, Value lane) {
  for (int64_t distance = 1; distance < kWarp; distance *= 2) {
    Value from = both(sub(lane, distance), constant(kWarp - 1));
    Value other;
    if (value.getType() == i64()) {
      Value low = shuffleFrom(narrow(value), from);
      Value high = shuffleFrom(narrow(shiftRight(value, 32)), from);
      other = either(widen(low), shiftLeft(widen(high), 32));
    } else {
      other = shuffleFrom(value, from);
    }
    value = select(less(lane, distance), value, add(value, other));
  }
  return value;
}
void Emitter::syncWarp() { builder.create<NVVM::SyncWarpOp>(loc, constant(-1)); }

SmallVector<Value, 4> Emitter::multiply(ArrayRef<Value> a, ArrayRef<Value> b, ArrayRef<Value> c) {
  auto type = LLVM::LLVMStructType::getLiteral(builder.getContext(), SmallVector<Type>(4, f32()));
  // nvvm.mma.sync of MLIR 19 takes bf16 for f16; the intrinsic knows better.
  SmallVector<Value, 10> operands(a);
  llvm::append_range(operands, b);
  llvm::append_range(operands, c);
  StringRef name =
      b.size() == 2 ? "llvm.nvvm.mma.m16n8k16.row.col.bf16" : "llvm.nvvm.mma.m16n8k8.row.col.bf16";
  Value result = call(name, type, operands);
  SmallVector<Value, 4> registers;
  for (int64_t i = 0; i < 4; ++i)
    registers.push_back(builder.create<LLVM::ExtractValueOp>(loc, result, i));
  return registers;
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

void Emitter::loop(Value low, Value high, Value step, llvm::function_ref<void(Value)> body) {
  loop(low, high, step, {}, [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>();
  });
}

SmallVector<Value> Emitter::loop(Value low, Value high, Value step, ArrayRef<Value> initial,
                                 llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto op = builder.create<scf::ForOp>(
      loc, low, high, step, initial, [&](OpBuilder &inner, Location, Value i, ValueRange carried) {
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
        SmallVector<Value> next = body(i, carried);
        builder.create<scf::YieldOp>(loc, next);
      });
  return op.getResults();
}

void Emitter::loopWhile(llvm::function_ref<Value()> condition, llvm::function_ref<void()> body) {
  auto op = builder.create<scf::WhileOp>(loc, TypeRange(), ValueRange());
  OpBuilder::InsertionGuard guard(builder);
  builder.createBlock(&op.getBefore());
  Value goOn = condition();
  builder.create<scf::ConditionOp>(loc, goOn, ValueRange());
  builder.createBlock(&op.getAfter());
  body();
  builder.create<scf::YieldOp>(loc);
}

void Emitter::when(Value condition, llvm::function_ref<void()> body,
                   llvm::function_ref<void()> otherwise) {
  auto op = builder.create<scf::IfOp>(loc, condition, /*withElseRegion=*/bool(otherwise));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.thenBlock());
  body();
  if (otherwise) {
    builder.setInsertionPointToStart(op.elseBlock());
    otherwise();
  }
}

SmallVector<Value> Emitter::choose(Value condition, llvm::function_ref<SmallVector<Value>()> yes,
                                   llvm::function_ref<SmallVector<Value>()> no) {
  auto build = [&](llvm::function_ref<SmallVector<Value>()> body) {
    return [&, body](OpBuilder &inner, Location) {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPoint(inner.getInsertionBlock(), inner.getInsertionPoint());
      SmallVector<Value> values = body();
      builder.create<scf::YieldOp>(loc, values);
    };
  };
  return builder.create<scf::IfOp>(loc, condition, build(yes), build(no)).getResults();
}

//===----------------------------------------------------------------------===//
// Variables
//===----------------------------------------------------------------------===//

Variable::Variable(Emitter &emit, Type type) : type(type) {
  OpBuilder::InsertionGuard guard(emit.builder);
  emit.builder.setInsertionPointToStart(emit.entry);
  storage = emit.builder.create<LLVM::AllocaOp>(
      emit.loc, LLVM::LLVMPointerType::get(emit.builder.getContext()), type,
      emit.constant(emit.i64(), 1));
}

} // namespace pianola::nvptx
