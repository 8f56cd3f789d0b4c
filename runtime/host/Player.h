// Player.h - plays a program's records on threads.
//
// Each worker of a roll has a stream of records: run a part, wait for an event, signal one. A
// thread plays one stream or several; with several it goes from one to the next whenever a wait is
// not met, so any number of threads from 1 to the number of workers plays any roll, and computes
// the same bits.
//
// Events are counters that only grow, one to a cache line. A play reads where they stand when it
// begins and counts from there, so nothing is reset between plays, not even after one that was
// cancelled.
//
// A stream that waits asks memory for what its next part takes from the tape.
//
// The calling thread plays too (the streams of worker 0, threads, 2 * threads, ...). Threads are
// pinned to cores while they play. Between plays helpers spin for a short while and then sleep.
#ifndef PIANOLA_RUNTIME_HOST_PLAYER_H
#define PIANOLA_RUNTIME_HOST_PLAYER_H

#include "runtime/Status.h"
#include "runtime/roll/Roll.h"
#include "runtime/session/Device.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace pianola {

/// A play, and where everything lies. Bindings are addresses, for each step in order.
struct HostPlay {
  const Play *play = nullptr;
  const std::vector<std::vector<void *>> *bindings = nullptr;
  uint64_t capacity = 0;
};

class Player {
public:
  /// `threads` is clamped to 1 .. workers. A wait that takes longer than `watchdogSeconds` stops
  /// the play.
  Player(const Roll &roll, unsigned threads, double watchdogSeconds);
  ~Player();
  Player(const Player &) = delete;
  Player &operator=(const Player &) = delete;

  /// Plays to the end. Errors: cancelled; or a wait that did not end, with worker, step, event, and
  /// the numbers expected and seen. One play at a time.
  Status play(const HostPlay &play);

  /// Makes the play under way, or else the next one, end soon. From any thread.
  void cancel() { cancelled.store(true, std::memory_order_relaxed); }
  bool wasCancelled() const { return lastWasCancelled; }

  unsigned threads() const { return static_cast<unsigned>(helpers.size()) + 1; }

private:
  struct alignas(64) Counter {
    std::atomic<uint64_t> value{0};
  };
  struct Stream {
    uint32_t worker;
    const PianolaRollRecord *next, *end;
    const PianolaRollRecord *awaited = nullptr; // the run that `asked` is about
    uint64_t asked = 0;                         // bytes of its tape that memory was asked for
  };

  void help(unsigned thread);
  void playStreams(unsigned thread);
  bool advance(Stream &stream);
  bool isMet(const PianolaRollRecord &wait) const;
  void askAhead(Stream &stream) const;
  void run(const PianolaRollRecord &record, uint32_t worker);
  void report(const Stream &stream);
  void fail(std::string message);

  const Roll &roll;
  double watchdogSeconds;
  std::vector<std::vector<Counter>> events; // of each program
  std::vector<std::unique_ptr<uint8_t[]>> scratchMemory;
  std::vector<uint8_t *> scratch; // of each worker
  std::vector<int> cores;

  // The play under way; written before `generation` grows, read after.
  HostPlay current;
  std::vector<uint64_t> bases;

  std::atomic<uint64_t> generation{0};
  std::atomic<unsigned> running{0};
  std::atomic<bool> stop{false}, cancelled{false}, quit{false};
  bool lastWasCancelled = false;
  std::mutex mutex;
  std::condition_variable wake;
  std::string failure; // under the mutex
  std::vector<std::thread> helpers;
};

} // namespace pianola

#endif
