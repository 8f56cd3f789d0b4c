// Threads.h - starting a thread where the system may have none left.
#ifndef PIANOLA_RUNTIME_HOST_THREADS_H
#define PIANOLA_RUNTIME_HOST_THREADS_H

#include <system_error>
#include <thread>
#include <vector>

namespace pianola {

/// False if the system gives no more threads: whoever asks then works with those that it has.
template <typename Work> bool startThread(std::vector<std::thread> &threads, Work work) {
  try {
    threads.emplace_back(work);
    return true;
  } catch (const std::system_error &) {
    return false;
  }
}

} // namespace pianola

#endif
