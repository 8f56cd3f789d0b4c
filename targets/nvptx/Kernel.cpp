//===- Kernel.cpp - The frame that stages are played in -------------------===//

#include "targets/nvptx/Kernel.h"
#include <cstddef>

using namespace mlir;

namespace pianola::nvptx {

// Flags, in bytes from kFlagsAt: the block stops; the plays are over.
constexpr int64_t kStopFlag = kFlagsAt, kEndFlag = kFlagsAt + 4;
// What a stage asks of the play, where it costs no registers in between.
constexpr int64_t kSlotsAt = kFlagsAt + 8, kFirstOutputAt = kFlagsAt + 12;
constexpr int64_t kCapacityAt = kFlagsAt + 16, kPositionAt = kFlagsAt + 24;
constexpr int64_t kTraceAt = kFlagsAt + 32;
// The worker's cards and tape, between steps.
constexpr int64_t kListAt = kFlagsAt + 40, kCountAt = kFlagsAt + 48, kBytesAt = kFlagsAt + 52;
// A step's events did not come. The loader may set kStopFlag at any moment, so that warps may
// differ in what they see of it; this one is written by the first warp alone, between two barriers.
constexpr int64_t kGivenUpFlag = kFlagsAt + 56;

#define STATE(name) offsetof(PianolaCudaState, name)
#define CARD(name) offsetof(PianolaCudaCard, name)
#define REPORT(name) (offsetof(PianolaCudaHost, report) + offsetof(PianolaCudaReport, name))

func::FuncOp createKernel(OpBuilder &builder, Location loc, StringRef name) {
  SmallVector<Type> types(8, builder.getI64Type());
  auto function = builder.create<func::FuncOp>(loc, name, builder.getFunctionType(types, {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  return function;
}

Kernel::Kernel(OpBuilder &builder, Location loc, const KernelShape &shape, Value memory,
               ValueRange parameters)
    : Emitter(builder, loc), shape(shape), memory(memory), ring(*this),
      parameters(parameters.begin(), parameters.end()) {
  if (shape.loaders > 1)
    pieces.emplace(*this);
  worker = builder.create<NVVM::BlockIdXOp>(loc, i32());
  askAgain();
  state = globalAt(parameter(Parameter::State));
  host = globalAt(parameter(Parameter::Host));
  events = globalAt(parameter(Parameter::Events));
  tape = globalAt(parameter(Parameter::Tape));
}

void Kernel::askLane() {
  thread = readThread(*this);
  lane = both(thread, constant(kWarp - 1));
}

void Kernel::askAgain() {
  askLane();
  // The same for all lanes, and told so.
  warp = shuffleFrom(shiftRight(thread, 5), constant(0));
}

void Kernel::readState() {
  slots = load(i32(), at(memory, kSlotsAt));
  firstOutput = load(i32(), at(memory, kFirstOutputAt));
  capacity = load(i64(), at(memory, kCapacityAt));
}

Value Kernel::position() {
  Value first = load(i64(), at(memory, kPositionAt));
  return add(first, widen(mul(play.get(*this), slots)));
}

//===----------------------------------------------------------------------===//
// Waiting
//===----------------------------------------------------------------------===//

Value Kernel::isStopped() { return differ(loadVolatile(i32(), at(memory, kStopFlag)), 0); }
void Kernel::stop() { storeVolatile(constant(1), at(memory, kStopFlag)); }

void Kernel::report(const Report &report) {
  when(equal(exchange(*this, at(state, STATE(abort)), constant(1)), 0), [&] {
    auto write = [&](size_t offset, Value value) {
      storeRelaxedSystem(*this, value, at(host, offset));
    };
    write(REPORT(worker), worker);
    write(REPORT(step), card ? field(i32(), card, CARD(step)) : constant(int64_t(-1)));
    write(REPORT(event), report.event);
    write(REPORT(play), play.get(*this));
    write(REPORT(expected), report.expected);
    write(REPORT(seen), report.seen);
    write(REPORT(kind), constant(report.kind));
  });
}

void Kernel::await(llvm::function_ref<Value()> test, llvm::function_ref<Report()> reportOf,
                   std::optional<int64_t> flag) {
  // What is awaited is often there already; then nothing else of a wait is set up. For chips before
  // sm_90 ptxas has not the registers.
  if (shape.bulk)
    when(negate(test()), [&] { awaitLong(test, reportOf, flag); });
  else
    awaitLong(test, reportOf, flag);
}

void Kernel::awaitLong(llvm::function_ref<Value()> test, llvm::function_ref<Report()> reportOf,
                       std::optional<int64_t> flag) {
  // The clock is read now and then only: what is awaited is nearly always nearly there.
  constexpr int64_t kSpins = 256;
  Variable spins(*this, constant(0)), deadline(*this, constant(i64(), 0));
  Variable given(*this, constant(i1(), 0));
  auto giveUp = [&] {
    if (flag)
      storeVolatile(constant(1), at(memory, *flag));
    given.set(*this, constant(i1(), 1));
  };
  auto goOn = [&] {
    return choose(
               given.get(*this), [&] { return SmallVector<Value>{constant(i1(), 0)}; },
               [&] { return SmallVector<Value>{negate(test())}; })
        .front();
  };
  loopWhile(goOn, [&] {
    Value count = add(spins.get(*this), 1);
    spins.set(*this, count);
    when(equal(both(count, constant(kSpins - 1)), 0), [&] {
      when(isStopped(), giveUp);
      when(differ(loadVolatile(i32(), at(state, STATE(abort))), 0), [&] {
        stop();
        giveUp();
      });
      Value now = readTimer(*this), until = deadline.get(*this);
      when(
          equal(until, 0), [&] { deadline.set(*this, add(now, parameter(Parameter::Watchdog))); },
          [&] {
            when(lessUnsigned(until, now), [&] {
              report(reportOf());
              stop();
              giveUp();
            });
          });
    });
  });
}

// `wait`: a PianolaCudaWait, in either memory.
void Kernel::awaitEvent(Value wait) {
  Value event = field(i32(), wait, offsetof(PianolaCudaWait, event));
  Value growth = field(i32(), wait, offsetof(PianolaCudaWait, growth));
  Value until = field(i32(), wait, offsetof(PianolaCudaWait, until));
  Value target = add(mul(play.get(*this), growth), until);
  Value counter = at(events, mul(widen(event), PIANOLA_CUDA_EVENT_STRIDE));
  await([&] { return negate(less(sub(loadAcquire(*this, counter), target), 0)); },
        [&] { return Report{PIANOLA_CUDA_WAIT_EVENT, event, target, loadAcquire(*this, counter)}; },
        kGivenUpFlag);
}

// Lanes of the first warp wait for one event each; the barrier that follows passes on to the other
// threads what they have acquired.
void Kernel::awaitEvents() {
  when(lessUnsigned(thread, field(i32(), card, CARD(waits))),
       [&] { awaitEvent(at(at(card, CARD(wait)), mul(thread, sizeof(PianolaCudaWait)))); });
}

//===----------------------------------------------------------------------===//
// Cards
//===----------------------------------------------------------------------===//

void Kernel::fetchCard(Value address, Value into) {
  when(lessUnsigned(thread, constant(sizeof(PianolaCudaCard) / 16)), [&] {
    Value offset = mul(thread, 16);
    copyAsync(*this, at(into, offset), at(address, offset));
  });
}

// Writes the time into the member of this step's span, if somebody wants to know.
void Kernel::mark(size_t offset) {
  when(both(equal(thread, 0), differ(load(i64(), at(memory, kTraceAt)), 0)), [&] {
    Value number = play.get(*this);
    when(lessUnsigned(number, field(i32(), state, STATE(trace_plays))), [&] {
      Value step =
          add(mul(number, field(i32(), state, STATE(steps))), field(i32(), card, CARD(step)));
      Value workers = builder.create<NVVM::GridDimXOp>(loc, i32());
      Value span = add(mul(widen(step), widen(workers)), widen(worker));
      Value spans = globalAt(load(i64(), at(memory, kTraceAt)));
      store(readTimer(*this), at(at(spans, mul(span, sizeof(PianolaCudaSpan))), offset));
    });
  });
}

void Kernel::whenReady(llvm::function_ref<void()> body) {
  if (!playsOneStage) {
    awaitEvents();
    meet();
    mark(offsetof(PianolaCudaSpan, ready));
    when(equal(loadVolatile(i32(), at(memory, kGivenUpFlag)), 0), body);
    return;
  }
  // Cards, tapes and constants are there before the play; all else is the kernels' before this one.
  if (shape.bulk)
    waitForPreviousKernel(*this);
  Value number = field(i32(), state, STATE(play));
  play.set(*this, number);
  when(lessUnsigned(number, field(i32(), state, STATE(end))), [&] {
    mark(offsetof(PianolaCudaSpan, begin));
    mark(offsetof(PianolaCudaSpan, ready));
    body();
    meet();
    mark(offsetof(PianolaCudaSpan, end));
  });
}

// From card to card and play to play.
void Kernel::consume(bool loops, llvm::function_ref<void()> playStage) {
  Value range = at(globalAt(parameter(Parameter::Ranges)), mul(worker, 8));
  Value first = load(i32(), range), count = load(i32(), at(range, 4));
  Value cards =
      at(globalAt(parameter(Parameter::Cards)), mul(widen(first), sizeof(PianolaCudaCard)));
  Value tapes = at(globalAt(parameter(Parameter::Tapes)), mul(worker, 16));
  Value bytes = narrow(load(i64(), at(tapes, 8)));
  Value plays = field(i32(), state, STATE(plays));
  // The two places of cards differ by one bit of their offset.
  static_assert(kCardsAt % (2 * sizeof(PianolaCudaCard)) == 0);
  Variable current(*this, constant(kCardsAt)), running(*this, i1());
  running.set(*this, both(differ(plays, 0), differ(count, 0)));
  Value playsStarted = running.get(*this);
  when(playsStarted, [&] {
    fetchCard(cards, at(memory, kCardsAt));
    waitForCopies(*this);
  });
  when(equal(thread, 0), [&] {
    store(toInteger(cards, i64()), at(memory, kListAt));
    store(count, at(memory, kCountAt));
    store(bytes, at(memory, kBytesAt));
  });
  meet();
  beginRings(bytes);
  loopWhile([&] { return running.get(*this); },
            [&] {
              Variable ended(*this, constant(i1(), 0));
              if (loops) {
                // The first step's own worker knows without waiting: it chose the token.
                card = at(memory, current.get(*this));
                Value isFirst = equal(field(i32(), card, CARD(step)), 0);
                when(equal(thread, 0), [&] {
                  when(negate(isFirst), [&] { awaitEvent(at(state, STATE(begin))); });
                  Value end = loadVolatile(i32(), at(state, STATE(end)));
                  Value over = negate(lessUnsigned(play.get(*this), end));
                  Value ends = either(over, isStopped());
                  store(select(ends, constant(1), constant(0)), at(memory, kEndFlag));
                  when(both(over, isFirst), [&] {
                    Value signal = field(i32(), card, CARD(signal));
                    addRelease(*this, at(events, mul(widen(signal), PIANOLA_CUDA_EVENT_STRIDE)),
                               constant(1));
                  });
                });
                meet();
                ended.set(*this, differ(load(i32(), at(memory, kEndFlag)), 0));
              }
              when(ended.get(*this), [&] { running.set(*this, constant(i1(), 0)); });
              Variable played(*this, constant(0)); // cards of this play
              auto goesOn = [&] {
                Value rest = lessUnsigned(played.get(*this), load(i32(), at(memory, kCountAt)));
                return both(rest, negate(ended.get(*this)));
              };
              loopWhile(goesOn, [&] {
                Value here = current.get(*this);
                Value other = exclusive(here, constant(sizeof(PianolaCudaCard)));
                Value next = add(played.get(*this), 1);
                played.set(*this, next);
                next = select(equal(next, load(i32(), at(memory, kCountAt))), constant(0), next);
                Value list = globalAt(load(i64(), at(memory, kListAt)));
                fetchCard(at(list, mul(widen(next), sizeof(PianolaCudaCard))), at(memory, other));
                card = at(memory, here);
                mark(offsetof(PianolaCudaSpan, begin));
                playStage();
                Value signal = field(i32(), card, CARD(signal));
                waitForCopies(*this);
                meet();                               // from here on the card may be overwritten
                mark(offsetof(PianolaCudaSpan, end)); // by the thread that overwrites its step
                when(both(equal(thread, 0), differ(signal, int64_t(PIANOLA_CUDA_NONE))), [&] {
                  addRelease(*this, at(events, mul(widen(signal), PIANOLA_CUDA_EVENT_STRIDE)),
                             constant(1));
                });
                current.set(*this, other);
              });
              Value next = add(play.get(*this), 1);
              play.set(*this, next);
              ring.next.set(*this, mul(next, load(i32(), at(memory, kBytesAt))));
              // Where plays loop the last one's end is waited for, too: all counters are known
              // then.
              if (!loops)
                running.set(*this, lessUnsigned(next, plays));
              meet();
            });
}

//===----------------------------------------------------------------------===//
// Whole kernels
//===----------------------------------------------------------------------===//

void Kernel::initialise() {
  when(equal(thread, 0), [&] {
    ring.initialise();
    if (pieces)
      initialisePieces();
    if (shape.bulk)
      publishBarriers(*this);
    storeVolatile(constant(0), at(memory, kStopFlag));
    storeVolatile(constant(0), at(memory, kGivenUpFlag));
    store(field(i32(), state, STATE(slots)), at(memory, kSlotsAt));
    store(field(i32(), state, STATE(first_output)), at(memory, kFirstOutputAt));
    store(field(i64(), state, STATE(capacity)), at(memory, kCapacityAt));
    store(field(i64(), state, STATE(position)), at(memory, kPositionAt));
    store(field(i64(), state, STATE(trace)), at(memory, kTraceAt));
  });
  static_assert(kScratchAt - kZerosAt == 16 * kWarp);
  when(less(thread, kWarp),
       [&] { store(zeros(vector(i32(), 4)), at(at(memory, kZerosAt), mul(thread, 16))); });
  barrier(*this, 0, shape.threads());
}

void Kernel::beginRings(Value tapeBytes) {
  ring.begin(differ(tapeBytes, 0));
  if (pieces)
    beginPieces();
}

void Kernel::deal(llvm::function_ref<void()> load, llvm::function_ref<void()> compute) {
  auto others = [&] {
    if (pieces)
      when(equal(warp, shape.warps + 1), [&] { streamPieces(); }, compute);
    else
      compute();
  };
  when(equal(warp, shape.warps), load, others);
}

void Kernel::emitPersistent(bool loops, llvm::function_ref<void()> playStage) {
  play = Variable(*this, constant(0));
  initialise();
  deal(
      [&] {
        Value tapes = at(globalAt(parameter(Parameter::Tapes)), mul(worker, 16));
        Value from = at(tape, load(i64(), tapes));
        Value bytes = narrow(load(i64(), at(tapes, 8)));
        streamTape(from, bytes, field(i32(), state, STATE(plays)));
      },
      [&] {
        consume(loops, playStage);
        meet();
        when(equal(thread, 0), [&] { stop(); });
      });
}

void Kernel::emitStage(llvm::function_ref<void()> playStage) {
  playsOneStage = true;
  play = Variable(*this, constant(0));
  initialise();
  Value mine =
      at(globalAt(parameter(Parameter::Cards)), mul(widen(worker), sizeof(PianolaCudaCard)));
  Value bytes = narrow(load(i64(), at(mine, CARD(tape_bytes))));
  if (shape.bulk)
    letNextKernelBegin(*this);
  deal(
      [&] {
        Value tapes = at(globalAt(parameter(Parameter::Tapes)), mul(worker, 16));
        Value offset = add(load(i64(), tapes), load(i64(), at(mine, CARD(tape))));
        streamTape(at(tape, offset), bytes, constant(1));
      },
      [&] {
        card = at(memory, kCardsAt);
        fetchCard(mine, card);
        waitForCopies(*this);
        meet();
        // Who has no tiles stays away from what the sample stage's worker changes.
        when(differ(field(i32(), card, CARD(stage)), int64_t(PIANOLA_CUDA_NONE)), [&] {
          beginRings(bytes);
          playStage();
        });
        meet();
        when(equal(thread, 0), [&] { stop(); });
      });
}

} // namespace pianola::nvptx
