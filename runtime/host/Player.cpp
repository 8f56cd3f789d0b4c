// Player.cpp - plays a program's records on threads.
#include "runtime/host/Player.h"
#include "runtime/host/Cores.h"
#include "runtime/host/Threads.h"

#include <algorithm>
#include <chrono>
#include <sched.h>

namespace pianola {

using Clock = std::chrono::steady_clock;

static void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// A helper spins this often for the next play before it sleeps: some tens of microseconds, longer
// than choosing a token takes.
static constexpr int kIdleSpins = 4000;
// A wait spins this often before it lets other threads have the core: workers may be more than
// cores.
static constexpr int kWaitSpins = 20000;

// A wait asks for so much of the tape, in pieces: what a core reads in some 2 microseconds, and a
// small part of any second cache.
static constexpr uint64_t kAskedAhead = 32 << 10;
static constexpr uint64_t kAskedAtOnce = 512;

Player::Player(const Roll &roll, unsigned threads, double watchdogSeconds)
    : roll(roll), watchdogSeconds(watchdogSeconds), cores(availableCores()) {
  const RollManifest &manifest = roll.manifest();
  uint64_t bytes = 0;
  for (const RollProgram &program : manifest.programs) {
    events.emplace_back(program.events);
    bytes = std::max(bytes, program.scratch);
  }
  for (size_t worker = 0; worker < manifest.tapes.size(); ++worker) {
    scratchMemory.emplace_back(new uint8_t[bytes + 64]); // not touched before a part does
    auto address = reinterpret_cast<uintptr_t>(scratchMemory.back().get());
    scratch.push_back(reinterpret_cast<uint8_t *>((address + 63) / 64 * 64));
  }
  auto workers = static_cast<unsigned>(manifest.tapes.size());
  threads = std::clamp(threads, 1u, workers);
  for (unsigned thread = 1; thread < threads; ++thread)
    if (!startThread(helpers, [this, thread] { help(thread); }))
      break;
}

Player::~Player() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    quit = true;
    generation.fetch_add(1, std::memory_order_release);
  }
  wake.notify_all();
  for (std::thread &helper : helpers)
    helper.join();
}

void Player::help(unsigned thread) {
  pinTo(cores, thread);
  uint64_t seen = 0;
  for (;;) {
    int spins = 0;
    while (generation.load(std::memory_order_acquire) == seen) {
      if (++spins < kIdleSpins) {
        pause();
        continue;
      }
      std::unique_lock<std::mutex> lock(mutex);
      wake.wait(lock, [&] { return generation.load(std::memory_order_acquire) != seen; });
    }
    ++seen;
    if (quit)
      return;
    playStreams(thread);
    running.fetch_sub(1, std::memory_order_acq_rel);
  }
}

Status Player::play(const HostPlay &play) {
  current = play;
  bases.clear();
  for (const Counter &counter : events[play.play->program])
    bases.push_back(counter.value.load(std::memory_order_acquire));
  stop = false;
  lastWasCancelled = false;
  {
    std::lock_guard<std::mutex> lock(mutex);
    failure.clear();
    running = static_cast<unsigned>(helpers.size());
    generation.fetch_add(1, std::memory_order_release);
  }
  wake.notify_all();
  {
    PinnedHere pinned(cores, helpers.empty() ? 0 : 1);
    playStreams(0);
    // Helpers end soon after: their last records need nothing more from here.
    for (int spins = 0; running.load(std::memory_order_acquire) != 0;)
      if (++spins < kWaitSpins)
        pause();
      else
        sched_yield();
  }
  std::lock_guard<std::mutex> lock(mutex);
  if (!failure.empty())
    return Status::error(failure);
  if (stop) {
    cancelled = false;
    lastWasCancelled = true;
    return Status::error("cancelled");
  }
  return Status();
}

void Player::playStreams(unsigned thread) {
  const RollProgram &program = roll.manifest().programs[current.play->program];
  std::vector<Stream> streams;
  for (size_t worker = thread; worker < program.records.size(); worker += helpers.size() + 1) {
    const RecordRange &range = program.records[worker];
    const PianolaRollRecord *first = roll.records() + range.first;
    streams.push_back({static_cast<uint32_t>(worker), first, first + range.count});
  }
  int spins = 0;
  Clock::time_point blocked;
  for (size_t left = streams.size(); left > 0;) {
    bool progress = false;
    left = 0;
    for (Stream &stream : streams) {
      progress |= advance(stream);
      left += stream.next != stream.end;
    }
    if (stop.load(std::memory_order_relaxed))
      return;
    if (progress) {
      spins = 0;
      continue;
    }
    if (++spins < kWaitSpins) {
      pause();
      continue;
    }
    Clock::time_point now = Clock::now();
    if (spins == kWaitSpins)
      blocked = now;
    if (std::chrono::duration<double>(now - blocked).count() > watchdogSeconds) {
      for (const Stream &stream : streams)
        if (stream.next != stream.end)
          report(stream);
      return;
    }
    sched_yield();
  }
}

// Goes on with the stream as far as it can; says whether it did anything.
bool Player::advance(Stream &stream) {
  bool progress = false;
  for (; stream.next != stream.end; ++stream.next, progress = true) {
    if (cancelled.load(std::memory_order_relaxed))
      stop.store(true, std::memory_order_relaxed);
    if (stop.load(std::memory_order_relaxed))
      return progress;
    const PianolaRollRecord &record = *stream.next;
    switch (record.kind) {
    case PIANOLA_RECORD_WAIT:
      if (!isMet(record)) {
        askAhead(stream);
        return progress;
      }
      break;
    case PIANOLA_RECORD_SIGNAL:
      events[current.play->program][record.index].value.fetch_add(1, std::memory_order_release);
      break;
    default:
      run(record, stream.worker);
    }
  }
  return progress;
}

bool Player::isMet(const PianolaRollRecord &wait) const {
  uint64_t value = events[current.play->program][wait.index].value.load(std::memory_order_acquire);
  return value - bases[wait.index] >= wait.begin;
}

// While a wait is not met, memory is asked for what the next run takes from the tape: a few lines
// each time, so that the event is not noticed later for it. What layers share may stand far from
// their tiles, and was read before.
void Player::askAhead(Stream &stream) const {
  const PianolaRollRecord *run = stream.next;
  while (run != stream.end && run->kind != PIANOLA_RECORD_RUN)
    ++run;
  if (run == stream.end)
    return;
  if (stream.awaited != run) {
    stream.awaited = run;
    stream.asked = 0;
  }
  const RollTape &tape = roll.manifest().tapes[stream.worker];
  bool isNear = run->tape - run->resident < kAskedAhead;
  uint64_t begin = isNear ? run->resident : run->tape;
  uint64_t end = std::min(stream.asked + kAskedAtOnce, std::min(kAskedAhead, tape.bytes - begin));
  const uint8_t *from = roll.section(PIANOLA_SECTION_TAPE) + tape.offset + begin;
  for (; stream.asked < end; stream.asked += 64)
    __builtin_prefetch(from + stream.asked, 0, 2);
}

void Player::run(const PianolaRollRecord &record, uint32_t worker) {
  const RollManifest &manifest = roll.manifest();
  const uint8_t *tape = roll.section(PIANOLA_SECTION_TAPE) + manifest.tapes[worker].offset;
  PianolaHostCall call = {};
  call.bindings = (*current.bindings)[record.step].data();
  call.resident = tape + record.resident;
  call.tape = tape + record.tape;
  call.scratch = scratch[worker];
  call.tokens = current.play->slots.tokens.data();
  call.positions = current.play->slots.positions.data();
  call.sequences = current.play->slots.sequences.data();
  call.slots = current.play->slots.size();
  call.first_output = current.play->firstOutput;
  call.capacity = current.capacity;
  call.begin = record.begin;
  call.end = record.end;
  const uint8_t *entry = roll.section(PIANOLA_SECTION_CODE) + manifest.parts[record.index].entry;
  reinterpret_cast<PianolaHostPart>(reinterpret_cast<uintptr_t>(entry))(&call);
}

void Player::report(const Stream &stream) {
  const PianolaRollRecord &wait = *stream.next;
  const RollProgram &program = roll.manifest().programs[current.play->program];
  uint64_t seen = events[current.play->program][wait.index].value.load(std::memory_order_acquire) -
                  bases[wait.index];
  fail("watchdog: worker " + std::to_string(stream.worker) + " has waited " +
       std::to_string(watchdogSeconds) + " s in step \"" + program.steps[wait.step].label +
       "\" of program " + program.name + " for event " + std::to_string(wait.index) +
       ": expected " + std::to_string(wait.begin) + ", seen " + std::to_string(seen));
}

void Player::fail(std::string message) {
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (failure.empty())
      failure = std::move(message);
  }
  stop = true;
}

} // namespace pianola
