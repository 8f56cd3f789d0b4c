// Task.h - one text that is to be generated, or only read, and what is heard of it.
#ifndef PIANOLA_RUNTIME_SERVER_TASK_H
#define PIANOLA_RUNTIME_SERVER_TASK_H

#include "runtime/grammar/Matcher.h"
#include "runtime/sampling/Sampler.h"

#include <chrono>
#include <functional>

namespace pianola::server {

using Clock = std::chrono::steady_clock;

/// A token and the natural logarithm of its probability, as the model has it: before penalties,
/// temperature and masks.
struct TokenProbability {
  int32_t id;
  float logprob;
};

struct ChosenToken {
  int32_t id;
  bool isStop;                             // the last; no part of the text
  std::optional<float> logprob;            // if they were asked for
  std::vector<TokenProbability> probables; // so many as were asked for, greatest first
};

/// What became of a task.
struct Ending {
  enum Reason {
    Stop,      // a stop token, or `take` wanted no more
    Length,    // as many tokens as were wanted, or as the context holds
    Cancelled, // by who asked
    Shutdown,  // the scheduler stops
    Failed     // see `error`
  } reason = Failed;
  std::string error;
  size_t promptTokens = 0, cachedTokens = 0, generatedTokens = 0;
  Clock::time_point queued{}, started{}, firstToken{},
      ended{}; // `firstToken` is 0 if there is none
};

struct Task {
  std::vector<int32_t> prompt; // one token at least, and fewer than a sequence holds, or as many
                               // if nothing is generated
  SamplingOptions sampling;
  uint64_t most = 1; // tokens
  std::vector<int32_t> stops;
  std::optional<grammar::Matcher> matcher;
  std::optional<size_t> probables; // how many of the most probable tokens to tell with each

  /// If it is there, nothing is generated: hears the last hidden state of the prompt's last token,
  /// f32 [hidden]. The roll must have hidden states. From the scheduler's thread, so it must be
  /// quick.
  std::function<void(const float *)> takeState;
  /// Hears each token, and says whether to go on. From the same thread.
  std::function<bool(const ChosenToken &)> take;
  /// Hears how it ended, once, after the last token. From any thread.
  std::function<void(const Ending &)> done;
};

} // namespace pianola::server

#endif
