//===- Attend.h - Attention over a part of the context ----------*- C++ -*-===//
//
// A warp takes a block of 8 positions at a time; blocks are dealt to the warps in turn. A block's
// keys and values are all read into registers before anything is made of them: with a part's few
// blocks dealt to all warps, attention takes as long as one read, not as many that wait for each
// other. The persistent kernel reads the first block of a worker's first tile, where programs have
// a single slot, before the step's events are awaited.
//
//   scores    the context holds 16 positions of a column side by side: a lane reads four positions
//             of every 16th column, and sums these for all query heads; sixteen lanes' sums are
//             joined so that each lane is left with scores of one head
//   softmax   each warp has a running one (Milakov and Gimelshein, 2018); weights go to the other
//             lanes through shared memory
//   values    stand in rows: a lane reads four columns, of as many rows at once as lanes allow
//
// At the end the warps' results are joined in order, and what is computed is the same in every run.
//
// A context of bf16 or of codes has more positions in as many registers: then several blocks of a
// warp are on their way. A lane reads four positions of two columns of bf16, or four codes; scores
// and weights are multiplied by the scales of the codes.
//
// Positions of this play are taken from `fresh` rows, rounded as the context's. The context's are
// being written meanwhile, so that no wide read may touch these: a block that is not wholly of the
// past is read element by element, and what does not count is read where something does.
//
// Where a slot attends to what it has chosen, blocks of which it has chosen nothing are passed
// over: each lane looks at the bits of one of the warp's next 32, and the next one that counts is
// read ahead.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_NVPTX_ATTEND_H
#define PIANOLA_TARGETS_NVPTX_ATTEND_H

#include "targets/nvptx/Stage.h"

namespace pianola::nvptx {

class AttendEmitter {
public:
  AttendEmitter(StageEmitter &owner, tile::AttendOp op);

  /// Makes the registers that `anticipate` fills.
  void createAhead();
  void clearAhead();
  /// Reads the warp's first block of the tile that the stage's coordinates name, as far as earlier
  /// plays have written it.
  void anticipate();
  void lower();

private:
  // Positions of a block; a read of a context's run has half of these.
  static constexpr int64_t kBlock = 8;
  // Reads of 16 bytes that a lane has under way, of keys and of values each.
  static constexpr int64_t kReads = 8;
  // Of a head in the exchange: the block's weights, then what the sums before shrink by.
  static constexpr int64_t kExchange = kBlock + 4;

  // Attend.cpp
  void findContext();
  void findPart();
  Value findRange(Value slot);
  void findLane();
  Value startOfChunk(Value position);
  void beginSoftmax(Value firstHead);
  void encodeFresh();
  void readFirst(Value first);
  void attendAll(Value first, Value isAnticipated);
  void attendChosen(Value slot, Value first);
  void attendSlot(Value slot, Value firstHead, Value isAnticipated);
  void storeWarp();
  void join(Value slot, Value firstHead);

  // AttendBlock.cpp
  Value placeIn(Value block, Value position);
  void readKeys(Value block, int64_t batch, bool isWhole);
  void readValues(Value block, int64_t batch, bool isWhole);
  void readPast(Value block, llvm::function_ref<void(bool isWhole)> read);
  void readAhead(Value block);
  void readScales(Value block, bool isWhole);
  Value lineOf(int64_t read);
  void takeFreshKeys(Value block, int64_t batch);
  void takeFreshValues(Value block, int64_t batch);
  void takeFreshScales(Value block);
  std::pair<Value, Value> findFresh(Value position);
  void attendBlock(Value block, Value next);
  llvm::SmallVector<Value> sumColumns(Value block);
  llvm::SmallVector<Value> joinLanes(llvm::SmallVector<Value> sums);
  void weigh(Value block, llvm::ArrayRef<Value> sums);
  void addValues(Value block);
  Value valueAt(int64_t position, int64_t which, int64_t i);
  Value rowOf(Value block, int64_t row);
  Value quadOf(int64_t which);
  Variable &key(int64_t read, int64_t i) {
    return ahead[set * registers() + layout.words * read + i];
  }
  Variable &value(int64_t row, int64_t which, int64_t i) {
    return key(keyReads + row * quads + which, i);
  }
  Variable &scale(tile::ContextPart part, int64_t i) {
    bool isKey = part == tile::ContextPart::Key;
    return ahead[(set + 1) * registers() - (isKey ? 2 : 1) * perLane + i];
  }
  /// Of a block that is read ahead.
  int64_t registers() const {
    return layout.words * (keyReads + rows * quads) + (layout.hasCodes ? 2 * perLane : 0);
  }

  StageEmitter &s;
  Kernel &e;
  tile::AttendOp op;
  ContextLayout layout;
  int64_t size, group;
  int64_t keyReads, allKeyReads;  // of a batch; of a block
  int64_t lanesOfRow, quads;      // lanes that share a row of values; a lane's quads of it
  int64_t rowsOfLane, rows;       // of a block; of these in a batch
  int64_t depth;                  // blocks that are read ahead
  int64_t set = 0;                // of registers for such a block
  int64_t heads, padded, perLane; // query heads at a time; a power of two; scores of a lane
  int64_t lanesOfHead;            // lanes that have scores of the same head
  Place queries, keys, values, output, statistics, warps;
  Value exchange;                     // of this warp, in shared memory
  Value keyBase, valueBase;           // of the context's head
  Place freshKeys, freshValues;       // of codes, a byte each
  Value keyScales, valueScales;       // of these
  Value base;                         // position of the play's slot 0, i32
  Value begin, end;                   // positions of the part
  Value low, high, past;              // positions of the slot; below `past` the context has them
  Value chosen;                       // of the block's positions, a bit each; null: all
  Value ownQueries;                   // in them, the first head's
  Value column, quad;                 // of this lane's keys; column: of those of sixteen lines
  Value headOfLane, firstOfLane;      // whose scores the lane has: first position in the block
  llvm::SmallVector<Variable> &ahead; // a batch of keys, a batch of values
  Variable greatest, sum;             // of the lane's head
  llvm::SmallVector<Variable> sums;   // of values: by head, quad, column
};

} // namespace pianola::nvptx

#endif
