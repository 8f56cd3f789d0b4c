// Turn.h - the one lock of the library, which a long launch hands to whoever waits for it.
#ifndef PIANOLA_TARGETS_NVPTX_DRIVER_TURN_H
#define PIANOLA_TARGETS_NVPTX_DRIVER_TURN_H

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>

namespace pianola::cuda {

class Turn {
public:
  void lock() {
    waiting.fetch_add(1, std::memory_order_relaxed);
    mutex.lock();
    waiting.fetch_sub(1, std::memory_order_relaxed);
    taken.fetch_add(1, std::memory_order_relaxed);
  }
  void unlock() { mutex.unlock(); }

  /// By the holder: lets one go first who waits now. A mutex alone would go back to the holder
  /// before the other one is awake.
  void giveWay() {
    if (!waiting.load(std::memory_order_relaxed))
      return;
    uint64_t before = taken.load(std::memory_order_relaxed);
    mutex.unlock();
    while (waiting.load(std::memory_order_relaxed) &&
           taken.load(std::memory_order_relaxed) == before)
      std::this_thread::yield();
    lock();
  }
  /// By the holder: others may go meanwhile.
  void sleep(uint32_t microseconds) {
    mutex.unlock();
    std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
    lock();
  }

private:
  std::mutex mutex;
  std::atomic<uint32_t> waiting{0};
  std::atomic<uint64_t> taken{0};
};

} // namespace pianola::cuda

#endif
