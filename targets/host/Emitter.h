//===- Emitter.h - Writing scalar and vector code with few words *- C++ -*-===//
//
// Code of the host target is made of 64-bit integers, pointers, f32 scalars and vectors of 16
// lanes. A vector of 16 lanes is one register with AVX-512 and two with AVX2; LLVM splits it.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_HOST_EMITTER_H
#define PIANOLA_TARGETS_HOST_EMITTER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"
#include "targets/host/HostCpu.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace pianola::host {

using mlir::Type;
using mlir::Value;

class Emitter {
public:
  Emitter(mlir::OpBuilder &builder, mlir::Location loc, const HostCpu &cpu)
      : builder(builder), loc(loc), cpu(cpu) {}

  mlir::OpBuilder &builder;
  mlir::Location loc;
  const HostCpu &cpu;

  // Types.
  Type i64() { return builder.getI64Type(); }
  Type i32() { return builder.getI32Type(); }
  Type f32() { return builder.getF32Type(); }
  Type bf16() { return builder.getBF16Type(); }
  Type pointer() { return mlir::LLVM::LLVMPointerType::get(builder.getContext()); }
  mlir::VectorType vector(Type element, int64_t lanes = 16) {
    return mlir::VectorType::get({lanes}, element);
  }

  // Integers.
  Value constant(int64_t value);
  Value add(Value a, Value b);
  Value add(Value a, int64_t b) { return b == 0 ? a : add(a, constant(b)); }
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value mul(Value a, int64_t b) { return b == 1 ? a : mul(a, constant(b)); }
  Value div(Value a, int64_t b);
  Value rem(Value a, int64_t b);
  Value min(Value a, Value b);
  Value max(Value a, Value b);
  Value less(Value a, Value b); // signed
  Value equal(Value a, Value b);

  // Memory. Offsets count bytes.
  Value at(Value pointer, Value offset);
  Value at(Value pointer, int64_t offset) {
    return offset == 0 ? pointer : at(pointer, constant(offset));
  }
  Value load(Type type, Value pointer, unsigned alignment = 4);
  void store(Value value, Value pointer, unsigned alignment = 4);
  void prefetch(Value pointer, bool intoSecond = false);

  // Floats, scalar or vector.
  Value real(float value) { return real(f32(), value); }
  Value real(Type type, float value);
  Value splat(Value scalar, int64_t lanes = 16);
  Value fadd(Value a, Value b);
  Value fsub(Value a, Value b);
  Value fmul(Value a, Value b);
  Value fdiv(Value a, Value b);
  Value fmax(Value a, Value b);
  Value fmin(Value a, Value b);
  Value fma(Value a, Value b, Value c);
  Value sqrt(Value a);
  /// Sum or maximum of a vector's lanes, in a fixed order.
  Value sum(Value a);
  Value greatest(Value a);
  /// e to the a, within 2 ulp; 0 below -87.
  Value exp(Value a);
  /// cap * tanh(a / cap).
  Value softcap(Value a, float cap);
  Value select(Value condition, Value a, Value b);

  /// Of 16 lanes those whose number is below `count`, an i64.
  Value lanesBelow(Value count);
  // Vectors of 16 integers, and their bits as another type.
  Value lanesOf(int32_t value);
  Value bits(Value vector, Type element);
  /// The even elements of pairs of bf16 as f32, and the odd ones.
  Value evenOf(Value pairs);
  Value oddOf(Value pairs);
  /// A call of LLVM's `llvm.x86.` and `name`.
  Value intrinsic(llvm::StringRef name, Type result, mlir::ValueRange operands);
  /// What is done with registers of AVX2, which take eight lanes of i32.
  Value inHalves(mlir::ValueRange lanes, llvm::function_ref<Value(mlir::ValueRange)> body);
  /// f32 lanes as bf16, to the nearest, ties to even.
  Value roundToBf16(Value lanes);

  /// Reads 16 lanes of f32 or bf16 as f32; writes f32 lanes as either.
  Value loadLanes(Type element, Value pointer);
  void storeLanes(Value value, Type element, Value pointer);
  /// One element as f32.
  Value loadScalar(Type element, Value pointer);

  // Control.
  void loop(Value low, Value high, int64_t step, llvm::function_ref<void(Value)> body);
  llvm::SmallVector<Value>
  loop(Value low, Value high, int64_t step, llvm::ArrayRef<Value> initial,
       llvm::function_ref<llvm::SmallVector<Value>(Value, mlir::ValueRange)> body);
  void when(Value condition, llvm::function_ref<void()> body);
};

} // namespace pianola::host

#endif
