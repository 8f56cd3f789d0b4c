//===- Ring.cpp - Weights on their way through shared memory --------------===//

#include "targets/nvptx/Ring.h"
#include "targets/nvptx/Kernel.h"

using namespace mlir;

namespace pianola::nvptx {

Ring::Ring(Kernel &kernel) : e(kernel) {
  base = e.constant(0).getDefiningOp<arith::ConstantOp>();
  barriers = e.constant(0).getDefiningOp<arith::ConstantOp>();
  slots = e.constant(0).getDefiningOp<arith::ConstantOp>();
}

void Ring::setPlace(int64_t firstByte, int64_t firstSlot, int64_t slotCount) {
  base.setValueAttr(e.builder.getI32IntegerAttr(firstByte));
  barriers.setValueAttr(e.builder.getI32IntegerAttr(firstSlot * 8));
  slots.setValueAttr(e.builder.getI32IntegerAttr(slotCount));
}

void Ring::initialise() {
  e.loop(e.constant(0), slots, 1, [&](Value slot) {
    initBarrier(e, fullBarrier(slot), e.shape.bulk ? 1 : kWarp);
    initBarrier(e, emptyBarrier(slot), e.shape.warps);
  });
}

Value Ring::slotAt(Value slot) {
  return e.at(e.at(e.memory, base.getResult()), e.mul(slot, e.shape.chunk));
}
Value Ring::fullBarrier(Value slot) {
  return e.at(e.at(e.memory, barriers.getResult()), e.mul(slot, 8));
}
Value Ring::emptyBarrier(Value slot) { return e.at(fullBarrier(slot), kMostSlots * 8); }
Value Ring::eightSlots(Value full) {
  Value first = e.add(e.toInteger(e.memory, e.i32()), barriers.getResult());
  return e.sub(e.toInteger(full, e.i32()), first);
}

void Ring::advanceSlot(Variable slot, Variable phase) {
  Value next = e.add(slot.get(e), 1);
  Value wraps = e.equal(next, slots);
  slot.set(e, e.select(wraps, e.constant(0), next));
  Value parity = phase.get(e);
  phase.set(e, e.select(wraps, e.exclusive(parity, e.constant(1)), parity));
}

// The same by the slot's barrier: this is what a warp does for all slots, one after the other.
void Ring::advanceHeld(Variable full, Variable phase) {
  Value next = e.at(full.get(e), 8);
  Value wraps = e.equal(eightSlots(next), e.mul(slots, 8));
  full.set(e, e.select(wraps, fullBarrier(e.constant(0)), next));
  Value parity = phase.get(e);
  phase.set(e, e.select(wraps, e.exclusive(parity, e.constant(1)), parity));
}

void Ring::awaitHeld(Variable full, Variable phase) {
  Value barrier = full.get(e), parity = phase.get(e);
  e.await([&] { return testBarrier(e, barrier, parity, e.shape.bulk); },
          [&] {
            return Kernel::Report{PIANOLA_CUDA_WAIT_TAPE, e.constant(int64_t(-1)),
                                  e.shiftRight(eightSlots(barrier), 3), parity};
          });
}

void Ring::awaitFull(Value slot, Value phase) {
  Value barrier = fullBarrier(slot);
  e.await(
      [&] { return testBarrier(e, barrier, phase, e.shape.bulk); },
      [&] { return Kernel::Report{PIANOLA_CUDA_WAIT_TAPE, e.constant(int64_t(-1)), slot, phase}; });
}

//===----------------------------------------------------------------------===//
// The consumers' side
//===----------------------------------------------------------------------===//

void Ring::begin(Value isFilled) {
  phase = Variable(e, e.constant(0));
  held = Variable(e, e.constant(0));
  heldFull = Variable(e, fullBarrier(e.constant(0)));
  next = Variable(e, e.constant(0));
  e.when(isFilled, [&] { awaitFull(e.constant(0), e.constant(0)); });
}

Value Ring::await(Value offset, int64_t bytes) {
  int64_t chunk = e.shape.chunk;
  auto isBeyond = [&](Value byte) {
    // Counted modulo 2^32: only differences matter.
    return e.negate(e.lessUnsigned(e.sub(byte, held.get(e)), e.constant(chunk)));
  };
  e.loopWhile([&] { return isBeyond(offset); },
              [&] {
                e.syncWarp();
                Value empty = e.at(heldFull.get(e), kMostSlots * 8);
                e.when(e.equal(e.lane, 0), [&] { arrive(e, empty); });
                advanceHeld(heldFull, phase);
                held.set(e, e.add(held.get(e), chunk));
                awaitHeld(heldFull, phase);
              });
  if (!e.shape.aligned && bytes > 1)
    e.when(isBeyond(e.add(offset, bytes - 1)), [&] {
      Variable following(e, heldFull.get(e)), parity(e, phase.get(e));
      advanceHeld(following, parity);
      awaitHeld(following, parity);
    });
  return e.add(e.sub(offset, held.get(e)), e.mul(eightSlots(heldFull.get(e)), chunk / 8));
}

Value Ring::at(Value position, Value within, int64_t further) {
  // What does not change from call to call comes first, and is computed once.
  return e.at(e.at(e.at(slotAt(e.constant(0)), within), position), further);
}

//===----------------------------------------------------------------------===//
// The loader's side
//===----------------------------------------------------------------------===//

Loader::Loader(Ring &ring)
    : ring(ring), e(ring.e), slot(e, e.constant(0)), phase(e, e.constant(0)),
      filled(e, e.constant(0)), running(e, e.constant(e.i1(), 1)) {}

Emitter &Loader::emit() { return e; }
void Loader::stop() { running.set(e, e.constant(e.i1(), 0)); }

// All lanes of a loader that copies by itself must come to the same decision.
Value Loader::seesStop() {
  Value stopped = e.isStopped();
  if (e.shape.bulk)
    return stopped;
  return e.differ(e.shuffleFrom(e.select(stopped, e.constant(1), e.constant(0)), e.constant(0)), 0);
}

void Loader::copy(Value slot, Value from, Value bytes) {
  int64_t mirror = e.shape.mirror;
  Value isFirst = e.equal(slot, 0), again = e.min(bytes, e.constant(mirror));
  Value full = ring.fullBarrier(slot);
  auto copyAgain = [&](auto copy) {
    if (mirror)
      e.when(isFirst, [&] { copy(ring.slotAt(ring.slots), again); });
  };
  if (e.shape.bulk) {
    auto copy = [&](Value to, Value count) { copyBulk(e, to, from, count, full); };
    Value all = mirror ? e.select(isFirst, e.add(bytes, again), bytes) : bytes;
    arriveExpecting(e, full, all);
    copy(ring.slotAt(slot), bytes);
    copyAgain(copy);
    return;
  }
  auto copy = [&](Value to, Value count) {
    e.loop(e.mul(e.lane, 16), count, kWarp * 16,
           [&](Value offset) { copyAsync(e, e.at(to, offset), e.at(from, offset)); });
  };
  copy(ring.slotAt(slot), bytes);
  copyAgain(copy);
  arriveAfterCopies(e, full);
}

void Loader::fill(Value from, Value bytes) {
  // Fresh barriers count as if the phase before the first had just ended.
  Value into = slot.get(e), lap = phase.get(e);
  Value barrier = ring.emptyBarrier(into), parity = e.exclusive(lap, e.constant(1));
  e.await(
      [&] { return e.either(testBarrier(e, barrier, parity, e.shape.bulk), e.isStopped()); },
      [&] { return Kernel::Report{PIANOLA_CUDA_WAIT_RING, e.constant(int64_t(-1)), into, lap}; });
  e.when(
      seesStop(), [&] { stop(); },
      [&] {
        copy(into, from, bytes);
        filled.set(e, e.add(filled.get(e), 1));
        ring.advanceSlot(slot, phase);
      });
}

void Loader::pass() {
  arrive(e, ring.fullBarrier(slot.get(e)));
  filled.set(e, e.add(filled.get(e), 1));
  ring.advanceSlot(slot, phase);
}

void Loader::finish() {
  if (!e.shape.bulk) {
    waitForCopies(e);
    return;
  }
  Value count = filled.get(e), slots = ring.slots;
  Value lapped = e.negate(e.lessUnsigned(count, slots));
  Variable oldest(e, e.select(lapped, slot.get(e), e.constant(0)));
  Variable parity(e, e.select(lapped, e.exclusive(phase.get(e), e.constant(1)), e.constant(0)));
  e.loop(e.constant(0), e.select(lapped, slots, count), 1, [&](Value) {
    ring.awaitFull(oldest.get(e), parity.get(e));
    ring.advanceSlot(oldest, parity);
  });
}

} // namespace pianola::nvptx
