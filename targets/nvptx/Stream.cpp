//===- Stream.cpp - What a block's loaders bring --------------------------===//
//
// The first loader streams the worker's tape, play after play, from beginning to end. In a program
// with mixtures of experts a second one brings tiles of experts, through a ring of its own: so the
// tape goes on while a choice is awaited. It is told which by lists that the consumers make when
// they know the choice.
//
// Of a list's entries (64 bits) the upper 16 bits are the bytes of a piece, in units of 16, and the
// others where it begins, counted from the beginning of the tapes; 0 bytes: no piece. A piece
// begins at a slot of the ring.
//
//===----------------------------------------------------------------------===//

#include "targets/nvptx/Kernel.h"

using namespace mlir;

namespace pianola::nvptx {

// Before the flags: two barriers, the number of entries, and where they are.
constexpr int64_t kToldAt = 2 * 8 * kMostSlots, kTakenAt = kToldAt + 8;
constexpr int64_t kEntriesAt = kToldAt + 16, kListPlaceAt = kToldAt + 20;
static_assert(kListPlaceAt + 4 <= kFlagsAt, "barriers and flags must not overlap");

void Kernel::onLoader(llvm::function_ref<void()> stream) {
  if (shape.bulk)
    when(equal(lane, 0), stream);
  else
    stream();
}

void Kernel::streamTape(Value from, Value bytes, Value plays) {
  onLoader([&] {
    Loader loader(ring);
    Variable played(*this, constant(0)), offset(*this, constant(0));
    when(either(equal(bytes, 0), equal(plays, 0)), [&] { loader.stop(); });
    loopWhile([&] { return loader.goesOn(); },
              [&] {
                Value begin = offset.get(*this);
                loader.fill(at(from, begin), min(sub(bytes, begin), constant(shape.chunk)));
                Value next = add(begin, shape.chunk);
                Value wraps = negate(lessUnsigned(next, bytes));
                offset.set(*this, select(wraps, constant(0), next));
                Value number = select(wraps, add(played.get(*this), 1), played.get(*this));
                played.set(*this, number);
                when(negate(lessUnsigned(number, plays)), [&] { loader.stop(); });
              });
    loader.finish();
  });
}

//===----------------------------------------------------------------------===//
// Pieces
//===----------------------------------------------------------------------===//

void Kernel::initialisePieces() {
  pieces->initialise();
  initBarrier(*this, at(memory, kToldAt), 1);
  initBarrier(*this, at(memory, kTakenAt), 1);
}

void Kernel::beginPieces() {
  pieces->begin(constant(i1(), 1));
  // The loader fills the first slot with nothing, so that there is one to be given back.
  pieces->next.set(*this, constant(shape.chunk));
  told = Variable(*this, constant(0));
}

Value Kernel::pieceEntry(Value address, int64_t bytes) {
  assert(bytes % 16 == 0 && bytes / 16 < 1 << 16 && "checkStage sees to it");
  Value offset = sub(toInteger(address, i64()), toInteger(tape, i64()));
  return either(offset, constant(i64(), bytes / 16 << 48));
}

void Kernel::tellPieces(Value list, Value count) {
  when(equal(thread, 0), [&] {
    store(count, at(memory, kEntriesAt));
    store(toInteger(list, i32()), at(memory, kListPlaceAt));
    arrive(*this, at(memory, kToldAt));
  });
}

void Kernel::awaitTaken() {
  Value parity = told.get(*this);
  when(equal(thread, 0), [&] {
    await([&] { return testBarrier(*this, at(memory, kTakenAt), parity, shape.bulk); },
          [&] {
            return Report{PIANOLA_CUDA_WAIT_TAPE, constant(int64_t(-1)), constant(int64_t(-1)),
                          parity};
          });
  });
  told.set(*this, exclusive(parity, constant(1)));
}

void Kernel::streamPieces() {
  onLoader([&] {
    Loader loader(*pieces);
    loader.pass();
    Variable parity(*this, constant(0));
    // An entry is read before the block is known to go on: if it does not, the list's place may
    // have been taken by something else, and the entry is not used.
    auto streamEntry = [&](Value entry) {
      Value bytes = shiftLeft(narrow(shiftRight(entry, 48)), 4);
      Value from = at(tape, both(entry, constant(i64(), (int64_t(1) << 48) - 1)));
      loop(constant(0), bytes, shape.chunk, [&](Value offset) {
        when(loader.goesOn(), [&] {
          loader.fill(at(from, offset), min(sub(bytes, offset), constant(shape.chunk)));
        });
      });
    };
    loopWhile([&] { return loader.goesOn(); },
              [&] {
                // No watchdog: a worker may have no such tiles for as long as it likes.
                Value barrier = at(memory, kToldAt), phase = parity.get(*this);
                loopWhile(
                    [&] {
                      Value isTold = testBarrier(*this, barrier, phase, shape.bulk);
                      return negate(either(isTold, isStopped()));
                    },
                    [] {});
                when(
                    loader.seesStop(), [&] { loader.stop(); },
                    [&] {
                      Value count = load(i32(), at(memory, kEntriesAt));
                      Value list = toPointer(load(i32(), at(memory, kListPlaceAt)), shared());
                      loop(constant(0), count, 1, [&](Value number) {
                        streamEntry(load(i64(), at(list, mul(number, 8))));
                      });
                      // No lane waits for the next list before the first one has answered.
                      if (!shape.bulk)
                        syncWarp();
                      when(equal(lane, 0), [&] { arrive(*this, at(memory, kTakenAt)); });
                      if (!shape.bulk)
                        syncWarp();
                      parity.set(*this, exclusive(phase, constant(1)));
                    });
              });
    loader.finish();
  });
}

} // namespace pianola::nvptx
