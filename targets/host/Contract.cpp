//===- Contract.cpp - Inner products of a weight tile with every slot -----===//

#include "targets/host/CodeProducts.h"
#include "targets/host/CodeTiles.h"
#include "targets/host/Codes.h"
#include "targets/host/Stage.h"

using namespace mlir;

namespace pianola::host {

// Weights of this many k stay in the first cache while all blocks of slots pass by: 32 rows of bf16
// are 32 KiB.
static constexpr int64_t kDepthBlock = 512;

// Hardware follows a tape by itself, but stops at the ends of pages.
static constexpr int64_t kAhead = 4096;
// Codes take more instructions a line, so that a core runs ahead by fewer lines on its own.
static constexpr int64_t kAheadOfCodes = 16384;

std::optional<TileShape> PartEmitter::tilesOf(tile::ContractOp op) {
  auto type = cast<RankedTensorType>(op.getValue().getType());
  int64_t slots = type.getDimSize(0);
  Type element = op.getMatrix().getType().getElement();
  if (auto scaled = dyn_cast<encoding::ScaledType>(element)) {
    IntegerRow packed(cpu, scaled, type);
    return packed.tiles ? std::optional(tileShapeFor(packed.run)) : std::nullopt;
  }
  if (!cpu.hasTileProducts() || slots == 1 || !element.isBF16())
    return std::nullopt;
  // What is in split form has rows to spare (paddedSlots); bf16 is read where it lies.
  bool takes = type.getElementType().isBF16() ? slots % 16 == 0 : type.getElementType().isF32();
  return takes ? std::optional(TileShape::Full) : std::nullopt;
}

static int64_t passesOf(int64_t slots, int64_t atOnce) { return (slots + atOnce - 1) / atOnce; }

// Groups of 32 rows, and a last one of 16.
static void forRowGroups(PartEmitter &emit, int64_t rows,
                         llvm::function_ref<void(Value first, int64_t registers)> body) {
  int64_t whole = rows / 32 * 32;
  if (whole == 32)
    body(emit.constant(0), 2);
  else if (whole > 32)
    emit.loop(emit.constant(0), emit.constant(whole), 32, [&](Value first) { body(first, 2); });
  if (whole < rows)
    body(emit.constant(whole), 1);
}

void PartEmitter::lowerCodes(tile::ContractOp op, encoding::ScaledType type) {
  tile::MatrixType matrix = op.getMatrix().getType();
  int64_t depth = matrix.getDepth(), rowBytes = encoding::rowBytes(type, depth);
  int64_t scaleBytes = type.getScaleBytes(), zeroBytes = type.getZeroBytes();
  IntegerRow packed(cpu, type, cast<RankedTensorType>(op.getValue().getType()));
  CodeProducts of{};
  int64_t activationStride = packed.bytes();
  // Whole rows are taken in blocks of what shares an activation's scale.
  int64_t group = type.getGroup() ? type.getGroup() : packed.block, block = packed.block;
  if (isCounted(type)) {
    of.activations = at(integersOf(op.getValue(), packed), mul(low, activationStride));
    of.scales = at(of.activations, packed.scalesAt());
    of.sums = at(of.activations, packed.sumsAt());
  } else {
    Place floats = raisedOf(op.getValue());
    of.activations = row(floats, low);
    activationStride = floats.stride * 4;
    block = group;
  }
  of.activationStride = constant(activationStride);
  Place results = place(op.getResult());
  of.resultStride = constant(results.stride * 4);
  of.count = sub(high, low);
  if (packed.tiles)
    of.scratch = allocate(builder.getI8Type(), kTileScratch);
  Value weights = weightAt(op.getMatrix());

  forRowGroups(*this, matrix.getRowPad(), [&](Value firstRow, int64_t registers) {
    Value from = at(weights, mul(firstRow, rowBytes)), codes = from;
    int64_t rows = 16 * registers;
    if (!type.getGroup()) {
      codes = at(from, rows * (scaleBytes + zeroBytes));
      of.zeros = at(from, rows * scaleBytes);
    }
    of.results = at(row(results, low), mul(firstRow, 4));
    CodeKind kind{type, group, block, packed.run, registers, kAheadOfCodes, oneSlot, packed.narrow};
    int64_t slots = cast<RankedTensorType>(op.getValue().getType()).getDimSize(0);
    // What 4 bits ask for in their first pass is the next call's, of 16 KiB.
    if (!packed.tiles && type.getCodeBits() == 8)
      kind.passes = passesOf(slots, codeRowsAtOnce(cpu, type, registers));
    int64_t groupBytes = kind.groupBytes();
    auto multiply = [&](Value firstGroup, Value groups, int64_t columns) {
      kind.group = columns;
      kind.tiles = packed.tiles && columns % packed.run == 0;
      of.weights = at(codes, mul(firstGroup, groupBytes));
      of.column = mul(firstGroup, group);
      of.groups = groups;
      of.fresh = equal(firstGroup, constant(0));
      callCodeProducts(kernels, *this, kind, of);
    };
    int64_t whole = depth / group, inBlock = std::max<int64_t>(1, 2 * kDepthBlock / group);
    if (oneSlot || whole <= inBlock) {
      if (whole > 0)
        multiply(constant(0), constant(whole), group);
    } else {
      loop(constant(0), constant(whole), inBlock, [&](Value first) {
        multiply(first, min(sub(constant(whole), first), constant(inBlock)), group);
      });
    }
    if (depth % group)
      multiply(constant(whole), constant(1), depth % group);
    if (type.getGroup())
      return;
    for (int64_t r = 0; r < registers; ++r) {
      Value scales = loadScales(*this, type.getScale(), at(from, r * 16 * scaleBytes));
      loop(low, high, 1, [&](Value slot) {
        Value to = at(row(results, slot), add(mul(firstRow, 4), r * 64));
        store(fmul(load(vector(f32()), to), scales), to);
      });
    }
  });
}

// Rows low .. high-1 of an f32 or bf16 value in integer form.
Value PartEmitter::storeIntegerRows(const Place &from, const IntegerRow &packed, int64_t slots) {
  // A last tile begins with a row that there is.
  int64_t rows = packed.tiles ? slots + kTileSide - 1 : slots;
  Value to = allocate(builder.getI8Type(), rows * packed.bytes());
  loop(low, high, 1, [&](Value slot) {
    storeIntegers(
        *this, packed, [&](Value column) { return lanes(from, slot, column); },
        at(to, mul(slot, packed.bytes())));
  });
  return to;
}

Value PartEmitter::integersOf(Value value, const IntegerRow &packed) {
  auto found = integers.find({value, packed.block});
  if (found != integers.end())
    return found->second;
  return storeIntegerRows(places.lookup(value), packed,
                          cast<RankedTensorType>(value.getType()).getDimSize(0));
}

// Rows low .. high-1 as f32, raised.
Place PartEmitter::raiseRows(const Place &from, int64_t slots) {
  Place to{allocate(f32(), slots * from.columns), f32(), from.columns, from.columns};
  Value factor = real(vector(f32()), kRaised);
  forLanes(from.columns, [&](Value slot, Value column) {
    setLanes(fmul(lanes(from, slot, column), factor), to, slot, column);
  });
  return to;
}

Place PartEmitter::raisedOf(Value value) {
  auto found = raised.find(value);
  if (found != raised.end())
    return found->second;
  return raiseRows(places.lookup(value), cast<RankedTensorType>(value.getType()).getDimSize(0));
}

void PartEmitter::lowerContract(tile::ContractOp op) {
  tile::MatrixType matrix = op.getMatrix().getType();
  if (std::optional<TileShape> shape = tilesOf(op); shape && configurations.size() > 1)
    configureTiles(*this, configurations.at(*shape));
  if (auto scaled = dyn_cast<encoding::ScaledType>(matrix.getElement()))
    return lowerCodes(op, scaled);
  auto type = cast<RankedTensorType>(op.getValue().getType());
  Place vectors = places.lookup(op.getValue());
  Form form = formFor(cpu, matrix.getElement(), vectors.element);
  if (form == Form::Split) {
    auto found = splits.find(op.getValue());
    vectors = found != splits.end() ? found->second : splitRows(vectors, type.getDimSize(0));
  }
  Place results = place(op.getResult());
  Value weights = weightAt(op.getMatrix());
  Type element = matrix.getElement();
  int64_t depth = matrix.getDepth(), bytesOfRow = encoding::rowBytes(element, depth);

  // What tiles do not reach, half of a tile's depth, goes the other way.
  bool tiles = tilesOf(op).has_value();
  int64_t inTiles = tiles ? depth / kSplitBlock * kSplitBlock : 0;
  Value slots = sub(high, low), firstInTiles = low, slotsInTiles = slots;
  if (tiles) {
    firstInTiles = mul(div(low, 16), 16);
    slotsInTiles = mul(div(add(sub(high, firstInTiles), 15), 16), 16);
  }

  auto group = [&](Value firstRow, int64_t registers) {
    ProductKind kind{element, form, registers, 0, 0, kAhead, oneSlot};
    kind.columns = 32;
    int64_t perStep = kind.perStep();
    int64_t stepBytes = 16 * registers * encoding::rowBytes(element, perStep);
    kind.stepStride = stepBytes;
    kind.registerStride = kind.isPruned() ? 64 : stepBytes / registers;
    if (!tiles)
      kind.passes = passesOf(type.getDimSize(0), vectorsAtOnce(cpu, registers));
    // Of `columns` columns from k on, whose weights begin at `from`.
    auto multiplyColumns = [&](Value from, Value k, Value columns, Value isFirst) {
      Value slot = kind.tiles ? firstInTiles : low;
      callProducts(kernels, *this, kind,
                   {from, at(row(vectors, slot), offsetIn(*this, form, k)),
                    constant(vectors.stride * vectors.elementBytes()),
                    at(row(results, slot), mul(firstRow, 4)), constant(results.stride * 4),
                    div(columns, kind.perStep()), kind.tiles ? slotsInTiles : slots, isFirst});
    };
    if (int64_t kept = matrix.getKept()) {
      constexpr int64_t kSide = encoding::BlocksType::kSide;
      kind.tiles = tiles;
      Value numbers = at(weights, mul(div(firstRow, 32), matrix.getKeptGroupBytes(32)));
      loop(constant(0), constant(kept), 1, [&](Value i) {
        Value number = load(i32(), at(numbers, mul(i, 4)));
        Value k = mul(builder.create<arith::ExtUIOp>(loc, i64(), number), kSide);
        Value from =
            at(numbers, add(mul(i, kSide / perStep * stepBytes), matrix.getNumbersBytes()));
        multiplyColumns(from, k, constant(kSide), equal(i, constant(0)));
      });
      return;
    }
    Value from = at(weights, mul(firstRow, bytesOfRow));
    auto multiply = [&](Value k, Value end) {
      multiplyColumns(at(from, mul(k, stepBytes / perStep)), k, sub(end, k), equal(k, constant(0)));
    };
    auto multiplyInBlocks = [&](int64_t begin, int64_t end) {
      if (oneSlot || end - begin <= kDepthBlock)
        return multiply(constant(begin), constant(end));
      loop(constant(begin), constant(end), kDepthBlock,
           [&](Value k) { multiply(k, min(constant(end), add(k, kDepthBlock))); });
    };
    if (inTiles > 0) {
      kind.tiles = true;
      multiplyInBlocks(0, inTiles);
      kind.tiles = false;
    }
    int64_t whole = depth / perStep * perStep;
    if (inTiles < whole)
      multiplyInBlocks(inTiles, whole);
    if (whole < depth) { // of two of four columns
      kind.columns = depth - whole;
      kind.stepStride = 16 * registers * encoding::rowBytes(element, kind.columns);
      multiply(constant(whole), constant(depth));
    }
  };
  forRowGroups(*this, matrix.getRowPad(), group);
}

} // namespace pianola::host
