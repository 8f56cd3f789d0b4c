//===- Attend.cpp - Attention over a part of the context ------------------===//

#include "targets/nvptx/Attend.h"
#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace mlir;

namespace pianola::nvptx {

// Registers for what a lane has of each query head: queries, scores, sums of values.
constexpr int64_t kOfHeads = 64;
// Blocks that are read ahead, each with code of its own.
constexpr int64_t kMostAhead = 4;

AttendEmitter::AttendEmitter(StageEmitter &owner, tile::AttendOp op)
    : s(owner), e(owner.e), op(op), layout(op.getPast().getType()), size(layout.size),
      group(cast<RankedTensorType>(op.getQueries().getType()).getDimSize(1) / size),
      ahead(owner.anticipated[op]) {
  // How many are held is what registers allow. Of a few slots a quarter: the loops over slots and
  // their fresh positions need registers too. Large groups need them for their sums; and for chips
  // before sm_90 ptxas needs more of them for the same code.
  int64_t slots = cast<RankedTensorType>(op.getQueries().getType()).getDimSize(0);
  bool isLarge = group * size > 256, isWide = size > 128;
  int64_t reads = slots > 1 && slots <= 8 ? kReads / 4 : kReads, valueReads = reads;
  if (slots == 1 && !e.shape.bulk)
    valueReads = reads = isLarge ? kReads / 4 : kReads / 2;
  else if (slots == 1 && isLarge)
    valueReads = kReads / 2;
  if (isWide)
    reads = std::min(reads, slots == 1 ? kReads * 3 / 4 : kReads / 8);
  // Of registers, as many reads as of four words each.
  int64_t narrow = 4 / layout.words;
  allKeyReads = llvm::divideCeil(size, 16 * layout.pair);
  keyReads = std::min(reads * narrow, allKeyReads);
  lanesOfRow =
      std::clamp<int64_t>(llvm::PowerOf2Ceil(size / 4), kWarp * layout.pair / kBlock, kWarp);
  quads = llvm::divideCeil(size / 4, kWarp);
  rowsOfLane = kBlock * lanesOfRow / kWarp / layout.pair;
  rows = std::clamp(valueReads * narrow / static_cast<int64_t>(llvm::PowerOf2Ceil(quads)),
                    int64_t(1), rowsOfLane);
  // As many rounds as are needed, of as many heads each; the last ones may come twice.
  int64_t ofHeads = slots > 1 && isWide ? kOfHeads / 2 : kOfHeads;
  int64_t most = std::max<int64_t>(1, ofHeads / (4 + 4 * quads + size / 16));
  heads = llvm::divideCeil(group, llvm::divideCeil(group, most));
  padded = llvm::PowerOf2Ceil(heads);
  perLane = std::max<int64_t>(1, padded / 4);
  lanesOfHead = kWarp / padded;
  // The past of a wide context fills all registers with one block.
  depth = slots > 1 || op.getSelection() || keyReads < allKeyReads || rows < rowsOfLane
              ? 1
              : std::clamp<int64_t>(4 * (reads + valueReads) / registers(), 1, kMostAhead);
}

// Which positions the part has: see tile.attend.
void AttendEmitter::findPart() {
  Value slotBegin = s.slotBeginOf(op.getQueries()), high = s.highOf(op.getQueries());
  Value first = e.add(base, slotBegin), last = e.add(first, high); // one past
  Value firstGroup = e.constant(0);
  if (int64_t window = op.getWindow())
    firstGroup = e.div(e.max(e.sub(first, window - 1), e.constant(0)), 64);
  else if (op.getChunk())
    firstGroup = e.div(startOfChunk(first), 64);
  Value endGroup = e.div(e.add(last, 63), 64);
  begin = e.mul(firstGroup, 64);
  end = last;
  int64_t splits = op.getSplits();
  if (splits == 1)
    return;
  Value groups = e.sub(endGroup, firstGroup);
  Value each = e.div(e.add(groups, splits - 1), splits);
  each = e.max(each, e.constant(static_cast<int64_t>(op.getLeast().value_or(64)) / 64));
  Value part = s.evaluate(op.getSplitAttr());
  begin = e.mul(e.add(firstGroup, e.mul(part, each)), 64);
  end = e.min(e.add(begin, e.mul(each, 64)), last);
}

// Where things are that do not depend on the slot.
void AttendEmitter::findContext() {
  base = e.narrow(e.position());
  quad = e.rem(e.lane, 2);
  column = e.div(e.lane, 2);
  Value head = s.evaluate(op.getHeadAttr()), address = s.bindingOf(op.getPast());
  keyBase = layout.half(e, address, head, tile::ContextPart::Key);
  valueBase = layout.half(e, address, head, tile::ContextPart::Value);
  findPart();
}

// The positions of the part that a slot sees, and where the warp begins.
Value AttendEmitter::findRange(Value slot) {
  Value position = e.add(e.add(base, s.slotBeginOf(op.getQueries())), slot);
  low = begin;
  high = e.min(end, e.add(position, 1));
  if (op.getReach()) {
    int64_t window = op.getWindow();
    low = e.max(low, window ? e.sub(position, window - 1) : startOfChunk(position));
    high = e.select(e.less(low, high), high, e.constant(0));
  }
  past = op.getKeys() ? base : high;
  return e.add(e.both(low, e.constant(-kBlock)), e.mul(e.warp, kBlock));
}

void AttendEmitter::createAhead() {
  for (int64_t i = 0; i < depth * registers(); ++i) {
    bool isScale = i % registers() >= layout.words * (keyReads + rows * quads);
    ahead.emplace_back(e, isScale ? e.f32() : layout.wordType(e));
  }
}

void AttendEmitter::anticipate() {
  findContext();
  findLane();
  readFirst(findRange(e.constant(0)));
}

// Nothing is kept in registers from one reader to the next.
void AttendEmitter::clearAhead() {
  for (Variable &variable : ahead) {
    bool isReal = variable.getType().isF32();
    variable.set(e, isReal ? e.real(0) : e.constant(0));
  }
}

void AttendEmitter::readFirst(Value first) {
  for (set = 0; set < depth; ++set)
    readAhead(e.add(first, set * e.shape.warps * kBlock));
}

// Whose scores a lane has. They come in the order head, position of a quad: see joinLanes.
void AttendEmitter::findLane() {
  headOfLane = e.div(e.lane, lanesOfHead);
  int64_t lanes = kWarp * perLane / (4 * padded); // lanes with the same scores, and both quads
  firstOfLane = e.add(e.mul(quad, 4), e.rem(e.mul(e.div(e.lane, lanes), perLane), 4));
}

// Of the part's positions of this play, codes as the context gets them.
void AttendEmitter::encodeFresh() {
  int64_t slots = cast<RankedTensorType>(op.getKeys().getType()).getDimSize(0);
  Place *places[] = {&freshKeys, &freshValues};
  Value *scales[] = {&keyScales, &valueScales};
  for (int64_t half = 0; half < 2; ++half) {
    *places[half] = {Place::F32, s.allocate(slots * size), {}, size, size / 4};
    *scales[half] = s.allocate(slots * 4);
  }
  e.when(e.less(base, end), [&] {
    for (int64_t half = 0; half < 2; ++half)
      s.encodeRows(
          half ? values : keys, e.sub(end, base), layout,
          [&](Value slot, Value scale) { e.store(scale, e.at(*scales[half], e.mul(slot, 4))); },
          [&](Value slot, Value column, ArrayRef<Value> codes) {
            e.store(packBytes(e, codes), e.at(s.row(*places[half], slot), column));
          });
  });
  e.meet();
}

Value AttendEmitter::startOfChunk(Value position) {
  return e.sub(position, e.rem(position, int64_t(*op.getChunk())));
}

// A sink is a score of the first part, for its first warp to count; the lanes that share a head's
// sum have equal parts of it.
void AttendEmitter::beginSoftmax(Value firstHead) {
  Value lowest = e.real(-std::numeric_limits<float>::infinity()), none = e.real(0);
  if (!op.getSinks()) {
    greatest.set(e, lowest);
    sum.set(e, none);
    return;
  }
  Value head = e.min(e.add(firstHead, headOfLane), e.constant(group - 1));
  Value index = e.add(e.mul(s.evaluate(op.getHeadAttr()), group), head);
  Value sink = e.loadConstant(e.f32(), e.at(s.bindingOf(op.getSinks()), e.mul(index, 4)));
  Value counts = e.both(e.equal(e.warp, 0), e.equal(s.evaluate(op.getSplitAttr()), 0));
  int64_t same = std::max<int64_t>(1, 4 / padded);
  greatest.set(e, e.select(counts, sink, lowest));
  sum.set(e, e.select(counts, e.real(double(same) / double(lanesOfHead)), none));
}

void AttendEmitter::attendAll(Value first, Value isAnticipated) {
  auto read = [&] {
    clearAhead();
    readFirst(first);
  };
  if (isAnticipated)
    e.when(e.negate(isAnticipated), read);
  else
    read();
  int64_t step = e.shape.warps * kBlock;
  e.loop(first, high, depth * step, [&](Value round) {
    for (set = 0; set < depth; ++set) {
      Value block = e.add(round, set * step);
      auto attend = [&] { attendBlock(block, e.add(block, depth * step)); };
      if (set == 0)
        attend();
      else
        e.when(e.less(block, high), attend);
    }
  });
}

void AttendEmitter::attendChosen(Value slot, Value first) {
  auto selection = cast<TypedValue<tile::BufferType>>(op.getSelection());
  Value row = e.mul(e.widen(e.add(s.slotBeginOf(op.getQueries()), slot)),
                    selection.getType().getColumns() * 4);
  Value bits = e.at(s.bindingOf(selection), row);
  int64_t step = e.shape.warps * kBlock;
  Variable left(e, e.i32()); // of the lanes' blocks, from the highest bit on
  clearAhead();
  set = 0;
  e.loop(first, high, kWarp * step, [&](Value batch) {
    Value own = e.add(batch, e.mul(e.lane, step));
    Value at = e.at(bits, e.div(e.min(own, e.sub(high, 1)), kBlock));
    Value byte = loadNarrow(e, e.builder.getI8Type(), at);
    byte = e.select(e.less(own, high), byte, e.constant(0));
    Value bit = e.shiftRight(e.constant(int64_t(0x80000000)), e.lane);
    left.set(e, e.reduce(NVVM::ReduxKind::OR, e.select(e.differ(byte, 0), bit, e.constant(0))));
    auto blockOf = [&](Value number) { return e.add(batch, e.mul(number, step)); };
    auto nextBlock = [&] {
      Value lanes = left.get(e);
      return e.select(e.equal(lanes, 0), high, blockOf(e.leadingZeros(lanes)));
    };
    readAhead(nextBlock());
    e.loopWhile([&] { return e.differ(left.get(e), 0); },
                [&] {
                  Value number = e.leadingZeros(left.get(e));
                  Value taken = e.shiftRight(e.constant(int64_t(0x80000000)), number);
                  left.set(e, e.exclusive(left.get(e), taken));
                  chosen = e.shuffleFrom(byte, number);
                  attendBlock(blockOf(number), nextBlock());
                });
  });
}

void AttendEmitter::attendSlot(Value slot, Value firstHead, Value isAnticipated) {
  beginSoftmax(firstHead);
  for (Variable &variable : sums)
    variable.set(e, e.real(0));
  Value first = findRange(slot);
  ownQueries = s.elementAt(queries, slot, e.mul(firstHead, size));
  if (op.getSelection())
    attendChosen(slot, first);
  else
    attendAll(first, isAnticipated);
  storeWarp();
  e.meet();
  join(slot, firstHead);
  e.meet();
}

void AttendEmitter::storeWarp() {
  // Several lanes may have the same score: then all of their sum is as much too great.
  int64_t same = std::max<int64_t>(1, 4 / padded);
  Value total = e.fmul(e.sumLanes(sum.get(e), lanesOfHead), e.real(1.0 / same));
  Value isFirst = e.both(e.equal(e.rem(e.lane, lanesOfHead), 0), e.less(headOfLane, heads));
  Value firstRow = e.mul(e.warp, heads);
  e.when(isFirst, [&] {
    Value row = e.add(firstRow, headOfLane);
    e.store(greatest.get(e), s.elementAt(warps, row, e.constant(size)));
    e.store(total, s.elementAt(warps, row, e.constant(size + 1)));
  });
  // Lanes with the same columns have different positions.
  for (Variable &variable : sums) {
    Value joined = variable.get(e);
    for (int64_t mask = lanesOfRow; mask < kWarp; mask *= 2)
      joined = e.fadd(joined, e.shuffleXor(joined, mask));
    variable.set(e, joined);
  }
  Value at = s.elementAt(warps, firstRow, e.mul(e.lane, 4));
  for (int64_t which = 0; which < quads; ++which) {
    auto store = [&] {
      for (int64_t h = 0; h < heads; ++h) {
        SmallVector<Value> four;
        for (int64_t i = 0; i < 4; ++i)
          four.push_back(sums[(h * quads + which) * 4 + i].get(e));
        e.store(e.vectorOf(four), e.at(at, (h * warps.stride + which * kWarp * 4) * 4));
      }
    };
    if ((which + 1) * kWarp <= size / 4)
      store();
    else
      e.when(e.less(e.lane, size / 4 - which * kWarp), store);
  }
}

// The warps' results as one, in the order of the warps.
void AttendEmitter::join(Value slot, Value firstHead) {
  // Where it goes is asked for when it is there: registers are few until then.
  if (isOnlyStored(op.getOutput()))
    output = s.placeFor(op.getOutput());
  if (op.getStatistics()) {
    if (isOnlyStored(op.getStatistics()))
      statistics = s.placeFor(op.getStatistics());
    int64_t padding = statistics.columns - 2 * group;
    s.forThreads(e.constant(padding), [&](Value index) {
      e.store(e.real(0), s.elementAt(statistics, slot, e.add(index, 2 * group)));
    });
  }
  s.forThreads(e.constant(heads * size), [&](Value index) {
    Value head = e.div(index, size), column = e.rem(index, size);
    auto of = [&](int64_t warp, Value at) {
      return e.load(e.f32(), s.elementAt(warps, e.add(head, warp * heads), at));
    };
    SmallVector<Value> greatest;
    for (int64_t warp = 0; warp < e.shape.warps; ++warp)
      greatest.push_back(of(warp, e.constant(size)));
    Value most = greatest.front();
    for (Value other : ArrayRef(greatest).drop_front())
      most = e.fmax(most, other);
    Value isEmpty = e.fequal(most, e.real(-std::numeric_limits<float>::infinity()));
    Value safe = e.select(isEmpty, e.real(0), most);
    Value total = e.real(0), result = e.real(0);
    for (int64_t warp = 0; warp < e.shape.warps; ++warp) {
      Value share = e.exp(e.fsub(greatest[warp], safe));
      total = e.fma(share, of(warp, e.constant(size + 1)), total);
      result = e.fma(share, of(warp, column), result);
    }
    Value at = e.add(e.mul(e.add(firstHead, head), size), column);
    if (op.getSplits() == 1)
      result = e.fdiv(result, total);
    e.store(result, s.elementAt(output, slot, at));
    if (op.getSplits() > 1)
      e.when(e.equal(column, 0), [&] {
        Value first = e.mul(e.add(firstHead, head), 2);
        e.store(most, s.elementAt(statistics, slot, first));
        e.store(total, s.elementAt(statistics, slot, e.add(first, 1)));
      });
  });
}

void AttendEmitter::lower() {
  queries = s.places.lookup(op.getQueries());
  if (op.getKeys()) {
    keys = s.places.lookup(op.getKeys());
    values = s.places.lookup(op.getValues());
  }
  s.passSlotBegin(op.getQueries(), op.getOutput());
  if (op.getStatistics())
    s.passSlotBegin(op.getQueries(), op.getStatistics());
  if (!isOnlyStored(op.getOutput()))
    output = s.placeFor(op.getOutput());
  if (op.getStatistics() && !isOnlyStored(op.getStatistics()))
    statistics = s.placeFor(op.getStatistics());
  int64_t kept = s.scratchUsed;
  warps = s.allocateRows(e.shape.warps * heads, size + 4);
  int64_t exchanged = padded * kExchange * 4;
  exchange = e.at(s.allocate(e.shape.warps * exchanged), e.mul(e.warp, exchanged));
  findContext();
  findLane();
  if (op.getKeys() && layout.hasCodes)
    encodeFresh();
  bool isAnticipated = !ahead.empty();
  if (!isAnticipated)
    createAhead();
  greatest = Variable(e, e.f32());
  sum = Variable(e, e.f32());
  for (int64_t i = 0; i < heads * quads * 4; ++i)
    sums.emplace_back(e, e.f32());
  Value high = s.highOf(op.getQueries());
  Value isFirst = isAnticipated ? s.isFirstTile : Value();
  e.loop(e.constant(0), high, 1, [&](Value slot) {
    if (heads == group)
      attendSlot(slot, e.constant(0), isFirst);
    else
      e.loop(e.constant(0), e.constant(group), heads, [&](Value head) {
        Value isAnticipated = isFirst ? e.both(isFirst, e.equal(head, 0)) : Value();
        attendSlot(slot, e.min(head, e.constant(group - heads)), isAnticipated);
      });
  });
  s.scratchUsed = kept;
}

void StageEmitter::anticipateAttend(tile::AttendOp op, Value begin, Value end) {
  AttendEmitter emitter(*this, op);
  emitter.createAhead();
  emitter.clearAhead();
  e.when(e.less(begin, end), [&] {
    setTile(op->getParentOfType<tile::SectionOp>(), begin);
    emitter.anticipate();
  });
}

void StageEmitter::lowerAttend(tile::AttendOp op) { AttendEmitter(*this, op).lower(); }

} // namespace pianola::nvptx
