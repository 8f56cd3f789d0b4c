//===- CodeProducts.cpp - Inner products of codes -------------------------===//

#include "targets/host/CodeProducts.h"
#include "targets/host/Codes.h"

using namespace mlir;

namespace pianola::host {

using encoding::Code;

int64_t CodeKind::groupBytes() const {
  int64_t rows = 16 * registers, codes = rows * group * type.getCodeBits() / 8;
  return codes + (hasScales() ? rows * (type.getScaleBytes() + type.getZeroBytes()) : 0);
}

std::string CodeKind::name() const {
  std::string text = "codes.";
  llvm::raw_string_ostream out(text);
  out << encoding::stringifyCode(type.getCode()) << "." << group << "." << block << "."
      << (hasScales() ? encoding::stringifyScale(type.getScale()) : "row")
      << (type.getZeros() ? ".zeros" : "") << "." << registers << "." << ahead
      << (single ? ".single" : "") << (narrow ? ".narrow" : "");
  return text;
}

namespace {

// Writes one kernel.
class Kernel {
public:
  Kernel(Emitter &emit, const CodeKind &kind, const CodeProducts &of)
      : e(emit), kind(kind), of(of) {}

  void run();

private:
  // Rows of activations that are multiplied at once.
  struct Rows {
    SmallVector<Value> activations; // at the call's first column
    Value scales, sums;             // of the first of them
  };
  // Codes of four columns, as unsigned bytes of each row.
  SmallVector<Value> countsOf(Value step);
  void addCounts(Value codes, Value activation, int64_t first, MutableArrayRef<Value> sums);
  void addFloats(Value step, ArrayRef<Value> activations, int64_t first, int64_t r,
                 MutableArrayRef<Value> sums);
  SmallVector<Value> unit(Value weights, ArrayRef<Value> activations, int64_t columns,
                          ValueRange carried);
  SmallVector<Value> sumUp(Value codes, ArrayRef<Value> rows, Value first, int64_t columns);
  SmallVector<Value> zerosOf(Value group);
  SmallVector<Value> addGroup(Value number, const Rows &rows, ValueRange carried);
  void addBlock(Value sum, Value zero, Value scale, const Rows &rows, int64_t v, Value block,
                Value &result);
  Value total(ArrayRef<Value> parts);
  void vectors(Value first, int64_t count);

  bool counts() const { return isCounted(kind.type); }
  bool isPacked() const { return kind.type.getCodeBits() == 4; }
  int64_t perStep() const { return isPacked() ? 8 : 4; }
  int64_t activationBytes() const { return !counts() ? 4 : kind.narrow ? 1 : 2; }
  int64_t codeBytes(int64_t columns) const {
    return columns * 16 * kind.registers * kind.type.getCodeBits() / 8;
  }
  // Sums of a vector: of the upper and lower bytes of activations; or of several columns, so that
  // one addition need not wait for the last one.
  int64_t parts() const {
    if (counts())
      return e.cpu.hasByteProducts() && !kind.narrow ? 2 : 1;
    return !kind.single ? 1 : e.cpu.hasAvx512() ? 4 : 2;
  }
  VectorType sumType() { return e.vector(counts() ? e.i32() : e.f32()); }
  template <typename Op> Value op(Value a, Value b) { return e.builder.create<Op>(e.loc, a, b); }
  Value call(StringRef name, Type type, ArrayRef<Value> arguments) {
    return e.builder
        .create<LLVM::CallIntrinsicOp>(e.loc, type, e.builder.getStringAttr("llvm.x86." + name),
                                       arguments)
        .getResults();
  }

  Emitter &e;
  const CodeKind &kind;
  const CodeProducts &of;
};

//===----------------------------------------------------------------------===//
// Four or eight columns
//===----------------------------------------------------------------------===//

// A step is four columns of 8 bits, or eight of 4: the first four are lower halves of bytes.
SmallVector<Value> Kernel::countsOf(Value step) {
  Value bytes = e.load(e.vector(e.i32()), step, 1);
  if (!isPacked())
    return {bytes};
  Value mask = e.lanesOf(0x0f0f0f0f);
  SmallVector<Value> halves = {op<arith::AndIOp>(bytes, mask),
                               op<arith::AndIOp>(op<arith::ShRUIOp>(bytes, e.lanesOf(4)), mask)};
  if (kind.type.getCode() == Code::F4E2M1)
    for (Value &half : halves)
      half = countHalves(e, half);
  return halves;
}

// Adds the products of four columns. `activation` is the address of their codes.
void Kernel::addCounts(Value codes, Value activation, int64_t first, MutableArrayRef<Value> sums) {
  VectorType i32x16 = e.vector(e.i32());
  if (e.cpu.hasByteProducts()) {
    for (int64_t part = 0; part < parts(); ++part) {
      Value four = e.splat(e.load(e.i32(), e.at(activation, first + part * 32), 1));
      sums[part] = call("avx512.vpdpbusd.512", i32x16, {sums[part], codes, four});
    }
    return;
  }
  Value mask = e.lanesOf(0x00ff00ff);
  Value weights[2] = {op<arith::AndIOp>(codes, mask),
                      op<arith::AndIOp>(op<arith::ShRUIOp>(codes, e.lanesOf(8)), mask)};
  Type i16 = e.builder.getI16Type();
  for (int64_t odd = 0; odd < 2; ++odd) {
    Value pair = e.splat(e.load(e.i32(), e.at(activation, first * 2 + odd * 4), 1));
    Value product;
    if (e.cpu.hasAvx512())
      product = call("avx512.pmaddw.d.512", i32x16, {e.bits(weights[odd], i16), e.bits(pair, i16)});
    else
      product = e.inHalves({weights[odd], pair}, [&](ValueRange halves) {
        return call("avx2.pmadd.wd", e.vector(e.i32(), 8),
                    {e.bits(halves[0], i16), e.bits(halves[1], i16)});
      });
    sums[0] = op<arith::AddIOp>(sums[0], product);
  }
}

// The same of floats, for each row of activations and weights 16 * r and following.
void Kernel::addFloats(Value step, ArrayRef<Value> activations, int64_t first, int64_t r,
                       MutableArrayRef<Value> sums) {
  Value fours = e.load(e.vector(e.i32()), step, 1);
  for (auto [i, weights] : llvm::enumerate(tinyFloatsOf(e, fours)))
    for (auto [v, row] : llvm::enumerate(activations)) {
      Value activation = e.splat(e.load(e.f32(), e.at(row, (first + i) * 4)));
      Value &sum = sums[(v * kind.registers + r) * parts() + i % parts()];
      sum = e.fma(weights, activation, sum);
    }
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

// Some steps. `activations` are where the first column stands.
SmallVector<Value> Kernel::unit(Value weights, ArrayRef<Value> activations, int64_t columns,
                                ValueRange carried) {
  SmallVector<Value> next(carried);
  for (int64_t first = 0; first < columns; first += perStep()) {
    Value step = e.at(weights, codeBytes(first));
    if (kind.ahead)
      for (int64_t r = 0; r < kind.registers; ++r)
        e.prefetch(e.at(step, kind.ahead + r * 64));
    for (int64_t r = 0; r < kind.registers; ++r) {
      Value here = e.at(step, r * 64);
      if (!counts()) {
        addFloats(here, activations, first, r, next);
        continue;
      }
      for (auto [four, codes] : llvm::enumerate(countsOf(here)))
        for (auto [v, row] : llvm::enumerate(activations))
          addCounts(
              codes, row, first + four * 4,
              MutableArrayRef<Value>(next).slice((v * kind.registers + r) * parts(), parts()));
    }
  }
  return next;
}

// Columns first .. first + columns - 1 of the call, whose codes stand at `codes`.
SmallVector<Value> Kernel::sumUp(Value codes, ArrayRef<Value> rows, Value first, int64_t columns) {
  // A block of activations in integer form is 32 columns. Floats of more columns than this would be
  // more than registers hold, for LLVM widens them all first.
  int64_t size = counts() ? 32 : 8, whole = columns / size * size;
  Value zero = counts() ? e.lanesOf(0) : e.real(sumType(), 0);
  SmallVector<Value> sums(rows.size() * kind.registers * parts(), zero);
  auto addUnit = [&](Value at, int64_t count, ValueRange carried) {
    SmallVector<Value> activations;
    for (Value row : rows)
      activations.push_back(e.at(row, e.mul(e.add(first, at), activationBytes())));
    return unit(e.at(codes, e.mul(at, codeBytes(32) / 32)), activations, count, carried);
  };
  if (whole == size)
    sums = addUnit(e.constant(0), size, sums);
  else if (whole > size)
    sums = e.loop(e.constant(0), e.constant(whole), size, sums,
                  [&](Value at, ValueRange carried) { return addUnit(at, size, carried); });
  if (whole < columns)
    sums = addUnit(e.constant(whole), columns - whole, sums);
  return sums;
}

Value Kernel::total(ArrayRef<Value> parts) {
  if (counts())
    return parts.size() == 1
               ? parts[0]
               : op<arith::AddIOp>(op<arith::ShLIOp>(parts[0], e.lanesOf(8)), parts[1]);
  if (parts.size() == 4)
    return e.fadd(e.fadd(parts[0], parts[2]), e.fadd(parts[1], parts[3]));
  return parts.size() == 2 ? e.fadd(parts[0], parts[1]) : parts[0];
}

// Of 16 rows for each register.
SmallVector<Value> Kernel::zerosOf(Value group) {
  SmallVector<Value> zeros(kind.registers, e.lanesOf(int32_t(middleOf(kind.type.getCode()))));
  if (!kind.type.getZeros())
    return zeros;
  Value at = of.zeros;
  if (kind.hasScales())
    at = e.at(group, 16 * kind.registers * kind.type.getScaleBytes());
  for (int64_t r = 0; r < kind.registers; ++r)
    zeros[r] = e.builder.create<arith::ExtUIOp>(
        e.loc, e.vector(e.i32()), e.load(e.vector(e.builder.getI8Type()), e.at(at, r * 16), 1));
  return zeros;
}

// Adds a block's sum to a result; `scale` is null where that comes later.
void Kernel::addBlock(Value sum, Value zero, Value scale, const Rows &rows, int64_t v, Value block,
                      Value &result) {
  if (!counts()) {
    sum = e.fmul(sum, e.real(sumType(), tinyTimes(kind.type.getCode()) / kRaised));
    result = scale ? e.fma(sum, scale, result) : e.fadd(result, sum);
    return;
  }
  Value at = e.add(e.mul(e.constant(v), of.activationStride), block);
  Value factor = e.load(e.f32(), e.at(rows.scales, at));
  if (kind.type.getCode() == Code::F4E2M1) // was counted in halves
    factor = e.fmul(factor, e.real(0.5f));
  Value codeSum = e.splat(e.load(e.i32(), e.at(rows.sums, at)));
  sum = op<arith::SubIOp>(sum, op<arith::MulIOp>(zero, codeSum));
  Value real = e.builder.create<arith::SIToFPOp>(e.loc, e.vector(e.f32()), sum);
  Value both = e.splat(factor);
  result = e.fma(real, scale ? e.fmul(scale, both) : both, result);
}

// Group `number`, counted from the first of the call.
SmallVector<Value> Kernel::addGroup(Value number, const Rows &rows, ValueRange carried) {
  Value group = e.at(of.weights, e.mul(number, kind.groupBytes())), codes = group;
  SmallVector<Value> results(carried), scales(kind.registers), zeros;
  if (counts())
    zeros = zerosOf(group);
  if (kind.hasScales()) {
    int64_t scaleBytes = kind.type.getScaleBytes();
    for (int64_t r = 0; r < kind.registers; ++r)
      scales[r] = loadScales(e, kind.type.getScale(), e.at(group, r * 16 * scaleBytes));
    codes = e.at(group, 16 * kind.registers * (scaleBytes + kind.type.getZeroBytes()));
  }
  // Blocks are unrolled: a group has one nearly always.
  for (int64_t begin = 0; begin < kind.group; begin += kind.block) {
    Value first = e.add(e.mul(number, kind.group), begin);
    SmallVector<Value> sums = sumUp(e.at(codes, codeBytes(begin)), rows.activations, first,
                                    std::min(kind.block, kind.group - begin));
    Value block = e.mul(e.div(e.add(of.column, first), kind.block), 4);
    for (int64_t v = 0, i = 0; v < int64_t(rows.activations.size()); ++v)
      for (int64_t r = 0; r < kind.registers; ++r, ++i)
        addBlock(total(ArrayRef<Value>(sums).slice(i * parts(), parts())),
                 counts() ? zeros[r] : Value(), scales[r], rows, v, block, results[i]);
  }
  return results;
}

// Rows of activations first .. first+count-1.
void Kernel::vectors(Value first, int64_t count) {
  VectorType f32x16 = e.vector(e.f32());
  Value offset = e.mul(first, of.activationStride);
  Rows rows;
  if (counts()) {
    rows.scales = e.at(of.scales, offset);
    rows.sums = e.at(of.sums, offset);
  }
  SmallVector<Value> results, initial;
  Value row = e.at(e.at(of.activations, offset), e.mul(of.column, activationBytes()));
  for (int64_t v = 0; v < count; ++v) {
    rows.activations.push_back(e.at(row, e.mul(of.activationStride, v)));
    results.push_back(e.at(of.results, e.mul(e.add(first, v), of.resultStride)));
    for (int64_t r = 0; r < kind.registers; ++r)
      initial.push_back(
          e.select(of.fresh, e.real(f32x16, 0), e.load(f32x16, e.at(results[v], r * 64))));
  }
  SmallVector<Value> done =
      e.loop(e.constant(0), of.groups, 1, initial,
             [&](Value number, ValueRange carried) { return addGroup(number, rows, carried); });
  for (int64_t v = 0; v < count; ++v)
    for (int64_t r = 0; r < kind.registers; ++r)
      e.store(done[v * kind.registers + r], e.at(results[v], r * 64));
}

// Results, up to two sums of each, and weights are in registers, of which there are 32 with
// AVX-512; with AVX2 16, and a vector of 16 lanes needs two.
void Kernel::run() {
  if (kind.single)
    return vectors(e.constant(0), 1);
  int64_t most = (e.cpu.hasAvx512() ? (counts() ? 8 : 16) : (counts() ? 2 : 4)) / kind.registers;
  Value at = e.constant(0);
  for (int64_t count = most; count >= 1; count /= 2) {
    Value end = e.add(at, e.mul(e.div(e.sub(of.count, at), count), count));
    e.loop(at, end, count, [&](Value first) { vectors(first, count); });
    at = end;
  }
}

} // namespace

void callCodeProducts(KernelFunctions &kernels, Emitter &emit, const CodeKind &kind,
                      const CodeProducts &of) {
  SmallVector<Value> arguments = {of.weights,          of.activations, of.column,
                                  of.activationStride, of.results,     of.resultStride,
                                  of.groups,           of.count,       of.fresh};
  for (Value pointer : {of.zeros, of.scales, of.sums}) // not all kinds have all
    arguments.push_back(pointer ? pointer : of.weights);
  kernels.call(emit, kind.name(), arguments, [&](Emitter &inside, ValueRange a) {
    CodeProducts products{a[0], a[9], a[1], a[10], a[11], a[2], a[3], a[4], a[5], a[6], a[7], a[8]};
    Kernel(inside, kind, products).run();
  });
}

} // namespace pianola::host
