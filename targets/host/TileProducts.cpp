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
#include "targets/host/TileRegisters.h"

using namespace mlir;

namespace pianola::host {

namespace {

class TileKernel {
public:
  TileKernel(Emitter &emit, const ProductKind &kind, const Products &of)
      : e(emit), kind(kind), of(of) {}

  void run();

private:
  void block(Value first, int64_t blocks);
  void addStep(Value k, ArrayRef<Value> vectors);

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
    loadTile(e, weightsOf(r), e.at(weights, r * kind.registerStride), e.constant(kind.stepStride));
  Value offset = offsetIn(e, kind.form, e.mul(k, 2));
  int64_t last = kind.form == Form::Split ? kLesserParts : 0;
  for (int64_t part = 0; part <= last; part += kLesserParts) {
    for (auto [s, vector] : llvm::enumerate(vectors))
      passTile(e, activationsOf(s), e.at(e.at(vector, offset), part), of.vectorStride);
    for (size_t s = 0; s < vectors.size(); ++s)
      for (int64_t r = 0; r < kind.registers; ++r)
        multiplyTiles(e, "tdpbf16ps", sumsOf(s, r), activationsOf(s), weightsOf(r));
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
  forSums([&](int64_t sums, Value) { zeroTile(e, sums); });
  Value never = e.less(e.constant(1), e.constant(0));
  e.when(e.equal(of.fresh, never),
         [&] { forSums([&](int64_t sums, Value at) { loadTile(e, sums, at, of.resultStride); }); });
  e.loop(e.constant(0), of.steps, kTileSide, [&](Value k) { addStep(k, vectors); });
  forSums([&](int64_t sums, Value at) { storeTile(e, sums, at, of.resultStride); });
}

void TileKernel::run() {
  Value pairs = e.mul(e.div(of.count, 2 * kTileSide), 2 * kTileSide);
  e.loop(e.constant(0), pairs, 2 * kTileSide, [&](Value first) { block(first, 2); });
  e.when(e.less(pairs, of.count), [&] { block(pairs, 1); });
}

} // namespace

void emitTileKernel(Emitter &emit, const ProductKind &kind, const Products &of) {
  TileKernel(emit, kind, of).run();
}

} // namespace pianola::host
