//===- Progress.h - How far a long task has got -----------------*- C++ -*-===//
#ifndef PIANOLA_LIB_DRIVER_PROGRESS_H
#define PIANOLA_LIB_DRIVER_PROGRESS_H

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace pianola {

/// A bar with bytes, rate and remaining time on a terminal's standard error; silent elsewhere.
/// advance() may be called from several threads.
class Progress {
public:
  explicit Progress(bool visible);

  void begin(std::string phase, uint64_t total);
  void advance(uint64_t bytes);
  void end();

private:
  void draw(std::chrono::steady_clock::time_point now);

  bool visible;
  std::string phase;
  uint64_t total = 0;
  std::atomic<uint64_t> done{0};
  std::chrono::steady_clock::time_point started, drawn;
  std::mutex mutex;
};

} // namespace pianola

#endif
