// Device.cpp - token after token, on a device that knows nothing of it.
#include "runtime/session/Device.h"

#include <algorithm>

namespace pianola {

Status Device::loop(const Loop &loop, Sampler &sampler, std::vector<int32_t> &history) {
  int32_t token = loop.first;
  for (uint64_t i = 0; i < loop.plays; ++i) {
    Play next;
    next.program = loop.program;
    next.tokens = &token;
    next.position = history.size();
    if (Status status = play(next); !status.ok())
      return status;
    history.push_back(token);
    Result<int32_t> chosen = choose(sampler, history);
    if (!chosen)
      return chosen.status();
    token = *chosen;
    if (!loop.take(token) || std::count(loop.stops->begin(), loop.stops->end(), token))
      return Status();
  }
  return Status();
}

} // namespace pianola
