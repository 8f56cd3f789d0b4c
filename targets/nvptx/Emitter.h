//===- Emitter.h - Writing GPU code with few words --------------*- C++ -*-===//
//
// Code of the nvptx target is made of 32-bit integers (64-bit ones for addresses in global memory),
// f32 scalars and short vectors that are loaded and stored whole. Every function here writes what
// one thread does; what a warp does together has its name (shuffle, multiply).
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_NVPTX_EMITTER_H
#define PIANOLA_TARGETS_NVPTX_EMITTER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace pianola::nvptx {

using mlir::Type;
using mlir::Value;

constexpr int64_t kWarp = 32;

class Emitter {
public:
  /// `builder` stands in the entry block of a function.
  Emitter(mlir::OpBuilder &builder, mlir::Location loc)
      : builder(builder), loc(loc), entry(builder.getInsertionBlock()) {}

  mlir::OpBuilder &builder;
  mlir::Location loc;
  mlir::Block *entry;

  // Types.
  Type i1() { return builder.getI1Type(); }
  Type i16() { return builder.getI16Type(); }
  Type i32() { return builder.getI32Type(); }
  Type i64() { return builder.getI64Type(); }
  Type f32() { return builder.getF32Type(); }
  Type global() { return mlir::LLVM::LLVMPointerType::get(builder.getContext(), 1); }
  Type shared() { return mlir::LLVM::LLVMPointerType::get(builder.getContext(), 3); }
  mlir::VectorType vector(Type element, int64_t count) {
    return mlir::VectorType::get({count}, element);
  }

  // Integers of one width. A constant takes the width of its partner.
  Value constant(int64_t value) { return constant(i32(), value); }
  Value constant(Type type, int64_t value);
  Value add(Value a, Value b);
  Value add(Value a, int64_t b) { return b == 0 ? a : add(a, constant(a.getType(), b)); }
  Value sub(Value a, Value b);
  Value sub(Value a, int64_t b) { return sub(a, constant(a.getType(), b)); }
  Value mul(Value a, Value b);
  Value mul(Value a, int64_t b) { return b == 1 ? a : mul(a, constant(a.getType(), b)); }
  Value div(Value a, Value b); // unsigned, as is rem
  Value div(Value a, int64_t b) { return b == 1 ? a : div(a, constant(a.getType(), b)); }
  Value rem(Value a, Value b);
  Value rem(Value a, int64_t b) { return rem(a, constant(a.getType(), b)); }
  Value min(Value a, Value b); // signed, as are max and less
  Value max(Value a, Value b);
  Value less(Value a, Value b);
  Value less(Value a, int64_t b) { return less(a, constant(a.getType(), b)); }
  Value lessUnsigned(Value a, Value b);
  Value equal(Value a, Value b);
  Value equal(Value a, int64_t b) { return equal(a, constant(a.getType(), b)); }
  Value differ(Value a, Value b);
  Value differ(Value a, int64_t b) { return differ(a, constant(a.getType(), b)); }
  Value both(Value a, Value b);   // bitwise and
  Value either(Value a, Value b); // bitwise or
  Value exclusive(Value a, Value b);
  /// (a & mask) | c and (a & mask) ^ c in one instruction: ptxas does not find it where both are
  /// constants.
  Value maskedOr(Value a, int64_t mask, int64_t c);
  Value maskedXor(Value a, int64_t mask, int64_t c);
  Value negate(Value condition);
  Value shiftLeft(Value a, int64_t bits);
  Value shiftLeft(Value a, Value bits);
  Value shiftRight(Value a, int64_t bits); // unsigned
  Value shiftRight(Value a, Value bits);
  Value shiftRightSigned(Value a, int64_t bits);
  Value leadingZeros(Value a);
  Value widen(Value a);  // to 64 bits, unsigned
  Value narrow(Value a); // to 32 bits
  Value select(Value condition, Value a, Value b);

  // Memory. Offsets count bytes; they may be 32 or 64 bits wide, unsigned.
  Value at(Value pointer, Value offset);
  Value at(Value pointer, int64_t offset);
  Value load(Type type, Value pointer, unsigned alignment = 0);
  /// From memory that nothing writes while the kernel runs.
  Value loadConstant(Type type, Value pointer, unsigned alignment = 0);
  /// Exactly here and exactly once: for words that other threads or the host change.
  Value loadVolatile(Type type, Value pointer);
  void store(Value value, Value pointer, unsigned alignment = 0);
  void storeVolatile(Value value, Value pointer);
  Value globalAt(Value address) { return toPointer(address, global()); }
  Value toPointer(Value integer, Type pointer);
  Value toInteger(Value pointer, Type integer);

  // Vectors.
  Value element(Value vector, int64_t index);
  Value vectorOf(llvm::ArrayRef<Value> elements);
  Value zeros(mlir::VectorType type);
  Value bits(Value value, Type type); // the same bits as another type

  // f32.
  Value real(double value);
  Value fadd(Value a, Value b);
  Value fsub(Value a, Value b);
  Value fmul(Value a, Value b);
  Value fdiv(Value a, Value b); // rounded to nearest
  Value fmax(Value a, Value b); // the other one, if one is NaN
  Value fmin(Value a, Value b);
  Value fabs(Value a);
  Value toReal(Value integer);           // unsigned, rounded to nearest
  Value truncate(Value a, Type integer); // towards zero, unsigned
  Value fma(Value a, Value b, Value c);
  Value fless(Value a, Value b);
  Value fequal(Value a, Value b);
  /// Within 2 ulp, flushing denormals: ex2.approx, rsqrt.approx, rcp.approx of the ISA.
  Value exp2(Value a);
  Value exp(Value a) { return exp2(fmul(a, real(1.4426950408889634))); }
  Value rsqrt(Value a);
  Value reciprocal(Value a);
  Value tanh(Value a);                // 1 - 2 / (1 + e^2a)
  Value softcap(Value a, double cap); // cap * tanh(a / cap)
  /// Two f32 rounded to bf16, `low` in the lower half of the i32.
  struct Pairs {
    llvm::SmallVector<Value> greater, lesser;
  };
  /// Floats as sums of two bf16 numbers, in pairs.
  Pairs splitPairs(llvm::ArrayRef<Value> values);
  Value packBf16(Value low, Value high);
  /// a * b + c in both halves of pairs of bf16, rounded once.
  Value fmaPairs(Value a, Value b, Value c);
  /// The halves of a pair of bf16 as f32.
  Value lowBf16(Value pair);
  Value highBf16(Value pair);
  /// An element of type f32, bf16 or f16 as f32.
  Value widenElement(Value value);

  // The warp.
  Value shuffleXor(Value value, int64_t mask);
  Value shuffleFrom(Value value, Value lane);
  /// Sum or maximum over the lanes whose numbers differ in the bits of `width - 1`, in a fixed
  /// order.
  Value sumLanes(Value value, int64_t width = kWarp);
  Value greatestLane(Value value, int64_t width = kWarp);
  /// The same of whole numbers, in one instruction each (sm_80): sum, greatest (unsigned).
  Value reduce(mlir::NVVM::ReduxKind kind, Value value);
  /// Sums of whole numbers over the lanes up to this one.
  Value sumLanesBefore(Value value, Value lane);
  void syncWarp();
  /// D = A B + C of mma.m16n8k16 with bf16 operands: 4, 2 and 4 registers; or, with 2, 1 and 4, of
  /// mma.m16n8k8.
  llvm::SmallVector<Value, 4> multiply(llvm::ArrayRef<Value> a, llvm::ArrayRef<Value> b,
                                       llvm::ArrayRef<Value> c);
  Value call(llvm::StringRef intrinsic, Type result, mlir::ValueRange operands);

  // Control.
  void loop(Value low, Value high, Value step, llvm::function_ref<void(Value)> body);
  void loop(Value low, Value high, int64_t step, llvm::function_ref<void(Value)> body) {
    loop(low, high, constant(low.getType(), step), body);
  }
  llvm::SmallVector<Value>
  loop(Value low, Value high, Value step, llvm::ArrayRef<Value> initial,
       llvm::function_ref<llvm::SmallVector<Value>(Value, mlir::ValueRange)> body);
  /// Runs `body` for as long as `condition` gives true.
  void loopWhile(llvm::function_ref<Value()> condition, llvm::function_ref<void()> body);
  void when(Value condition, llvm::function_ref<void()> body,
            llvm::function_ref<void()> otherwise = nullptr);
  /// One of two values, of which only the one that is wanted is computed.
  llvm::SmallVector<Value> choose(Value condition,
                                  llvm::function_ref<llvm::SmallVector<Value>()> yes,
                                  llvm::function_ref<llvm::SmallVector<Value>()> no);
};

/// A local variable of a thread; LLVM makes a register of it.
class Variable {
public:
  Variable() = default;
  Variable(Emitter &emit, Type type);
  Variable(Emitter &emit, Value initial) : Variable(emit, initial.getType()) { set(emit, initial); }
  Type getType() const { return type; }
  Value get(Emitter &emit) const { return emit.load(type, storage); }
  void set(Emitter &emit, Value value) const { emit.store(value, storage); }

private:
  Value storage;
  Type type;
};

} // namespace pianola::nvptx

#endif
