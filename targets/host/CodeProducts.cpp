//===- CodeProducts.cpp - Inner products of codes -------------------------===//

#include "targets/host/CodeProducts.h"
#include "targets/host/CodeTiles.h"
#include "targets/host/Codes.h"

using namespace mlir;

namespace pianola::host {

using encoding::Code;

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
  void addCounts(Value codes, Value activation, int64_t first, MutableArrayRef<Value> sums);
  void addFloats(Value step, ArrayRef<Value> activations, int64_t first, int64_t r,
                 MutableArrayRef<Value> sums);
  SmallVector<Value> unit(Value weights, ArrayRef<Value> activations, int64_t columns,
                          ValueRange carried);
  SmallVector<Value> sumUp(Value codes, ArrayRef<Value> rows, Value first, int64_t columns);
  SmallVector<Value> addGroup(Value number, const Rows &rows, ValueRange carried);
  void addBlock(Value sum, Value zero, Value scale, const Rows &rows, int64_t v, Value block,
                Value &result);
  Value total(ArrayRef<Value> parts);
  void vectors(Value first, int64_t count);

  bool counts() const { return isCounted(kind.type); }
  // Floats of more columns than this would be more than registers hold, for LLVM widens them all
  // first.
  int64_t unitColumns() const { return counts() ? kind.run : 8; }
  // Of the codes of so many columns.
  int64_t linesOfPass(int64_t columns) const {
    return (kind.codeBytes(columns) / 64 + kind.passes - 1) / kind.passes;
  }
  int64_t activationBytes() const { return !counts() ? 4 : kind.narrow ? 1 : 2; }
  // Sums of a vector: of the upper and lower bytes of activations; or of several columns, so that
  // one addition need not wait for the last one.
  int64_t parts() const {
    if (counts())
      return e.cpu.hasByteProducts() && !kind.narrow ? 2 : 1;
    return !kind.single ? 1 : e.cpu.hasAvx512() ? 4 : 2;
  }
  VectorType sumType() { return e.vector(counts() ? e.i32() : e.f32()); }
  template <typename Op> Value op(Value a, Value b) { return e.builder.create<Op>(e.loc, a, b); }

  Emitter &e;
  const CodeKind &kind;
  const CodeProducts &of;
  Value further; // from a unit's codes to what it asks for in this pass: see ProductKind
};

//===----------------------------------------------------------------------===//
// Four or eight columns
//===----------------------------------------------------------------------===//

// Adds the products of four columns. `activation` is the address of their codes.
void Kernel::addCounts(Value codes, Value activation, int64_t first, MutableArrayRef<Value> sums) {
  VectorType i32x16 = e.vector(e.i32());
  if (e.cpu.hasByteProducts()) {
    for (int64_t part = 0; part < parts(); ++part) {
      Value four = e.splat(e.load(e.i32(), e.at(activation, first + part * kind.run), 1));
      sums[part] = e.intrinsic("avx512.vpdpbusd.512", i32x16, {sums[part], codes, four});
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
      product = e.intrinsic("avx512.pmaddw.d.512", i32x16,
                            {e.bits(weights[odd], i16), e.bits(pair, i16)});
    else
      product = e.inHalves({weights[odd], pair}, [&](ValueRange halves) {
        return e.intrinsic("avx2.pmadd.wd", e.vector(e.i32(), 8),
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
  if (kind.passes > 1)
    for (int64_t line = 0; line < linesOfPass(columns); ++line)
      e.prefetch(e.at(e.at(weights, further), line * 64), /*intoSecond=*/true);
  for (int64_t first = 0; first < columns; first += kind.perStep()) {
    Value step = e.at(weights, kind.codeBytes(first));
    if (kind.ahead && kind.passes == 1)
      for (int64_t r = 0; r < kind.registers; ++r)
        e.prefetch(e.at(step, kind.ahead + r * 64));
    for (int64_t r = 0; r < kind.registers; ++r) {
      Value here = e.at(step, r * 64);
      if (!counts()) {
        addFloats(here, activations, first, r, next);
        continue;
      }
      for (auto [four, codes] : llvm::enumerate(countsOf(e, kind, here)))
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
  int64_t size = unitColumns(), whole = columns / size * size;
  Value zero = counts() ? e.lanesOf(0) : e.real(sumType(), 0);
  SmallVector<Value> sums(rows.size() * kind.registers * parts(), zero);
  auto addUnit = [&](Value at, int64_t count, ValueRange carried) {
    SmallVector<Value> activations;
    for (Value row : rows)
      activations.push_back(e.at(row, e.mul(e.add(first, at), activationBytes())));
    return unit(e.at(codes, e.mul(at, kind.codeBytes(32) / 32)), activations, count, carried);
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

// Adds a block's sum to a result; `scale` is null where that comes later.
void Kernel::addBlock(Value sum, Value zero, Value scale, const Rows &rows, int64_t v, Value block,
                      Value &result) {
  if (!counts()) {
    sum = e.fmul(sum, e.real(sumType(), tinyTimes(kind.type.getCode()) / kRaised));
    result = scale ? e.fma(sum, scale, result) : e.fadd(result, sum);
    return;
  }
  Value at = e.add(e.mul(e.constant(v), of.activationStride), block);
  result =
      addCounted(e, sum, zero, scale,
                 loadBlockActivation(e, kind, e.at(rows.scales, at), e.at(rows.sums, at)), result);
}

// Group `number`, counted from the first of the call.
SmallVector<Value> Kernel::addGroup(Value number, const Rows &rows, ValueRange carried) {
  Value group = e.at(of.weights, e.mul(number, kind.groupBytes())), codes = codesOf(e, kind, group);
  SmallVector<Value> results(carried), scales = scalesOf(e, kind, group), zeros;
  if (counts())
    zeros = zerosOf(e, kind, group, of.zeros);
  // Blocks are unrolled: a group has one nearly always.
  for (int64_t begin = 0; begin < kind.group; begin += kind.block) {
    Value first = e.add(e.mul(number, kind.group), begin);
    SmallVector<Value> sums = sumUp(e.at(codes, kind.codeBytes(begin)), rows.activations, first,
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
  if (kind.passes > 1) {
    Value pass = e.div(first, codeRowsAtOnce(e.cpu, kind.type, kind.registers));
    further =
        e.add(e.mul(of.groups, kind.groupBytes()), e.mul(pass, linesOfPass(unitColumns()) * 64));
  }
  SmallVector<Value> done =
      e.loop(e.constant(0), of.groups, 1, initial,
             [&](Value number, ValueRange carried) { return addGroup(number, rows, carried); });
  for (int64_t v = 0; v < count; ++v)
    for (int64_t r = 0; r < kind.registers; ++r)
      e.store(done[v * kind.registers + r], e.at(results[v], r * 64));
}

void Kernel::run() {
  if (kind.single)
    return vectors(e.constant(0), 1);
  Value at = e.constant(0);
  for (int64_t count = codeRowsAtOnce(e.cpu, kind.type, kind.registers); count >= 1; count /= 2) {
    Value end = e.add(at, e.mul(e.div(e.sub(of.count, at), count), count));
    e.loop(at, end, count, [&](Value first) { vectors(first, count); });
    at = end;
  }
}

} // namespace

// Results, up to two sums of each, and weights are in registers, of which there are 32 with
// AVX-512; with AVX2 16, and a vector of 16 lanes needs two.
int64_t codeRowsAtOnce(const HostCpu &cpu, encoding::ScaledType type, int64_t registers) {
  bool counts = isCounted(type);
  return (cpu.hasAvx512() ? (counts ? 8 : 16) : (counts ? 2 : 4)) / registers;
}

void callCodeProducts(KernelFunctions &kernels, Emitter &emit, const CodeKind &kind,
                      const CodeProducts &of) {
  SmallVector<Value> arguments = {of.weights,          of.activations, of.column,
                                  of.activationStride, of.results,     of.resultStride,
                                  of.groups,           of.count,       of.fresh};
  for (Value pointer : {of.zeros, of.scales, of.sums, of.scratch}) // not all kinds have all
    arguments.push_back(pointer ? pointer : of.weights);
  kernels.call(emit, kind.name(), arguments, [&](Emitter &inside, ValueRange a) {
    CodeProducts products{a[0], a[9], a[1], a[10], a[11], a[2], a[3],
                          a[4], a[5], a[6], a[7],  a[8],  a[12]};
    if (kind.tiles)
      emitCodeTileKernel(inside, kind, products);
    else
      Kernel(inside, kind, products).run();
  });
}

} // namespace pianola::host
