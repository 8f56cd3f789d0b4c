//===- Products.cpp - Inner products of packed weights --------------------===//

#include "targets/host/Products.h"
#include "targets/host/ContextCodes.h"
#include "targets/host/TileProducts.h"

using namespace mlir;

namespace pianola::host {

Form formFor(const HostCpu &cpu, Type weights, Type values) {
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
  out << weights << "."
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
  bool isPairwise() const { return kind.weights.isBF16() && e.cpu.hasBf16Products(); }

  Emitter &e;
  const ProductKind &kind;
  const Products &of;
};

// Adds one step's products to the sums, which are vector-major.
void Kernel::addStep(Value weights, ArrayRef<Value> vectors, Value offset,
                     MutableArrayRef<Value> sums) {
  VectorType f32x16 = e.vector(e.f32());
  auto broadcast = [&](Value vector, int64_t byte) { // 4 bytes
    return e.splat(e.load(e.i32(), e.at(e.at(vector, offset), byte)));
  };
  if (isPairwise() && kind.form != Form::F32) {
    SmallVector<Value> rows;
    for (int64_t r = 0; r < kind.registers; ++r)
      rows.push_back(e.load(e.vector(e.bf16(), 32), e.at(weights, r * kind.registerStride), 64));
    for (auto [v, vector] : llvm::enumerate(vectors))
      for (int64_t part = 0; part <= (kind.form == Form::Split ? kLesserParts : 0);
           part += kLesserParts) {
        Value pair = e.bits(broadcast(vector, part), e.bf16());
        for (int64_t r = 0; r < kind.registers; ++r) {
          Value &sum = sums[v * kind.registers + r];
          sum = e.builder
                    .create<LLVM::CallIntrinsicOp>(
                        e.loc, f32x16, e.builder.getStringAttr("llvm.x86.avx512bf16.dpbf16ps.512"),
                        ValueRange{sum, rows[r], pair})
                    .getResults();
        }
      }
    return;
  }
  SmallVector<SmallVector<Value>> rows(kind.perStep()); // widened, by the step's elements
  for (int64_t r = 0; r < kind.registers; ++r) {
    Value from = e.at(weights, r * kind.registerStride);
    if (kind.weights.isBF16()) {
      Value pairs = e.load(e.vector(e.i32()), from, 64);
      rows[0].push_back(e.evenOf(pairs));
      rows[1].push_back(e.oddOf(pairs));
    } else if (kind.weights.getIntOrFloatBitWidth() == 8) {
      rows[0].push_back(loadCodes(e, kind.weights, from));
    } else {
      rows[0].push_back(e.loadLanes(kind.weights, from));
    }
  }
  Type element = kind.form == Form::Bf16 ? e.bf16() : e.f32();
  for (int64_t i = 0; i < kind.perStep(); ++i)
    for (auto [v, vector] : llvm::enumerate(vectors)) {
      Value from = e.at(e.at(vector, offset), i * bytesOf(kind.form));
      Value activation = e.splat(e.loadScalar(element, from));
      for (int64_t r = 0; r < kind.registers; ++r) {
        Value &sum = sums[v * kind.registers + r];
        sum = e.fma(rows[i][r], activation, sum);
      }
    }
}

// All steps from 0 on, four at a time, and then one at a time.
SmallVector<Value> Kernel::forSteps(ArrayRef<Value> initial, AddSteps add) {
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
  int64_t bytes = 16 * kind.perStep() * kind.weights.getIntOrFloatBitWidth() / 8;
  if (kind.passes > 1) {
    for (int64_t line = 0; line < linesOfPass(steps); ++line)
      e.prefetch(e.at(e.at(weights, further), line * 64), /*intoSecond=*/true);
    return;
  }
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
  if (count > 1)
    prefetch(weights, count);
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
    further = e.add(e.mul(of.steps, kind.stepStride), e.mul(pass, linesOfPass(kUnroll) * 64));
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
