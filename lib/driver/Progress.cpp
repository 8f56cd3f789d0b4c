//===- Progress.cpp - How far a long task has got -------------------------===//

#include "lib/driver/Progress.h"
#include <cstdio>
#include <unistd.h>

namespace pianola {

using Clock = std::chrono::steady_clock;

Progress::Progress(bool visible) : visible(visible && isatty(STDERR_FILENO)) {}

void Progress::begin(std::string name, uint64_t bytes) {
  phase = std::move(name);
  total = bytes;
  done = 0;
  started = Clock::now();
  drawn = started - std::chrono::seconds(1);
}

void Progress::advance(uint64_t bytes) {
  done += bytes;
  if (!visible)
    return;
  std::unique_lock lock(mutex, std::try_to_lock);
  Clock::time_point now = Clock::now();
  if (lock && now - drawn > std::chrono::milliseconds(100))
    draw(now);
}

void Progress::end() {
  if (!visible)
    return;
  std::lock_guard lock(mutex);
  draw(Clock::now());
  std::fputc('\n', stderr);
}

void Progress::draw(Clock::time_point now) {
  drawn = now;
  double seconds = std::chrono::duration<double>(now - started).count();
  double share = total ? static_cast<double>(done) / total : 1;
  double rate = seconds > 0 ? done / seconds : 0;
  double left = rate > 0 ? (total - done) / rate : 0;
  constexpr int kWidth = 30;
  std::string bar(kWidth, ' ');
  for (int i = 0; i < static_cast<int>(share * kWidth); ++i)
    bar[i] = '=';
  std::fprintf(stderr, "\r%-10s [%s] %3.0f %%  %.1f of %.1f MB  %.0f MB/s  %.0f s left ",
               phase.c_str(), bar.c_str(), share * 100, done * 1e-6, total * 1e-6, rate * 1e-6,
               left);
  std::fflush(stderr);
}

} // namespace pianola
