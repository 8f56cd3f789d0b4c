//===- IntegerProducts.cpp - Inner products of integer codes --------------===//

#include "targets/host/IntegerProducts.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace pianola::host {

// A sum of products of a block fits 31 bits: 128 * 255 * 32512.
constexpr int64_t kMostOfBlock = 128;
// The greatest code of an activation, whose upper byte rounds to 127.
constexpr float kGreatest = 32512;

static bool hasByteProducts(const Emitter &e) { return e.cpu.hasByteProducts(); }

// As many columns as fit, of which there are a whole number in a group.
static int64_t blockOf(int64_t group) {
  int64_t block = std::min(group, kMostOfBlock) / 32 * 32;
  while (block > 32 && group % block)
    block -= 32;
  return std::max<int64_t>(block, 32);
}

IntegerRow::IntegerRow(encoding::ScaledType type, int64_t columns)
    : columns(columns), block(type.getGroup() ? blockOf(type.getGroup()) : kMostOfBlock) {}

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

// Codes of 16 columns, from `column` on.
static void storeCodes(Emitter &e, Value codes, Value column, Value to) {
  auto &builder = e.builder;
  Type i8 = builder.getI8Type(), i16 = builder.getI16Type();
  if (hasByteProducts(e)) {
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
  e.loop(e.constant(0), e.constant(row.blocks()), 1, [&](Value number) {
    Value begin = e.mul(number, row.block);
    Value end = e.min(e.add(begin, row.block), e.constant(row.columns));
    Value most = e.loop(begin, end, 16, {e.real(f32x16, 0)}, [&](Value column, ValueRange carried) {
      Value magnitude = e.builder.create<LLVM::FAbsOp>(e.loc, f32x16, lanes(column));
      return SmallVector<Value>{e.fmax(carried[0], magnitude)};
    })[0];
    Value greatest = e.greatest(most);
    // A block of zeros, or of what a float cannot divide by, has codes of zero.
    Value isTiny =
        e.builder.create<arith::CmpFOp>(e.loc, arith::CmpFPredicate::OLT, greatest, e.real(1e-30f));
    Value inverse = e.select(isTiny, e.real(0), e.fdiv(e.real(kGreatest), greatest));
    Value factor = e.splat(inverse);
    Value sums = e.loop(begin, end, 16, {e.lanesOf(0)}, [&](Value column, ValueRange carried) {
      Value scaled =
          e.builder.create<LLVM::RoundEvenOp>(e.loc, f32x16, e.fmul(lanes(column), factor));
      Value codes = e.builder.create<arith::FPToSIOp>(e.loc, e.vector(e.i32()), scaled);
      storeCodes(e, codes, column, to);
      return SmallVector<Value>{e.builder.create<arith::AddIOp>(e.loc, carried[0], codes)};
    })[0];
    e.store(e.fdiv(greatest, e.real(kGreatest)), e.at(to, e.add(e.mul(number, 4), row.scalesAt())));
    Value sum = e.builder.create<vector::ReductionOp>(e.loc, vector::CombiningKind::ADD, sums);
    e.store(sum, e.at(to, e.add(e.mul(number, 4), row.sumsAt())));
  });
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

int64_t IntegerKind::groupBytes() const {
  int64_t rows = 16 * registers, codes = rows * group * type.getCodeBits() / 8;
  return codes + (hasScales() ? rows * (type.getScaleBytes() + type.getZeroBytes()) : 0);
}

std::string IntegerKind::name() const {
  std::string text = "integer";
  llvm::raw_string_ostream out(text);
  out << "." << encoding::stringifyCode(type.getCode()) << "." << group << "." << block << "."
      << (hasScales() ? encoding::stringifyScale(type.getScale()) : "row")
      << (type.getZeros() ? ".zeros" : "") << "." << registers << "." << ahead;
  return text;
}

Value loadScale(Emitter &e, encoding::Scale type, Value pointer) {
  auto &builder = e.builder;
  switch (type) {
  case encoding::Scale::F32:
    return e.load(e.f32(), pointer, 1);
  case encoding::Scale::BF16:
  case encoding::Scale::F16:
    return e.loadScalar(type == encoding::Scale::F16 ? Type(builder.getF16Type()) : e.bf16(),
                        pointer);
  case encoding::Scale::E8M0: {
    auto integer = [&](int32_t value) -> Value {
      return builder.create<arith::ConstantOp>(e.loc, builder.getI32IntegerAttr(value));
    };
    Value byte =
        builder.create<arith::ExtUIOp>(e.loc, e.i32(), e.load(builder.getI8Type(), pointer, 1));
    Value isLeast =
        builder.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, byte, integer(0));
    Value bits = e.select(isLeast, integer(0x00400000),
                          builder.create<arith::ShLIOp>(e.loc, byte, integer(23)));
    return builder.create<arith::BitcastOp>(e.loc, e.f32(), bits);
  }
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
  case encoding::Scale::E8M0: {
    // The exponent of a float; a byte of 0 is 2^-127, which is a float only without its exponent.
    Value bytes = e.builder.create<arith::ExtUIOp>(
        e.loc, e.vector(e.i32()), e.load(e.vector(e.builder.getI8Type()), pointer, 1));
    Value shifted = e.builder.create<arith::ShLIOp>(e.loc, bytes, e.lanesOf(23));
    Value isLeast =
        e.builder.create<arith::CmpIOp>(e.loc, arith::CmpIPredicate::eq, bytes, e.lanesOf(0));
    return e.bits(e.select(isLeast, e.lanesOf(0x00400000), shifted), e.f32());
  }
  }
  llvm_unreachable("unknown scale");
}

namespace {

// Writes one kernel.
class IntegerKernel {
public:
  IntegerKernel(OpBuilder &builder, Location loc, const HostCpu &cpu, const IntegerKind &kind,
                const IntegerProducts &of, Value scales, Value sums)
      : e(builder, loc, cpu), kind(kind), of(of), scales(scales), sums(sums) {}

  void run();

private:
  // Codes of four columns, as unsigned bytes of each row.
  SmallVector<Value> codesOf(Value step);
  void addFour(Value codes, Value activation, int64_t first, MutableArrayRef<Value> sums);
  Value sumOf(ArrayRef<Value> parts);
  SmallVector<Value> unit(Value weights, ArrayRef<Value> rows, Value column, int64_t columns,
                          ValueRange carried);
  SmallVector<Value> addGroup(Value number, ArrayRef<Value> rows, ValueRange carried);
  void vectors(Value first, int64_t count);

  int64_t parts() const { return hasByteProducts(e) ? 2 : 1; } // sums of a vector
  bool isPacked() const { return kind.type.getCodeBits() == 4; }
  Value integer(int32_t value) { return e.lanesOf(value); }
  template <typename Op> Value op(Value a, Value b) { return e.builder.create<Op>(e.loc, a, b); }
  Value call(StringRef name, Type type, ArrayRef<Value> arguments) {
    return e.builder
        .create<LLVM::CallIntrinsicOp>(e.loc, type, e.builder.getStringAttr("llvm.x86." + name),
                                       arguments)
        .getResults();
  }

  Emitter e;
  const IntegerKind &kind;
  const IntegerProducts &of;
  Value scales, sums; // of the activations' first row: where they stand
};

// A step is four columns of 8 bits, or eight of 4: the first four are lower halves of bytes.
SmallVector<Value> IntegerKernel::codesOf(Value step) {
  Value bytes = e.load(e.vector(e.i32()), step, 1);
  if (!isPacked())
    return {bytes};
  Value mask = integer(0x0f0f0f0f);
  return {op<arith::AndIOp>(bytes, mask),
          op<arith::AndIOp>(op<arith::ShRUIOp>(bytes, integer(4)), mask)};
}

// Adds the products of four columns. `activation` is the address of their codes.
void IntegerKernel::addFour(Value codes, Value activation, int64_t first,
                            MutableArrayRef<Value> sums) {
  VectorType i32x16 = e.vector(e.i32());
  if (hasByteProducts(e)) {
    for (int64_t part = 0; part < 2; ++part) {
      Value four = e.splat(e.load(e.i32(), e.at(activation, first + part * 32), 1));
      sums[part] = call("avx512.vpdpbusd.512", i32x16, {sums[part], codes, four});
    }
    return;
  }
  Value mask = integer(0x00ff00ff);
  Value weights[2] = {op<arith::AndIOp>(codes, mask),
                      op<arith::AndIOp>(op<arith::ShRUIOp>(codes, integer(8)), mask)};
  Type i16 = e.builder.getI16Type();
  for (int64_t odd = 0; odd < 2; ++odd) {
    Value pair = e.splat(e.load(e.i32(), e.at(activation, first * 2 + odd * 4), 1));
    Value product;
    if (e.cpu.hasAvx512()) {
      product = call("avx512.pmaddw.d.512", i32x16, {e.bits(weights[odd], i16), e.bits(pair, i16)});
    } else {
      SmallVector<int32_t> low, high, both;
      for (int32_t i = 0; i < 16; ++i) {
        (i < 8 ? low : high).push_back(i);
        both.push_back(i);
      }
      auto half = [&](Value vector, ArrayRef<int32_t> lanes) {
        return e.bits(e.builder.create<LLVM::ShuffleVectorOp>(e.loc, vector, vector, lanes), i16);
      };
      auto multiply = [&](ArrayRef<int32_t> lanes) {
        return call("avx2.pmadd.wd", e.vector(e.i32(), 8),
                    {half(weights[odd], lanes), half(pair, lanes)});
      };
      product = e.builder.create<LLVM::ShuffleVectorOp>(e.loc, multiply(low), multiply(high), both);
    }
    sums[0] = op<arith::AddIOp>(sums[0], product);
  }
}

Value IntegerKernel::sumOf(ArrayRef<Value> parts) {
  if (parts.size() == 1)
    return parts[0];
  return op<arith::AddIOp>(op<arith::ShLIOp>(parts[0], integer(8)), parts[1]);
}

// 16 or 32 columns.
SmallVector<Value> IntegerKernel::unit(Value weights, ArrayRef<Value> rows, Value column,
                                       int64_t columns, ValueRange carried) {
  SmallVector<Value> next(carried);
  int64_t perStep = isPacked() ? 8 : 4;
  for (int64_t first = 0; first < columns; first += perStep) {
    Value step = e.at(weights, first / perStep * 64 * kind.registers);
    if (kind.ahead)
      for (int64_t r = 0; r < kind.registers; ++r)
        e.prefetch(e.at(step, kind.ahead + r * 64));
    for (int64_t r = 0; r < kind.registers; ++r)
      for (auto [four, codes] : llvm::enumerate(codesOf(e.at(step, r * 64))))
        for (auto [v, row] : llvm::enumerate(rows))
          addFour(codes, e.at(row, e.mul(column, 2)), first + four * 4,
                  MutableArrayRef<Value>(next).slice((v * kind.registers + r) * parts(), parts()));
  }
  return next;
}

// Group `number`, counted from the first of the call.
SmallVector<Value> IntegerKernel::addGroup(Value number, ArrayRef<Value> rows, ValueRange carried) {
  Value group = e.at(of.weights, e.mul(number, kind.groupBytes())), codes = group;
  SmallVector<Value> results(carried), weightScales, zeros;
  int64_t lanes = 16 * kind.registers;
  for (int64_t r = 0; r < kind.registers; ++r) {
    Value zero = integer(kind.type.getCodeBits() == 8 ? 128 : 8);
    if (kind.hasScales())
      weightScales.push_back(
          loadScales(e, kind.type.getScale(), e.at(group, r * 16 * kind.type.getScaleBytes())));
    if (kind.hasScales() && kind.type.getZeros()) {
      Value at = e.at(group, lanes * kind.type.getScaleBytes() + r * 16);
      zero = e.builder.create<arith::ExtUIOp>(e.loc, e.vector(e.i32()),
                                              e.load(e.vector(e.builder.getI8Type()), at, 1));
    }
    zeros.push_back(zero);
  }
  if (kind.hasScales())
    codes = e.at(group, lanes * (kind.type.getScaleBytes() + kind.type.getZeroBytes()));

  // Blocks are unrolled: a group has one nearly always.
  for (int64_t begin = 0; begin < kind.group; begin += kind.block) {
    int64_t columns = std::min(kind.block, kind.group - begin), whole = columns / 32 * 32;
    Value first = e.add(e.mul(number, kind.group), begin);
    SmallVector<Value> sums(rows.size() * kind.registers * parts(), integer(0));
    auto bytesOf = [&](int64_t columns) { return columns * lanes * kind.type.getCodeBits() / 8; };
    Value block = e.at(codes, bytesOf(begin));
    auto addUnit = [&](Value at, ValueRange carried) {
      return unit(e.at(block, e.mul(at, bytesOf(32) / 32)), rows, e.add(first, at), 32, carried);
    };
    if (whole == 32)
      sums = addUnit(e.constant(0), sums);
    else if (whole > 32)
      sums = e.loop(e.constant(0), e.constant(whole), 32, sums, addUnit);
    if (whole < columns)
      sums = unit(e.at(block, bytesOf(whole)), rows, e.add(first, whole), columns - whole, sums);
    Value at = e.mul(e.div(e.add(of.column, first), kind.block), 4);
    for (size_t v = 0; v < rows.size(); ++v) {
      Value row = e.mul(e.constant(v), of.activationStride);
      Value factor = e.splat(e.load(e.f32(), e.at(e.at(scales, row), at)));
      Value codeSum = e.splat(e.load(e.i32(), e.at(e.at(this->sums, row), at)));
      for (int64_t r = 0; r < kind.registers; ++r) {
        Value &result = results[v * kind.registers + r];
        Value sum = sumOf(ArrayRef<Value>(sums).slice((v * kind.registers + r) * parts(), parts()));
        sum = op<arith::SubIOp>(sum, op<arith::MulIOp>(zeros[r], codeSum));
        Value real = e.builder.create<arith::SIToFPOp>(e.loc, e.vector(e.f32()), sum);
        Value scale = kind.hasScales() ? e.fmul(weightScales[r], factor) : factor;
        result = e.fma(real, scale, result);
      }
    }
  }
  return results;
}

// Rows of activations first .. first+count-1.
void IntegerKernel::vectors(Value first, int64_t count) {
  VectorType f32x16 = e.vector(e.f32());
  SmallVector<Value> rows, results, initial;
  Value firstRow = e.mul(first, of.activationStride);
  Value codes = e.at(e.at(of.activations, firstRow), e.mul(of.column, 2));
  for (int64_t v = 0; v < count; ++v) {
    rows.push_back(e.at(codes, e.mul(of.activationStride, v)));
    results.push_back(e.at(of.results, e.mul(e.add(first, v), of.resultStride)));
    for (int64_t r = 0; r < kind.registers; ++r)
      initial.push_back(
          e.select(of.fresh, e.real(f32x16, 0), e.load(f32x16, e.at(results[v], r * 64))));
  }
  Value keptScales = scales, keptSums = sums;
  scales = e.at(scales, firstRow);
  sums = e.at(sums, firstRow);
  SmallVector<Value> done =
      e.loop(e.constant(0), of.groups, 1, initial,
             [&](Value number, ValueRange carried) { return addGroup(number, rows, carried); });
  scales = keptScales;
  sums = keptSums;
  for (int64_t v = 0; v < count; ++v)
    for (int64_t r = 0; r < kind.registers; ++r)
      e.store(done[v * kind.registers + r], e.at(results[v], r * 64));
}

// Three sums a vector and the weights are in registers, of which there are 32 with AVX-512; with
// AVX2 16, and a vector of 16 lanes needs two.
void IntegerKernel::run() {
  int64_t most = (e.cpu.hasAvx512() ? 8 : 2) / kind.registers;
  Value at = e.constant(0);
  for (int64_t count = most; count >= 1; count /= 2) {
    Value end = e.add(at, e.mul(e.div(e.sub(of.count, at), count), count));
    e.loop(at, end, count, [&](Value first) { vectors(first, count); });
    at = end;
  }
}

} // namespace

void IntegerKernels::call(Emitter &emit, const IntegerKind &kind, const IntegerRow &row,
                          const IntegerProducts &of) {
  func::FuncOp &function = functions[kind.name()];
  if (!function) {
    Location loc = module.getLoc();
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    Type pointer = LLVM::LLVMPointerType::get(builder.getContext()), i64 = builder.getI64Type();
    SmallVector<Type> types = {
        pointer, pointer, i64, i64, pointer, i64, i64, i64, builder.getI1Type(), pointer, pointer};
    function = builder.create<func::FuncOp>(loc, kind.name(), builder.getFunctionType(types, {}));
    function->setAttr("llvm.linkage",
                      LLVM::LinkageAttr::get(builder.getContext(), LLVM::Linkage::Internal));
    function->setAttr("passthrough", builder.getStrArrayAttr({"noinline"}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    auto argument = [&](unsigned i) -> Value { return function.getArgument(i); };
    IntegerProducts inside{argument(0), argument(1), argument(2), argument(3), argument(4),
                           argument(5), argument(6), argument(7), argument(8)};
    IntegerKernel(builder, loc, cpu, kind, inside, argument(9), argument(10)).run();
    builder.create<func::ReturnOp>(loc);
  }
  emit.builder.create<func::CallOp>(
      emit.loc, function,
      ValueRange{of.weights, of.activations, of.column, of.activationStride, of.results,
                 of.resultStride, of.groups, of.count, of.fresh,
                 emit.at(of.activations, row.scalesAt()), emit.at(of.activations, row.sumsAt())});
}

} // namespace pianola::host
