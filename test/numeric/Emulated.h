// Emulated.h - sessions on the emulator, in interleavings that a seed picks.
#ifndef PIANOLA_TEST_NUMERIC_EMULATED_H
#define PIANOLA_TEST_NUMERIC_EMULATED_H

#include "test/numeric/Compiled.h"

namespace pianola {

/// How many interleavings a test plays: PIANOLA_INTERLEAVINGS where it is set, for a long run.
inline unsigned interleavings(unsigned usual) {
  const char *wanted = getenv("PIANOLA_INTERLEAVINGS");
  return wanted && *wanted ? std::max(1, atoi(wanted)) : usual;
}

inline bool isLongRun() { return getenv("PIANOLA_INTERLEAVINGS"); }

/// One way of playing a roll.
struct Emulation {
  std::string device; // a name of the device table
  LaunchKind launch = LaunchKind::Persistent;
  unsigned seed = 0;
  double watchdogSeconds = 20;
};

inline void PrintTo(const Emulation &emulation, std::ostream *out) {
  *out << emulation.device
       << (emulation.launch == LaunchKind::Graph ? ", graph, seed " : ", persistent, seed ")
       << emulation.seed;
}

/// A conversation on the emulator. Whatever the emulator finds makes the call fail that is under
/// way, and is printed. One at a time of a roll: sessions of a roll share the driver's context, and
/// with it the seed.
class EmulatedSession {
public:
  EmulatedSession(const Roll &roll, const Emulation &emulation) : roll(roll) {
    setenv("PIANOLA_EMULATED_DEVICE", emulation.device.c_str(), 1);
    setenv("PIANOLA_EMULATOR_SEED", std::to_string(emulation.seed).c_str(), 1);
    SessionOptions options;
    options.device = DeviceKind::Emulator;
    options.launch = emulation.launch;
    options.watchdogSeconds = emulation.watchdogSeconds;
    Result<std::unique_ptr<Session>> made = Session::create(roll, options);
    status = made.status();
    if (made)
      session = std::move(*made);
  }
  ~EmulatedSession() {
    unsetenv("PIANOLA_EMULATED_DEVICE");
    unsetenv("PIANOLA_EMULATOR_SEED");
  }

  Status begun() const { return status; }
  Session &operator*() { return *session; }
  Session *operator->() { return session.get(); }

  /// Feeds the tokens; [ids][vocabulary].
  std::vector<float> logits(const std::vector<int32_t> &ids, bool oneByOne) {
    EXPECT_TRUE(status.ok()) << status.message();
    std::vector<float> result(ids.size() * roll.manifest().model.vocabulary);
    FeedOptions feed;
    feed.oneByOne = oneByOne;
    feed.allLogits = result.data();
    if (status.ok())
      status = session->feed(ids.data(), ids.size(), feed);
    EXPECT_TRUE(status.ok()) << status.message();
    return result;
  }

  /// The same, `chunk` tokens as a prompt and `single` one by one, in turn.
  std::vector<float> logits(const std::vector<int32_t> &ids, size_t chunk, size_t single) {
    std::vector<float> all;
    for (size_t at = 0, turn = 0; at < ids.size(); ++turn) {
      size_t count = std::min(turn % 2 ? single : chunk, ids.size() - at);
      std::vector<float> some = logits({&ids[at], &ids[at] + count}, turn % 2);
      all.insert(all.end(), some.begin(), some.end());
      at += count;
    }
    return all;
  }

  /// Feeds a prompt and goes on without the host, in a single launch.
  std::vector<int32_t> generate(const std::vector<int32_t> &prompt, uint64_t most,
                                const SamplingOptions &sampling) {
    EXPECT_TRUE(status.ok()) << status.message();
    std::vector<int32_t> heard;
    if (status.ok())
      status = session->feed(prompt.data(), prompt.size());
    EXPECT_TRUE(status.ok()) << status.message();
    if (!status.ok())
      return heard;
    Sampler sampler(sampling, roll.manifest().model.validVocabulary);
    GenerateOptions options;
    options.most = most;
    options.take = [&](int32_t token) { return heard.push_back(token), true; };
    status = session->generate(sampler, options).status();
    EXPECT_TRUE(status.ok()) << status.message();
    return heard;
  }

  /// The same tokens with the host's sampler, after each token's logits.
  std::vector<int32_t> sampleOnHost(const std::vector<int32_t> &prompt, uint64_t most,
                                    const SamplingOptions &sampling) {
    EXPECT_TRUE(status.ok()) << status.message();
    std::vector<int32_t> chosen, ids = prompt, history;
    Sampler sampler(sampling, roll.manifest().model.validVocabulary);
    while (status.ok() && chosen.size() < most) {
      status = session->feed(ids.data(), ids.size());
      EXPECT_TRUE(status.ok()) << status.message();
      if (!status.ok())
        break;
      history.insert(history.end(), ids.begin(), ids.end());
      Result<const float *> logits = session->logits();
      EXPECT_TRUE(logits) << logits.message();
      Result<int32_t> token = sampler.sample(*logits, history);
      EXPECT_TRUE(token) << token.message();
      chosen.push_back(*token);
      ids = {*token};
    }
    return chosen;
  }

private:
  const Roll &roll;
  Status status;
  std::unique_ptr<Session> session;
};

} // namespace pianola

#endif
