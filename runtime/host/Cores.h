// Cores.h - the cores that this process may use, and pinning threads to them.
#ifndef PIANOLA_RUNTIME_HOST_CORES_H
#define PIANOLA_RUNTIME_HOST_CORES_H

#include <sched.h>
#include <vector>

namespace pianola {

/// In the order of their numbers.
std::vector<int> availableCores();

/// Pins the calling thread to one of the cores, counted round. Where the system refuses, the thread
/// stays unpinned.
void pinTo(const std::vector<int> &cores, unsigned index);

/// Pins the calling thread to the first core for as long as the object lives, if `active`.
class PinnedHere {
public:
  PinnedHere(const std::vector<int> &cores, bool active);
  ~PinnedHere();
  PinnedHere(const PinnedHere &) = delete;
  PinnedHere &operator=(const PinnedHere &) = delete;

private:
  bool active;
  cpu_set_t before;
};

} // namespace pianola

#endif
