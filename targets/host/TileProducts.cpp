//===- TileProducts.cpp - Inner products through tiles of AMX -------------===//
//
// A multiply adds 16 slots x 32 k of activations times 32 k x 16 rows of weights to 16 x 16 sums.
// Weights are tiles as they stand on the tape: 16 steps of pairs, each 64 bytes of its step. The
// parts of a split activation are tiles as they stand in split form, and both are multiplied with
// the same weights. Activations of bf16 are tiles as they stand.
//
// What bounds it, by Intel's figures for Sapphire Rapids (a multiply every 16 cycles, 52 until its
// sums can be added to; a load of a tile every 8 from the first cache; some 48 bytes a cycle from
// the second): with two blocks of slots and two of rows, 32 k are 8 multiplies, 128 cycles. They
// take two tiles of weights, which stay in the first cache while all slots pass, and four of
// activations, of which many slots stay in the second one: 32 bytes a cycle. So multiplies are the
// limit. One block of rows would need 64 bytes a cycle; three blocks of slots would leave no tile
// for a load to run ahead in. A sum is added to every fourth multiply, 64 cycles later; with one
// block of slots it waits, 104 cycles for 2 KiB of weights, which is more than memory gives a core.
//
// All 16 rows of a block are computed, whether there are such slots or not: rows have nothing to do
// with each other, and there is memory for them (PartEmitter::paddedSlots). So the shapes of tiles
// never change, and a slot gets the same bits in every block.
//
//===----------------------------------------------------------------------===//

#include "targets/host/TileProducts.h"

using namespace mlir;

namespace pianola::host {

namespace {

// Which register is what.
int64_t sumsOf(int64_t slots, int64_t rows) { return slots * 2 + rows; }
int64_t weightsOf(int64_t rows) { return 4 + rows; }
int64_t activationsOf(int64_t slots) { return 6 + slots; }

constexpr int64_t kTileSide = 16; // rows of a tile; steps of a tile of weights

void call(Emitter &e, StringRef name, ArrayRef<Value> arguments) {
  e.builder.create<LLVM::CallIntrinsicOp>(e.loc, TypeRange(), ("llvm.x86." + name).str(),
                                          arguments);
}

class TileKernel {
public:
  TileKernel(Emitter &emit, const ProductKind &kind, const Products &of)
      : e(emit), kind(kind), of(of) {}

  void run();

private:
  void block(Value first, int64_t blocks);
  void addStep(Value k, ArrayRef<Value> vectors);

  Value tile(int64_t number) {
    return e.builder.create<arith::ConstantOp>(e.loc, e.builder.getI8IntegerAttr(number));
  }
  void load(int64_t number, Value from, Value stride) {
    call(e, "tileloadd64", {tile(number), from, stride});
  }

  Emitter &e;
  const ProductKind &kind;
  const Products &of;
};

// Adds the products of k-pairs k .. k+15 for each block of slots.
void TileKernel::addStep(Value k, ArrayRef<Value> vectors) {
  Value weights = e.at(of.weights, e.mul(k, kind.stepStride));
  for (int64_t line = 0; line < kTileSide * kind.registers; ++line)
    e.prefetch(e.at(weights, kind.ahead + line * 64));
  for (int64_t r = 0; r < kind.registers; ++r)
    load(weightsOf(r), e.at(weights, r * kind.registerStride), e.constant(kind.stepStride));
  Value offset = offsetIn(e, kind.form, e.mul(k, 2));
  int64_t last = kind.form == Form::Split ? kLesserParts : 0;
  for (int64_t part = 0; part <= last; part += kLesserParts) {
    // Activations pass by, weights stay: T1 says that a second cache will do.
    for (auto [s, vector] : llvm::enumerate(vectors))
      call(e, "tileloaddt164",
           {tile(activationsOf(s)), e.at(e.at(vector, offset), part), of.vectorStride});
    for (size_t s = 0; s < vectors.size(); ++s)
      for (int64_t r = 0; r < kind.registers; ++r)
        call(e, "tdpbf16ps", {tile(sumsOf(s, r)), tile(activationsOf(s)), tile(weightsOf(r))});
  }
}

// Vectors first .. first + 16 * blocks - 1.
void TileKernel::block(Value first, int64_t blocks) {
  SmallVector<Value> vectors, results;
  for (int64_t s = 0; s < blocks; ++s) {
    Value number = e.add(first, s * kTileSide);
    vectors.push_back(e.at(of.vectors, e.mul(number, of.vectorStride)));
    results.push_back(e.at(of.results, e.mul(number, of.resultStride)));
  }
  auto forSums = [&](llvm::function_ref<void(int64_t, Value)> body) {
    for (int64_t s = 0; s < blocks; ++s)
      for (int64_t r = 0; r < kind.registers; ++r)
        body(sumsOf(s, r), e.at(results[s], r * 64));
  };
  forSums([&](int64_t sums, Value) { call(e, "tilezero", tile(sums)); });
  Value never = e.less(e.constant(1), e.constant(0));
  e.when(e.equal(of.fresh, never),
         [&] { forSums([&](int64_t sums, Value at) { load(sums, at, of.resultStride); }); });
  e.loop(e.constant(0), of.steps, kTileSide, [&](Value k) { addStep(k, vectors); });
  forSums(
      [&](int64_t sums, Value at) { call(e, "tilestored64", {tile(sums), at, of.resultStride}); });
}

void TileKernel::run() {
  Value pairs = e.mul(e.div(of.count, 2 * kTileSide), 2 * kTileSide);
  e.loop(e.constant(0), pairs, 2 * kTileSide, [&](Value first) { block(first, 2); });
  e.when(e.less(pairs, of.count), [&] { block(pairs, 1); });
}

// Palette 1: eight tiles of 16 rows of 64 bytes.
LLVM::GlobalOp findConfiguration(Emitter &e, ModuleOp module) {
  constexpr StringLiteral kName = "tile.configuration";
  if (auto global = module.lookupSymbol<LLVM::GlobalOp>(kName))
    return global;
  std::string bytes(64, '\0');
  bytes[0] = 1;
  for (int64_t tile = 0; tile < 8; ++tile) {
    bytes[16 + 2 * tile] = 64; // bytes of a row, in 16 bits
    bytes[48 + tile] = kTileSide;
  }
  OpBuilder::InsertionGuard guard(e.builder);
  e.builder.setInsertionPointToStart(module.getBody());
  Type type = LLVM::LLVMArrayType::get(e.builder.getI8Type(), bytes.size());
  return e.builder.create<LLVM::GlobalOp>(e.loc, type, /*isConstant=*/true, LLVM::Linkage::Internal,
                                          kName, e.builder.getStringAttr(bytes), /*alignment=*/64);
}

} // namespace

void emitTileKernel(Emitter &emit, const ProductKind &kind, const Products &of) {
  TileKernel(emit, kind, of).run();
}

void configureTiles(Emitter &emit) {
  auto module = emit.builder.getInsertionBlock()->getParentOp()->getParentOfType<ModuleOp>();
  LLVM::GlobalOp configuration = findConfiguration(emit, module);
  Value at = emit.builder.create<LLVM::AddressOfOp>(emit.loc, configuration);
  call(emit, "ldtilecfg", at);
}

void releaseTiles(Emitter &emit) { call(emit, "tilerelease", {}); }

} // namespace pianola::host
