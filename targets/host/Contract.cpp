//===- Contract.cpp - Inner products of packed weights --------------------===//
//
// The weights of 16 rows are one vector; a slot's activation is broadcast to all of its lanes. A
// block of slots shares each weight vector, and keeps one accumulator for each slot and weight
// vector in a register. Every accumulator runs over k in order, so blocking by slots changes no
// result.
//
// One slot alone is bound by memory and by the latency of its additions: it runs over four steps of
// k at once in chains of their own, added up at the end, and asks for its weights 4 KiB ahead.
//
// With AVX512-BF16 one instruction adds 32 products of bf16. An activation rounded to bf16 keeps 8
// of the 24 bits of f32, which moves the logits of small models by more than one percent; so an
// activation is the sum of two bf16 numbers, and takes two such instructions. That keeps 16 bits,
// costs nothing where memory is the limit, and is as quick as f32 products where it is not.
//
//===----------------------------------------------------------------------===//

#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

namespace {

constexpr int64_t kPrefetchBytes = 4096;
constexpr int64_t kChains = 4;

class ProductEmitter {
public:
  ProductEmitter(PartEmitter &emit, const Products &of)
      : emit(emit), of(of), isPair(of.weightElement.isBF16()) {}

  void run();

private:
  SmallVector<Value> step(Value weights, ArrayRef<Value> vectors, Value k, ValueRange sums);
  void block(Value first, int64_t count);
  bool pairwise() const { return isPair && of.vectorElement.isBF16(); }
  int64_t vectorStepBytes() const {
    return (isPair ? 2 : 1) * (of.vectorElement.getIntOrFloatBitWidth() / 8);
  }

  PartEmitter &emit;
  const Products &of;
  bool isPair; // a step of k is two elements
};

// One step of k for `vectors.size()` vectors; sums are vector-major.
SmallVector<Value> ProductEmitter::step(Value weights, ArrayRef<Value> vectors, Value k,
                                        ValueRange sums) {
  OpBuilder &builder = emit.builder;
  Location loc = emit.loc;
  VectorType f32x16 = emit.vector(emit.f32()), i32x16 = emit.vector(emit.i32());
  SmallVector<Value> next(sums.begin(), sums.end());
  auto integers = [&](int32_t value) -> Value {
    return builder.create<arith::ConstantOp>(
        loc, DenseElementsAttr::get(i32x16, Attribute(builder.getI32IntegerAttr(value))));
  };
  Value offset = emit.mul(k, vectorStepBytes());
  if (pairwise()) {
    VectorType pairs = emit.vector(emit.bf16(), 32);
    SmallVector<Value> rows;
    for (int64_t r = 0; r < of.registers; ++r)
      rows.push_back(emit.load(pairs, emit.at(weights, r * 64), 64));
    for (auto [v, vector] : llvm::enumerate(vectors)) {
      SmallVector<int64_t, 2> parts{0};
      if (of.lesser)
        parts.push_back(of.lesser);
      for (int64_t part : parts) {
        Value pair = emit.splat(emit.load(emit.i32(), emit.at(emit.at(vector, offset), part)));
        Value activations = builder.create<LLVM::BitcastOp>(loc, pairs, pair);
        for (int64_t r = 0; r < of.registers; ++r) {
          Value &sum = next[v * of.registers + r];
          sum = builder
                    .create<LLVM::CallIntrinsicOp>(
                        loc, f32x16, builder.getStringAttr("llvm.x86.avx512bf16.dpbf16ps.512"),
                        ValueRange{sum, rows[r], activations})
                    .getResults();
        }
      }
    }
    return next;
  }
  // Widened: of a bf16 pair the even element is the lower half, the odd one the upper.
  SmallVector<Value> rows; // register-major, then the elements of the step
  for (int64_t r = 0; r < of.registers; ++r) {
    if (!isPair) {
      int64_t bytes = of.weightElement.getIntOrFloatBitWidth() / 8;
      rows.push_back(emit.loadLanes(of.weightElement, emit.at(weights, r * 16 * bytes)));
      continue;
    }
    Value bits = emit.load(i32x16, emit.at(weights, r * 64), 64);
    rows.push_back(builder.create<LLVM::BitcastOp>(
        loc, f32x16, builder.create<arith::ShLIOp>(loc, bits, integers(16))));
    rows.push_back(builder.create<LLVM::BitcastOp>(
        loc, f32x16, builder.create<arith::AndIOp>(loc, bits, integers(int32_t(0xffff0000)))));
  }
  int64_t elements = isPair ? 2 : 1;
  for (auto [v, vector] : llvm::enumerate(vectors))
    for (int64_t e = 0; e < elements; ++e) {
      Value from =
          emit.at(emit.at(vector, offset), e * (of.vectorElement.getIntOrFloatBitWidth() / 8));
      Value activation = emit.splat(emit.loadScalar(of.vectorElement, from));
      for (int64_t r = 0; r < of.registers; ++r) {
        Value &sum = next[v * of.registers + r];
        sum = emit.fma(rows[r * elements + e], activation, sum);
      }
    }
  return next;
}

// Vectors first .. first+count-1.
void ProductEmitter::block(Value first, int64_t count) {
  SmallVector<Value> vectors, results;
  for (int64_t v = 0; v < count; ++v) {
    Value number = emit.add(first, v);
    vectors.push_back(emit.at(of.vectors, emit.mul(number, of.vectorStride)));
    results.push_back(emit.at(of.results, emit.mul(number, of.resultStride)));
  }
  Value zero = emit.real(emit.vector(emit.f32()), 0);
  SmallVector<Value> initial;
  for (int64_t v = 0; v < count; ++v)
    for (int64_t r = 0; r < of.registers; ++r)
      initial.push_back(
          of.accumulate ? emit.load(emit.vector(emit.f32()), emit.at(results[v], r * 64)) : zero);
  auto weightsAt = [&](Value k) { return emit.at(of.weights, emit.mul(k, of.weightStride)); };

  SmallVector<Value> sums = initial;
  Value done = emit.constant(0);
  if (of.single) {
    // Chains first, whatever is left in order.
    SmallVector<Value> chains = initial;
    chains.resize(initial.size() * kChains, zero);
    Value whole = emit.mul(emit.div(of.steps, kChains), kChains);
    chains = emit.loop(done, whole, kChains, chains, [&](Value k, ValueRange carried) {
      SmallVector<Value> next;
      Value ahead = emit.at(weightsAt(k), kPrefetchBytes);
      for (int64_t line = 0; line < kChains * of.weightStride; line += 64)
        emit.prefetch(emit.at(ahead, line));
      for (int64_t c = 0; c < kChains; ++c) {
        Value at = emit.add(k, c);
        next.append(
            step(weightsAt(at), vectors, at, carried.slice(c * initial.size(), initial.size())));
      }
      return next;
    });
    for (size_t i = 0; i < sums.size(); ++i) {
      Value even = emit.fadd(chains[i], chains[2 * sums.size() + i]);
      Value odd = emit.fadd(chains[sums.size() + i], chains[3 * sums.size() + i]);
      sums[i] = emit.fadd(even, odd);
    }
    done = whole;
  }
  sums = emit.loop(done, of.steps, 1, sums, [&](Value k, ValueRange carried) {
    return step(weightsAt(k), vectors, k, carried);
  });
  for (int64_t v = 0; v < count; ++v)
    for (int64_t r = 0; r < of.registers; ++r)
      emit.store(sums[v * of.registers + r], emit.at(results[v], r * 64));
}

void ProductEmitter::run() {
  if (of.single) {
    block(of.low, 1);
    return;
  }
  // AVX-512 has 32 registers: 16 accumulators leave room for weights and broadcasts (12 where each
  // product needs a broadcast of its own). AVX2 has 16, and needs two for each accumulator.
  int64_t most = emit.cpu.hasAvx512() ? (of.registers == 2 ? 8 : 12) : 4 / of.registers;
  Value at = of.low;
  for (int64_t count : {most, int64_t(4), int64_t(2), int64_t(1)}) {
    if (count == most && at != of.low)
      continue;
    if (count > most)
      continue;
    Value blocks = emit.div(emit.sub(of.high, at), count);
    Value end = emit.add(at, emit.mul(blocks, count));
    emit.loop(at, end, count, [&](Value first) { block(first, count); });
    at = end;
  }
}

} // namespace

void emitProducts(PartEmitter &emit, const Products &products) {
  ProductEmitter(emit, products).run();
}

void PartEmitter::lowerContract(tile::ContractOp op) {
  tile::MatrixType matrix = op.getMatrix().getType();
  Place vectors = places.lookup(op.getValue());
  int64_t lesser = 0;
  if (takesSplit(cpu, matrix) && vectors.element.isF32()) {
    auto found = splits.find(op.getValue());
    vectors =
        found != splits.end()
            ? found->second
            : splitRows(vectors, cast<RankedTensorType>(op.getValue().getType()).getDimSize(0));
    lesser = vectors.columns * 2;
  }
  Place results = place(op.getResult());
  Value weights = weightAt(op.getMatrix());
  int64_t bytes = matrix.getElement().getIntOrFloatBitWidth() / 8;
  int64_t perStep = matrix.getElement().isBF16() ? 2 : 1;
  auto group = [&](Value first, int64_t registers) {
    Products products;
    products.weights = at(weights, mul(first, matrix.getDepth() * bytes));
    products.weightElement = matrix.getElement();
    products.weightStride = 16 * registers * perStep * bytes;
    products.registers = registers;
    products.steps = constant(matrix.getDepth() / perStep);
    products.vectors = vectors.base;
    products.lesser = lesser;
    products.vectorElement = vectors.element;
    products.vectorStride = vectors.stride * vectors.elementBytes();
    products.results = at(results.base, mul(first, 4));
    products.resultStride = results.stride * 4;
    products.low = low;
    products.high = high;
    products.single = oneSlot;
    emitProducts(*this, products);
  };
  int64_t whole = matrix.getRowPad() / 32 * 32;
  if (whole == 32)
    group(constant(0), 2);
  else if (whole > 32)
    loop(constant(0), constant(whole), 32, [&](Value first) { group(first, 2); });
  if (whole < matrix.getRowPad())
    group(constant(whole), 1);
}

} // namespace pianola::host
