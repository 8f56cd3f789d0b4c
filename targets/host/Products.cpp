//===- Products.cpp - Inner products of packed weights --------------------===//

#include "targets/host/Products.h"
#include "targets/host/ContextCodes.h"
#include "targets/host/TileProducts.h"

using namespace mlir;

namespace pianola::host {

Form formFor(const HostCpu &cpu, Type weights, Type values) {
  weights = encoding::elementOf(weights);
  if (cpu.hasBf16Products() && weights.isBF16())
    return values.isBF16() ? Form::Bf16 : Form::Split;
  return values.isBF16() ? Form::Bf16 : Form::F32;
}

Value offsetIn(Emitter &emit, Form form, Value column) {
  if (form != Form::Split)
    return emit.mul(column, bytesOf(form));
  // Every block so far takes as many bytes again for lesser parts.
  Value blocks = emit.mul(emit.div(column, kSplitBlock), kLesserParts);
  return emit.add(emit.mul(column, 2), blocks);
}

void storeForm(Emitter &emit, Value lanes, Form form, Value row, Value column) {
  Value pointer = emit.at(row, offsetIn(emit, form, column));
  if (form != Form::Split)
    return emit.storeLanes(lanes, form == Form::Bf16 ? emit.bf16() : emit.f32(), pointer);
  Value greater = emit.roundToBf16(lanes);
  Value wide = emit.builder.create<arith::ExtFOp>(emit.loc, emit.vector(emit.f32()), greater);
  emit.store(greater, pointer, 2);
  emit.store(emit.roundToBf16(emit.fsub(lanes, wide)), emit.at(pointer, kLesserParts), 2);
}

std::string ProductKind::name() const {
  std::string text = "product.";
  llvm::raw_string_ostream out(text);
  out << (isPruned() ? std::to_string(columns) + ".of." : "") << encoding::elementOf(weights) << "."
      << (form == Form::F32    ? "f32"
          : form == Form::Bf16 ? "bf16"
                               : "split")
      << "." << registers << "x" << registerStride << "." << stepStride << "." << ahead
      << (single ? ".single" : "") << (tiles ? ".tiles" : "");
  if (passes > 1)
    out << "." << passes << ".passes";
  return text;
}

namespace {

constexpr int64_t kUnroll = 4; // steps

// Writes one kernel.
class Kernel {
public:
  Kernel(Emitter &emit, const ProductKind &kind, const Products &of)
      : e(emit), kind(kind), of(of) {}

  void run();

private:
  void addStep(Value weights, ArrayRef<Value> vectors, Value offset, MutableArrayRef<Value> sums);
  void addElement(ArrayRef<Value> rows, ArrayRef<Value> vectors, Value offset,
                  MutableArrayRef<Value> sums);
  void addPairs(ArrayRef<Value> pairs, ArrayRef<Value> vectors, Value offset,
                MutableArrayRef<Value> sums);
  void addPruned(Value weights, ArrayRef<Value> vectors, Value offset, MutableArrayRef<Value> sums,
                 int64_t chains);
  Value addProductsOfPairs(Value sum, Value a, Value b);
  Value elementsAt(Value elements, Value places);
  Value pairsAt(Value elements, Value places);
  // Adds `count` steps from k on, whose elements stand from `offset` on, to what is carried.
  using AddSteps = llvm::function_ref<SmallVector<Value>(Value k, int64_t count, Value offset,
                                                         ValueRange carried)>;
  SmallVector<Value> forSteps(ArrayRef<Value> initial, AddSteps add);
  void addSteps(Value k, int64_t count, Value offset, ArrayRef<Value> vectors,
                MutableArrayRef<Value> sums, int64_t chains);
  SmallVector<Value> sumUp(ArrayRef<Value> vectors, ArrayRef<Value> initial);
  SmallVector<Value> sumUpInChains(Value vector, ArrayRef<Value> initial);
  void block(Value first, int64_t count);
  void prefetch(Value weights, int64_t steps);

  Value further; // from a step's weights to what it asks for in this pass: see ProductKind

  // Of so many steps' weights.
  int64_t linesOfPass(int64_t steps) const {
    return (steps * kind.stepStride / 64 + kind.passes - 1) / kind.passes;
  }
  int64_t stepsAtOnce() const { return kind.isPruned() ? 1 : kUnroll; }

  Emitter &e;
  const ProductKind &kind;
  const Products &of;
};

// Adds products of weights in f32 with the vectors' element at `offset`. Sums are vector-major.
void Kernel::addElement(ArrayRef<Value> rows, ArrayRef<Value> vectors, Value offset,
                        MutableArrayRef<Value> sums) {
  Type element = kind.form == Form::Bf16 ? e.bf16() : e.f32();
  for (auto [v, vector] : llvm::enumerate(vectors)) {
    Value activation = e.splat(e.loadScalar(element, e.at(vector, offset)));
    for (int64_t r = 0; r < kind.registers; ++r) {
      Value &sum = sums[v * kind.registers + r];
      sum = e.fma(rows[r], activation, sum);
    }
  }
}

Value Kernel::addProductsOfPairs(Value sum, Value a, Value b) {
  return e.intrinsic("avx512bf16.dpbf16ps.512", e.vector(e.f32()),
                     {sum, e.bits(a, e.bf16()), e.bits(b, e.bf16())});
}

// The same of pairs of bf16, 16 rows in a vector of i32, and two elements.
void Kernel::addPairs(ArrayRef<Value> pairs, ArrayRef<Value> vectors, Value offset,
                      MutableArrayRef<Value> sums) {
  if (!e.cpu.hasBf16Products() || kind.form == Form::F32) {
    SmallVector<Value> even, odd;
    for (Value pair : pairs) {
      even.push_back(e.evenOf(pair));
      odd.push_back(e.oddOf(pair));
    }
    addElement(even, vectors, offset, sums);
    addElement(odd, vectors, e.add(offset, bytesOf(kind.form)), sums);
    return;
  }
  for (auto [v, vector] : llvm::enumerate(vectors))
    for (int64_t part = 0; part <= (kind.form == Form::Split ? kLesserParts : 0);
         part += kLesserParts) {
      Value two = e.splat(e.load(e.i32(), e.at(e.at(vector, offset), part)));
      for (int64_t r = 0; r < kind.registers; ++r) {
        Value &sum = sums[v * kind.registers + r];
        sum = addProductsOfPairs(sum, pairs[r], two);
      }
    }
}

// Adds one step's products to the sums.
void Kernel::addStep(Value weights, ArrayRef<Value> vectors, Value offset,
                     MutableArrayRef<Value> sums) {
  SmallVector<Value> rows;
  for (int64_t r = 0; r < kind.registers; ++r) {
    Value from = e.at(weights, r * kind.registerStride);
    rows.push_back(kind.weights.isBF16()                       ? e.load(e.vector(e.i32()), from, 64)
                   : kind.weights.getIntOrFloatBitWidth() == 8 ? loadCodes(e, kind.weights, from)
                                                               : e.loadLanes(kind.weights, from));
  }
  if (kind.weights.isBF16())
    addPairs(rows, vectors, offset, sums);
  else
    addElement(rows, vectors, offset, sums);
}

// Of four elements, which each four lanes have, those that stand at the lanes' places, in the lower
// two bits of each.
Value Kernel::elementsAt(Value elements, Value places) {
  if (e.cpu.hasAvx512())
    return e.intrinsic("avx512.vpermilvar.ps.512", e.vector(e.f32()), {elements, places});
  return e.inHalves({elements, places}, [&](ValueRange halves) {
    return e.intrinsic("avx.vpermilvar.ps.256", e.vector(e.f32(), 8), halves);
  });
}

// Of four bf16, which each two lanes have, the two that stand at the lanes' places, in the lower
// four bits of each.
Value Kernel::pairsAt(Value elements, Value places) {
  SmallVector<int32_t> bytes; // by places
  for (int32_t place = 0; place < 16; ++place) {
    int32_t first = place % 4 * 2, second = place / 4 * 2;
    bytes.push_back(first | (first + 1) << 8 | second << 16 | (second + 1) << 24);
  }
  Value table = e.builder.create<arith::ConstantOp>(
      e.loc, DenseElementsAttr::get(e.vector(e.i32()), ArrayRef(bytes)));
  Value chosen = e.intrinsic("avx512.permvar.si.512", e.vector(e.i32()), {table, places});
  Type i8 = e.builder.getI8Type();
  return e.intrinsic("avx512.pshuf.b.512", e.vector(i8, 64),
                     {e.bits(elements, i8), e.bits(chosen, i8)});
}

// A step of two of four columns: where the two of each four stand, and then they themselves. They
// are not brought to their columns, but activations to them: so two products do for four columns.
void Kernel::addPruned(Value weights, ArrayRef<Value> vectors, Value offset,
                       MutableArrayRef<Value> sums, int64_t chains) {
  size_t width = sums.size() / chains;
  int64_t bytes = kind.registers * kind.registerStride;
  bool arePairs = e.cpu.hasBf16Products() && kind.form != Form::F32;
  int64_t elementBytes = kind.form == Form::F32 ? 4 : 2;
  auto load = [&](int64_t block, int64_t r) {
    return e.load(e.vector(e.i32()), e.at(weights, block * bytes + r * kind.registerStride), 64);
  };
  auto shifted = [&](Value lanes, int64_t by) -> Value {
    return by ? e.builder.create<arith::ShRUIOp>(e.loc, lanes, e.lanesOf(by)).getResult() : lanes;
  };
  // Four elements, repeated.
  auto elements = [&](Value from) -> Value {
    if (arePairs)
      return e.splat(e.load(e.i64(), from), 8);
    SmallVector<int32_t> order;
    for (int32_t lane = 0; lane < 16; ++lane)
      order.push_back(lane % 4);
    Value four;
    if (kind.form == Form::F32) {
      four = e.load(e.vector(e.f32(), 4), from);
    } else {
      Value bf16 = e.load(e.vector(e.bf16(), 4), from, 2);
      four = e.builder.create<arith::ExtFOp>(e.loc, e.vector(e.f32(), 4), bf16);
    }
    return e.builder.create<LLVM::ShuffleVectorOp>(e.loc, four, four, order);
  };
  SmallVector<Value> places;
  for (int64_t r = 0; r < kind.registers; ++r)
    places.push_back(load(0, r));
  for (int64_t four = 0; four < kind.columns / 4; ++four) {
    MutableArrayRef<Value> chain = sums.slice(four % chains * width, width);
    for (int64_t r = 0; r < kind.registers; ++r) {
      Value kept = load(1 + four, r), first = shifted(places[r], four * 4), second, even, odd;
      if (!arePairs) {
        second = shifted(places[r], four * 4 + 2);
        even = e.evenOf(kept);
        odd = e.oddOf(kept);
      }
      for (auto [v, vector] : llvm::enumerate(vectors)) {
        Value &sum = chain[v * kind.registers + r];
        Value from = e.at(e.at(vector, offset), four * 4 * elementBytes);
        if (!arePairs) {
          Value x = elements(from);
          sum = e.fma(even, elementsAt(x, first), sum);
          sum = e.fma(odd, elementsAt(x, second), sum);
          continue;
        }
        for (int64_t part = 0; part <= (kind.form == Form::Split ? kLesserParts : 0);
             part += kLesserParts)
          sum = addProductsOfPairs(sum, kept, pairsAt(elements(e.at(from, part)), first));
      }
    }
  }
}

// All steps from 0 on, four at a time, and then one at a time; those of two of four columns are as
// long as four.
SmallVector<Value> Kernel::forSteps(ArrayRef<Value> initial, AddSteps add) {
  if (kind.isPruned())
    return e.loop(e.constant(0), of.steps, 1, initial, [&](Value k, ValueRange carried) {
      return add(k, 1, offsetIn(e, kind.form, e.mul(k, kind.perStep())), carried);
    });
  Value whole = e.mul(e.div(of.steps, kUnroll), kUnroll);
  int64_t bytes = kind.perStep() * bytesOf(kind.form);
  auto fours = [&](Value begin, Value end, int64_t each, Value offset, ValueRange carried) {
    return e.loop(begin, end, kUnroll, SmallVector<Value>(carried), [&](Value k, ValueRange sums) {
      return add(k, kUnroll, e.add(e.mul(k, each), offset), sums);
    });
  };
  SmallVector<Value> sums;
  if (kind.form == Form::Split) {
    // Within a block, elements stand side by side: a loop of its own, or else LLVM's addresses take
    // all registers.
    constexpr int64_t kSteps = kSplitBlock / 2;
    sums = e.loop(e.constant(0), whole, kSteps, initial, [&](Value first, ValueRange carried) {
      return fours(first, e.min(e.add(first, kSteps), whole), bytes / 2, e.mul(first, bytes / 2),
                   carried);
    });
  } else {
    sums = fours(e.constant(0), whole, bytes, e.constant(0), initial);
  }
  return e.loop(whole, of.steps, 1, sums, [&](Value k, ValueRange carried) {
    return add(k, 1, offsetIn(e, kind.form, e.mul(k, kind.perStep())), carried);
  });
}

// Asks for what `steps` steps will need later, a line at a time.
void Kernel::prefetch(Value weights, int64_t steps) {
  if (kind.ahead == 0)
    return;
  if (kind.passes > 1) {
    for (int64_t line = 0; line < linesOfPass(steps); ++line)
      e.prefetch(e.at(e.at(weights, further), line * 64), /*intoSecond=*/true);
    return;
  }
  if (kind.isPruned()) {
    for (int64_t line = 0; line < kind.stepStride; line += 64)
      e.prefetch(e.at(weights, kind.ahead + line));
    return;
  }
  int64_t bytes = 16 * kind.perStep() * kind.weights.getIntOrFloatBitWidth() / 8;
  for (int64_t s = 0; s < steps; ++s)
    for (int64_t r = 0; r < kind.registers; ++r) {
      int64_t at = s * kind.stepStride + r * kind.registerStride;
      if (bytes == 64 || at % 64 == 0)
        e.prefetch(e.at(weights, kind.ahead + at));
    }
}

// `chains` times as many sums: each step of four adds to sums of its own if there are four chains.
void Kernel::addSteps(Value k, int64_t count, Value offset, ArrayRef<Value> vectors,
                      MutableArrayRef<Value> sums, int64_t chains) {
  Value weights = e.at(of.weights, e.mul(k, kind.stepStride));
  if (count == stepsAtOnce())
    prefetch(weights, count);
  if (kind.isPruned())
    return addPruned(weights, vectors, offset, sums, chains);
  int64_t stepBytes = kind.perStep() * bytesOf(kind.form) / (kind.form == Form::Split ? 2 : 1);
  size_t width = sums.size() / chains;
  for (int64_t s = 0; s < count; ++s)
    addStep(e.at(weights, s * kind.stepStride), vectors, e.add(offset, s * stepBytes),
            sums.slice(s % chains * width, width));
}

SmallVector<Value> Kernel::sumUp(ArrayRef<Value> vectors, ArrayRef<Value> initial) {
  return forSteps(initial, [&](Value k, int64_t count, Value offset, ValueRange carried) {
    SmallVector<Value> sums(carried);
    addSteps(k, count, offset, vectors, sums, 1);
    return sums;
  });
}

// The same for one vector, with a chain of additions for every fourth step.
SmallVector<Value> Kernel::sumUpInChains(Value vector, ArrayRef<Value> initial) {
  constexpr int64_t kChains = 4;
  size_t width = initial.size();
  SmallVector<Value> chains(initial);
  chains.resize(width * kChains, e.real(e.vector(e.f32()), 0));
  chains = forSteps(chains, [&](Value k, int64_t count, Value offset, ValueRange carried) {
    SmallVector<Value> sums(carried);
    addSteps(k, count, offset, vector, sums, kChains);
    return sums;
  });
  SmallVector<Value> sums;
  for (size_t i = 0; i < width; ++i)
    sums.push_back(e.fadd(e.fadd(chains[i], chains[2 * width + i]),
                          e.fadd(chains[width + i], chains[3 * width + i])));
  return sums;
}

// Vectors first .. first+count-1.
void Kernel::block(Value first, int64_t count) {
  VectorType f32x16 = e.vector(e.f32());
  SmallVector<Value> vectors, results, initial;
  for (int64_t v = 0; v < count; ++v) {
    Value number = e.add(first, v);
    vectors.push_back(e.at(of.vectors, e.mul(number, of.vectorStride)));
    results.push_back(e.at(of.results, e.mul(number, of.resultStride)));
    for (int64_t r = 0; r < kind.registers; ++r)
      initial.push_back(
          e.select(of.fresh, e.real(f32x16, 0), e.load(f32x16, e.at(results[v], r * 64))));
  }
  if (kind.passes > 1) {
    Value pass = e.div(first, vectorsAtOnce(e.cpu, kind.registers));
    further = e.add(e.mul(of.steps, kind.stepStride), e.mul(pass, linesOfPass(stepsAtOnce()) * 64));
  }
  SmallVector<Value> sums =
      kind.single ? sumUpInChains(vectors[0], initial) : sumUp(vectors, initial);
  for (int64_t v = 0; v < count; ++v)
    for (int64_t r = 0; r < kind.registers; ++r)
      e.store(sums[v * kind.registers + r], e.at(results[v], r * 64));
}

void Kernel::run() {
  if (kind.single)
    return block(e.constant(0), 1);
  Value at = e.constant(0);
  for (int64_t count = vectorsAtOnce(e.cpu, kind.registers); count >= 1; count /= 2) {
    Value end = e.add(at, e.mul(e.div(e.sub(of.count, at), count), count));
    e.loop(at, end, count, [&](Value first) { block(first, count); });
    at = end;
  }
}

} // namespace

// AVX-512 has 32 registers, and 16 to 24 accumulators leave room for weights and broadcasts; AVX2
// has 16, and a vector of 16 lanes needs two.
int64_t vectorsAtOnce(const HostCpu &cpu, int64_t registers) {
  return std::clamp<int64_t>((cpu.hasAvx512() ? 16 : 4) / registers, 1, 8);
}

void callProducts(KernelFunctions &kernels, Emitter &emit, const ProductKind &kind,
                  const Products &of) {
  SmallVector<Value> arguments = {of.weights,      of.vectors, of.vectorStride, of.results,
                                  of.resultStride, of.steps,   of.count,        of.fresh};
  kernels.call(emit, kind.name(), arguments, [&](Emitter &inside, ValueRange a) {
    Products products{a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]};
    if (kind.tiles)
      emitTileKernel(inside, kind, products);
    else
      Kernel(inside, kind, products).run();
  });
}

} // namespace pianola::host
