// Scheduler.h - many texts from one ensemble.
//
// A thread plays round after round: a chunk of one prompt, then a token of every text under way,
// all in one play. So nobody waits for others to end, and a long prompt holds up the others by a
// chunk at a time.
//
// Sequences keep what was fed to them after their text has ended. A prompt that begins as one of
// them did takes over the keys and values of the whole chunks that they share, as far as those were
// fed as chunks: tokens that were generated went through another program, whose sums round
// differently, and every text is to be the very one that it would have been alone.
#ifndef PIANOLA_RUNTIME_SERVER_SCHEDULER_H
#define PIANOLA_RUNTIME_SERVER_SCHEDULER_H

#include "runtime/server/Task.h"
#include "runtime/session/Ensemble.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace pianola::server {

struct SchedulerOptions {
  SessionOptions session;
  /// Texts under way at once. Default: 8, or as many as the roll's programs have slots, or as half
  /// of the machine's memory has room for; one on a GPU, whose player keeps one sequence.
  std::optional<uint64_t> parallel;
  /// Sequences beside those, which remember prompts. Default: 8, or as the same memory has room
  /// for; none on a GPU, nor of a model whose layers remember texts.
  std::optional<uint64_t> kept;
  uint64_t queue = 256; // tasks that may wait
};

/// Tasks that belong together: cancelled at once, and served in turn with those of others.
class TaskGroup {
public:
  /// Ends what has not ended yet. From any thread.
  void cancel() { cancelled = true; }
  bool isCancelled() const { return cancelled; }

private:
  friend class Scheduler;
  std::atomic<bool> cancelled{false};
  std::deque<Task> waiting;
  Clock::time_point queued;
};

/// What goes on; totals are since the beginning.
struct SchedulerCounts {
  uint64_t running = 0, waiting = 0;
  uint64_t promptTokens = 0, cachedTokens = 0, generatedTokens = 0;
  uint64_t prefixQueries = 0, prefixHits = 0; // tokens that were looked up, and found
  uint64_t steps = 0, turns = 0;              // plays of tokens, and tokens in them
  double contextShare = 0;                    // of the positions of all texts that may be under way
};

class Scheduler {
public:
  /// The roll must outlive it.
  static Result<std::unique_ptr<Scheduler>> create(const Roll &roll,
                                                   const SchedulerOptions &options);
  /// Ends all tasks first.
  ~Scheduler();

  /// Takes tasks, all or, if the queue has no room for them or no more are taken, none: then null,
  /// and nothing is heard of them.
  std::shared_ptr<TaskGroup> submit(std::vector<Task> tasks);

  /// Takes no more, and waits until all tasks have ended; those that have not by then are ended.
  void shutDown(std::chrono::milliseconds patience);

  SchedulerCounts counts() const;
  uint64_t maxLen() const { return ensemble->maxLen(); }
  uint64_t parallel() const { return parallelTexts; }
  uint64_t queueSize() const { return options.queue; }
  /// Bytes of keys and values, if every sequence is full.
  uint64_t contextBytes() const;
  std::string deviceName() const { return ensemble->deviceName(); }

private:
  /// A task under way, on the sequence of its number.
  struct Voice {
    Task task;
    std::shared_ptr<TaskGroup> group;
    std::optional<Sampler> sampler;
    Ending ending;
    uint64_t turn = 0;           // when it came; earlier ones are smaller
    std::optional<int32_t> next; // chosen, not fed yet; none: the prompt is being fed
  };
  /// What a sequence of the ensemble holds.
  struct Memory {
    std::optional<Voice> voice;
    uint64_t exact = 0; // positions from the first one that were fed as whole chunks
    uint64_t used = 0;  // when, last
  };

  explicit Scheduler(SchedulerOptions options) : options(std::move(options)) {}
  void run();
  bool admit();
  bool sweep();
  void feedPrompts();
  bool mustWait(uint64_t sequence) const;
  void reuse(uint64_t sequence);
  uint64_t shared(const std::vector<int32_t> &prompt, uint64_t sequence) const;
  void step();
  void choose(uint64_t sequence);
  void tellState(uint64_t sequence);
  std::optional<ChosenToken> sample(uint64_t sequence, Voice &voice);
  void end(uint64_t sequence, Ending::Reason reason, std::string error = "");
  void failAll(const std::string &error);
  void publish();

  SchedulerOptions options;
  std::unique_ptr<Ensemble> ensemble;
  int32_t vocabulary = 0; // that may be chosen
  uint64_t parallelTexts = 1, sequenceBytes = 0;
  std::vector<Memory> memories;
  bool remembers = false; // the model has layers with states
  uint64_t turns = 0, lastFed = 0;
  SchedulerCounts totals; // of the thread

  mutable std::mutex mutex; // of what follows
  std::condition_variable changed;
  std::deque<std::shared_ptr<TaskGroup>> queue;
  uint64_t waiting = 0;
  bool closed = false, stopping = false, idle = true;
  SchedulerCounts published;
  std::thread thread;
};

} // namespace pianola::server

#endif
