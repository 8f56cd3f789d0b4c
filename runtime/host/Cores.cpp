// Cores.cpp - the cores that this process may use, and pinning threads to them.
#include "runtime/host/Cores.h"

#include <pthread.h>

namespace pianola {

std::vector<int> availableCores() {
  std::vector<int> cores;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set))
        cores.push_back(core);
  return cores;
}

void pinTo(const std::vector<int> &cores, unsigned index) {
  if (cores.empty())
    return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cores[index % cores.size()], &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

PinnedHere::PinnedHere(const std::vector<int> &cores, bool active) : active(active) {
  if (!active)
    return;
  this->active = pthread_getaffinity_np(pthread_self(), sizeof(before), &before) == 0;
  if (this->active)
    pinTo(cores, 0);
}

PinnedHere::~PinnedHere() {
  if (active)
    pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
}

} // namespace pianola
