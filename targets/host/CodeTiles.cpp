//===- CodeTiles.cpp - Inner products of codes through tiles of AMX -------===//
//
// A multiply adds 16 slots x 64 columns of activations' bytes times 64 columns x 16 rows of codes
// to 16 x 16 sums in i32. Codes of 8 bits are tiles as they stand on the tape, unsigned: 16 steps
// of four columns, each 64 bytes of its step. Those of 4 bits are unpacked, once for all slots, and
// less their zero points, so that they are signed. The upper and the lower bytes of activations are
// tiles as they stand in integer form. Where blocks are an odd multiple of 32 columns, tiles are
// half as deep.
//
// After each block the sums go to memory and from there, as one number, times scales to the
// results. All that is rounded is rounded as it is without tiles, in the same order: the bits are
// the same.
//
// What bounds it, by Intel's figures (TileProducts.cpp): 128 columns of 16 slots and 32 rows are 8
// multiplies, 128 cycles. They take 4 tiles of weights from the first cache and 4 of activations
// from the second, 64 cycles of loads, and 4 stores of sums, 64 cycles. What adds the sums of a
// slot to its results is 13 vector instructions where codes are signed, 10 of them arithmetic, two
// a cycle: 80 cycles for 16 slots; 120 where codes are unsigned, whose zero comes off each sum, and
// 128 with zero points. None of that needs the unit for tiles, and so the last block of slots is
// added up while the next one is multiplied: multiplies are the limit, if barely. VNNI takes 2048
// instructions in place of the 8, one or two a cycle. (Zen 5 has no tiles. A core does what is left
// of these kernels without them in 29 ns for 16 slots of 128 columns, and those for VNNI in 271.)
//
// Groups of 32 columns are 4 multiplies of half the depth, no quicker for all that is known: 64
// cycles, beside 80 to add up. Narrow activations have one part: half the multiplies, and 48 to 96
// cycles to add up. To unpack 128 columns of 32 rows takes 80 cycles, once for all slots.
//
//===----------------------------------------------------------------------===//

#include "targets/host/CodeTiles.h"
#include "targets/host/Codes.h"

using namespace mlir;

namespace pianola::host {

namespace {

constexpr int64_t kSumsBytes = kTileSide * 64; // of a tile

class CodeTileKernel {
public:
  CodeTileKernel(Emitter &emit, const CodeKind &kind, const CodeProducts &of)
      : e(emit), kind(kind), of(of) {}

  void run();

private:
  // A block of columns: what is the same for all slots.
  struct Block {
    int64_t columns;
    Value codes, weights; // on the tape, and as tiles
    // Of the first slot.
    Value activations, activationScale, activationSum;
    SmallVector<Value> scales, zeros; // of each register; zeros that are counted already are null
  };
  void addGroup(Value number);
  void addBlock(Block &block);
  void unpack(Block &block);
  void multiply(const Block &block, Value slot, bool first);
  void storeSums();
  void addSums(const Block &block, Value begin, Value end);

  // Upper and lower bytes of activations, or narrow ones.
  int64_t parts() const { return kind.narrow ? 1 : 2; }
  // Bytes of a step of four columns, as tiles have them.
  int64_t stepBytes() const { return kind.registers * 64; }
  Value sumsAt(int64_t part, int64_t r) {
    return e.at(of.scratch, (part * kind.registers + r) * kSumsBytes);
  }

  Emitter &e;
  const CodeKind &kind;
  const CodeProducts &of;
};

// Each step becomes two.
void CodeTileKernel::unpack(Block &block) {
  Type i8 = e.builder.getI8Type();
  SmallVector<Value> zeros;
  for (Value zero : block.zeros)
    zeros.push_back(e.bits(
        e.builder.create<arith::MulIOp>(e.loc, zero, e.lanesOf(0x01010101)).getResult(), i8));
  block.weights = e.at(of.scratch, 4 * kSumsBytes);
  e.loop(e.constant(0), e.constant(block.columns / 8), 1, [&](Value step) {
    for (int64_t r = 0; r < kind.registers; ++r) {
      Value from = e.at(e.at(block.codes, e.mul(step, stepBytes())), r * 64);
      e.prefetch(e.at(from, kind.ahead));
      Value to = e.at(e.at(block.weights, e.mul(step, 2 * stepBytes())), r * 64);
      for (auto [half, counts] : llvm::enumerate(countsOf(e, kind, from)))
        e.store(e.builder.create<arith::SubIOp>(e.loc, e.bits(counts, i8), zeros[r]),
                e.at(to, half * stepBytes()), 64);
    }
  });
  block.zeros.assign(kind.registers, Value());
}

// The sums of 16 slots, from `slot` on. Those of the block's first slots ask memory for codes.
void CodeTileKernel::multiply(const Block &block, Value slot, bool first) {
  Value row = e.at(block.activations, e.mul(slot, of.activationStride));
  for (int64_t part = 0; part < parts(); ++part)
    for (int64_t r = 0; r < kind.registers; ++r)
      zeroTile(e, sumsOf(part, r));
  for (int64_t column = 0; column < block.columns; column += kind.run) {
    if (first && !kind.isPacked())
      for (int64_t at = kind.codeBytes(column); at < kind.codeBytes(column + kind.run); at += 64)
        e.prefetch(e.at(block.codes, kind.ahead + at));
    for (int64_t r = 0; r < kind.registers; ++r)
      loadTile(e, weightsOf(r), e.at(block.weights, column / 4 * stepBytes() + r * 64),
               e.constant(stepBytes()));
    for (int64_t part = 0; part < parts(); ++part)
      passTile(e, activationsOf(part), e.at(row, column * parts() + part * kind.run),
               of.activationStride);
    for (int64_t part = 0; part < parts(); ++part)
      for (int64_t r = 0; r < kind.registers; ++r)
        multiplyTiles(e, kind.isPacked() ? "tdpbssd" : "tdpbsud", sumsOf(part, r),
                      activationsOf(part), weightsOf(r));
  }
}

void CodeTileKernel::storeSums() {
  for (int64_t part = 0; part < parts(); ++part)
    for (int64_t r = 0; r < kind.registers; ++r)
      storeTile(e, sumsOf(part, r), sumsAt(part, r), e.constant(64));
}

// What was stored, of the slots from `begin` on, is added to their results.
void CodeTileKernel::addSums(const Block &block, Value begin, Value end) {
  VectorType f32x16 = e.vector(e.f32()), i32x16 = e.vector(e.i32());
  e.loop(begin, end, 1, [&](Value slot) {
    Value row = e.mul(slot, of.activationStride), line = e.mul(e.sub(slot, begin), 64);
    Value results = e.at(of.results, e.mul(slot, of.resultStride));
    // All is read before anything is written, or else LLVM reads twice what may have changed.
    BlockActivation activation = loadBlockActivation(e, kind, e.at(block.activationScale, row),
                                                     e.at(block.activationSum, row));
    SmallVector<Value> next;
    for (int64_t r = 0; r < kind.registers; ++r) {
      Value sum = e.load(i32x16, e.at(sumsAt(0, r), line), 64);
      if (parts() == 2)
        sum = e.builder.create<arith::AddIOp>(
            e.loc, e.builder.create<arith::ShLIOp>(e.loc, sum, e.lanesOf(8)),
            e.load(i32x16, e.at(sumsAt(1, r), line), 64));
      next.push_back(addCounted(e, sum, block.zeros[r], block.scales[r], activation,
                                e.load(f32x16, e.at(results, r * 64))));
    }
    for (int64_t r = 0; r < kind.registers; ++r)
      e.store(next[r], e.at(results, r * 64));
  });
}

void CodeTileKernel::addBlock(Block &block) {
  block.weights = block.codes;
  if (kind.isPacked())
    unpack(block);
  multiply(block, e.constant(0), /*first=*/true);
  storeSums();
  Value padded = e.mul(e.div(e.add(of.count, kTileSide - 1), kTileSide), kTileSide);
  e.loop(e.constant(kTileSide), padded, kTileSide, [&](Value slot) {
    multiply(block, slot, /*first=*/false);
    addSums(block, e.sub(slot, e.constant(kTileSide)), slot);
    storeSums();
  });
  addSums(block, e.sub(padded, e.constant(kTileSide)), of.count);
}

// Group `number`, counted from the first of the call.
void CodeTileKernel::addGroup(Value number) {
  Value group = e.at(of.weights, e.mul(number, kind.groupBytes())), codes = codesOf(e, kind, group);
  SmallVector<Value> scales = scalesOf(e, kind, group), zeros = zerosOf(e, kind, group, of.zeros);
  // Blocks are unrolled: a group has one nearly always.
  for (int64_t begin = 0; begin < kind.group; begin += kind.block) {
    Value column = e.add(of.column, e.add(e.mul(number, kind.group), begin));
    Value scale = e.mul(e.div(column, kind.block), 4);
    Block block{std::min(kind.block, kind.group - begin),
                e.at(codes, kind.codeBytes(begin)),
                {},
                e.at(of.activations, e.mul(column, parts())),
                e.at(of.scales, scale),
                e.at(of.sums, scale),
                scales,
                zeros};
    addBlock(block);
  }
}

void CodeTileKernel::run() {
  e.when(of.fresh, [&] {
    e.loop(e.constant(0), of.count, 1, [&](Value slot) {
      for (int64_t r = 0; r < kind.registers; ++r)
        e.store(e.real(e.vector(e.f32()), 0),
                e.at(of.results, e.add(e.mul(slot, of.resultStride), r * 64)));
    });
  });
  e.loop(e.constant(0), of.groups, 1, [&](Value number) { addGroup(number); });
}

} // namespace

void emitCodeTileKernel(Emitter &emit, const CodeKind &kind, const CodeProducts &of) {
  CodeTileKernel(emit, kind, of).run();
}

} // namespace pianola::host
