//===- Ring.cpp - The tape on its way through shared memory ---------------===//
//
// Slot s holds the tape's chunks s, s + n, s + 2n, ... of n slots. Its `full` barrier ends a phase
// when a chunk has arrived, its `empty` barrier when every consumer warp has given the chunk back.
// The parity of the phase that a side waits for changes each time that it comes round.
//
// Where panels may lie across two slots, the first slot's beginning stands behind the last slot,
// too: what begins in the last one is read as if the ring went on.
//
//===----------------------------------------------------------------------===//

#include "targets/nvptx/Kernel.h"

using namespace mlir;

namespace pianola::nvptx {

Value Kernel::slotAt(Value slot) {
  return at(at(memory, ringBase.getResult()), mul(slot, shape.chunk));
}

void Kernel::advanceSlot(Variable slot, Variable phase) {
  Value next = add(slot.get(*this), 1);
  Value wraps = equal(next, ringSlots);
  slot.set(*this, select(wraps, constant(0), next));
  Value parity = phase.get(*this);
  phase.set(*this, select(wraps, exclusive(parity, constant(1)), parity));
}

// The same by the slot's barrier: this is what a warp does for all slots, one after the other.
void Kernel::advanceHeld(Variable full, Variable phase) {
  Value next = at(full.get(*this), 8);
  Value wraps = equal(eightSlots(next), mul(ringSlots, 8));
  full.set(*this, select(wraps, memory, next));
  Value parity = phase.get(*this);
  phase.set(*this, select(wraps, exclusive(parity, constant(1)), parity));
}

void Kernel::awaitHeld(Variable full, Variable phase) {
  Value barrier = full.get(*this), parity = phase.get(*this);
  await([&] { return testBarrier(*this, barrier, parity, shape.bulk); },
        [&] {
          return Report{PIANOLA_CUDA_WAIT_TAPE, constant(int64_t(-1)),
                        shiftRight(eightSlots(barrier), 3), parity};
        });
}

void Kernel::awaitFull(Value slot, Value phase) {
  Value barrier = fullBarrier(slot);
  await([&] { return testBarrier(*this, barrier, phase, shape.bulk); },
        [&] { return Report{PIANOLA_CUDA_WAIT_TAPE, constant(int64_t(-1)), slot, phase}; });
}

//===----------------------------------------------------------------------===//
// The consumers' side
//===----------------------------------------------------------------------===//

void Kernel::startRing(Value bytes) {
  phase = Variable(*this, constant(0));
  held = Variable(*this, constant(0));
  heldFull = Variable(*this, fullBarrier(constant(0)));
  tapeAt = Variable(*this, constant(0));
  when(differ(bytes, 0), [&] { awaitFull(constant(0), constant(0)); });
}

Value Kernel::ringBytes(Value offset, int64_t bytes) {
  auto isBeyond = [&](Value byte) {
    // Counted modulo 2^32: only differences matter.
    return negate(lessUnsigned(sub(byte, held.get(*this)), constant(shape.chunk)));
  };
  loopWhile([&] { return isBeyond(offset); },
            [&] {
              syncWarp();
              Value empty = at(heldFull.get(*this), kMostSlots * 8);
              when(equal(lane, 0), [&] { arrive(*this, empty); });
              advanceHeld(heldFull, phase);
              held.set(*this, add(held.get(*this), shape.chunk));
              awaitHeld(heldFull, phase);
            });
  if (!shape.aligned && bytes > 1)
    when(isBeyond(add(offset, bytes - 1)), [&] {
      Variable next(*this, heldFull.get(*this)), parity(*this, phase.get(*this));
      advanceHeld(next, parity);
      awaitHeld(next, parity);
    });
  return add(sub(offset, held.get(*this)), mul(eightSlots(heldFull.get(*this)), shape.chunk / 8));
}

Value Kernel::inRing(Value position, Value within, int64_t further) {
  // What does not change from call to call comes first, and is computed once.
  return at(at(at(slotAt(constant(0)), within), position), further);
}

//===----------------------------------------------------------------------===//
// The loader's side
//===----------------------------------------------------------------------===//

void Kernel::fillSlot(Value slot, Value from, Value bytes) {
  Value isFirst = equal(slot, 0), again = min(bytes, constant(shape.mirror));
  auto copyAgain = [&](auto copy) {
    if (shape.mirror)
      when(isFirst, [&] { copy(slotAt(ringSlots), again); });
  };
  if (shape.bulk) {
    auto copy = [&](Value to, Value count) { copyBulk(*this, to, from, count, fullBarrier(slot)); };
    Value all = shape.mirror ? select(isFirst, add(bytes, again), bytes) : bytes;
    arriveExpecting(*this, fullBarrier(slot), all);
    copy(slotAt(slot), bytes);
    copyAgain(copy);
    return;
  }
  auto copy = [&](Value to, Value count) {
    loop(mul(lane, 16), count, kWarp * 16,
         [&](Value offset) { copyAsync(*this, at(to, offset), at(from, offset)); });
  };
  copy(slotAt(slot), bytes);
  copyAgain(copy);
  arriveAfterCopies(*this, fullBarrier(slot));
}

void Kernel::streamTape(Value from, Value bytes, Value plays) {
  auto stream = [&] {
    Variable slot(*this, constant(0)), phase(*this, constant(0)), filled(*this, constant(0));
    Variable played(*this, constant(0)), offset(*this, constant(0));
    Variable running(*this, both(differ(bytes, 0), differ(plays, 0)));
    loopWhile(
        [&] { return running.get(*this); },
        [&] {
          // Fresh barriers count as if the phase before the first had just ended.
          Value into = slot.get(*this), lap = phase.get(*this);
          Value barrier = emptyBarrier(into), parity = exclusive(lap, constant(1));
          await(
              [&] { return either(testBarrier(*this, barrier, parity, shape.bulk), isStopped()); },
              [&] { return Report{PIANOLA_CUDA_WAIT_RING, constant(int64_t(-1)), into, lap}; });
          // All lanes of a loader that copies by itself must come to the same decision.
          Value stopped = isStopped();
          if (!shape.bulk)
            stopped =
                differ(shuffleFrom(select(stopped, constant(1), constant(0)), constant(0)), 0);
          when(
              stopped, [&] { running.set(*this, constant(i1(), 0)); },
              [&] {
                Value begin = offset.get(*this);
                Value count = min(sub(bytes, begin), constant(shape.chunk));
                fillSlot(into, at(from, begin), count);
                filled.set(*this, add(filled.get(*this), 1));
                advanceSlot(slot, phase);
                Value next = add(begin, shape.chunk);
                Value wraps = negate(lessUnsigned(next, bytes));
                offset.set(*this, select(wraps, constant(0), next));
                Value number = select(wraps, add(played.get(*this), 1), played.get(*this));
                played.set(*this, number);
                running.set(*this, lessUnsigned(number, plays));
              });
        });
    if (!shape.bulk) {
      waitForCopies(*this);
      return;
    }
    // No byte may land after the block has ended.
    Value lapped = negate(lessUnsigned(filled.get(*this), ringSlots));
    Variable oldest(*this, select(lapped, slot.get(*this), constant(0)));
    Variable parity(*this, select(lapped, exclusive(phase.get(*this), constant(1)), constant(0)));
    loop(constant(0), select(lapped, ringSlots.getResult(), filled.get(*this)), 1, [&](Value) {
      awaitFull(oldest.get(*this), parity.get(*this));
      advanceSlot(oldest, parity);
    });
  };
  if (shape.bulk)
    when(equal(lane, 0), stream);
  else
    stream();
}

} // namespace pianola::nvptx
