//===- Ring.h - Weights on their way through shared memory ------*- C++ -*-===//
//
// A ring's slots are filled in turn by one warp, its loader, and emptied by the consumers. A slot's
// `full` barrier ends a phase when a chunk of weights has arrived, its `empty` barrier when every
// consumer warp has given the chunk back. The parity of the phase that a side waits for changes
// each time that it comes round.
//
// Where panels may lie across two slots, the first slot's beginning stands behind the last slot,
// too: what begins in the last one is read as if the ring went on.
//
//===----------------------------------------------------------------------===//
#ifndef PIANOLA_TARGETS_NVPTX_RING_H
#define PIANOLA_TARGETS_NVPTX_RING_H

#include "targets/nvptx/Emitter.h"

namespace pianola::nvptx {

class Kernel;

/// Slots of all of a block's rings together.
constexpr int64_t kMostSlots = 26;

class Ring {
public:
  explicit Ring(Kernel &kernel);

  /// Where a ring starts and how many slots it has is known when all stages are lowered: until then
  /// these are numbers to be filled in. `firstSlot` is the first of its barriers.
  void setPlace(int64_t firstByte, int64_t firstSlot, int64_t slotCount);
  /// One thread, before anybody comes to the ring.
  void initialise();

  // The consumers' side. Bytes are counted in the order in which the loader brings them, since the
  // kernel began, modulo 2^32.

  /// Begins at byte 0; waits for the first slot if `isFilled`.
  void begin(Value isFilled);
  Variable next; // where the next tile starts
  /// Waits for `bytes` bytes from `offset` on, and gives back the slots before: no more than the
  /// ring's mirror, if panels may lie across slots. Returns a number for `at`.
  Value await(Value offset, int64_t bytes);
  /// Where byte `within + further` of these is in shared memory.
  Value at(Value position, Value within, int64_t further = 0);
  void giveBackTo(Value offset) { await(offset, 1); }

private:
  friend class Loader;
  Value slotAt(Value slot);
  Value fullBarrier(Value slot);
  Value emptyBarrier(Value slot);
  /// Eight times the number of the slot whose `full` barrier that is.
  Value eightSlots(Value full);
  void advanceSlot(Variable slot, Variable phase);
  void advanceHeld(Variable full, Variable phase);
  void awaitHeld(Variable full, Variable phase);
  void awaitFull(Value slot, Value phase);

  Kernel &e;
  mlir::arith::ConstantOp base, barriers, slots;
  Variable phase, held, heldFull; // of the slot that a warp holds; its first byte; its barrier
};

/// The loader's side, for one thread or, where that copies by itself, one warp.
class Loader {
public:
  explicit Loader(Ring &ring);

  /// Waits for the next slot to be empty and fills it with a chunk, or as much of one as there is.
  /// Does nothing if the block is stopped meanwhile: the loader does not go on then.
  void fill(Value from, Value bytes);
  /// Fills it with nothing.
  void pass();
  Value goesOn() { return running.get(emit()); }
  void stop();
  /// Whether the block is stopped: the same for all threads of the loader.
  Value seesStop();
  /// Waits for all that is under way: no byte may land after the block has ended.
  void finish();

private:
  Emitter &emit();
  void copy(Value slot, Value from, Value bytes);

  Ring &ring;
  Kernel &e;
  Variable slot, phase, filled, running;
};

} // namespace pianola::nvptx

#endif
