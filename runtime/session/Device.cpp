// Device.cpp - token after token, on a device that knows nothing of it.
#include "runtime/session/Device.h"

#include <algorithm>

namespace pianola {

void Slots::add(uint32_t sequence, uint64_t position, int32_t token) {
  sequences.push_back(sequence);
  positions.push_back(position);
  tokens.push_back(token);
}

Slots Slots::chunk(uint32_t sequence, uint64_t position, const int32_t *tokens, size_t count) {
  Slots slots;
  for (size_t i = 0; i < count; ++i)
    slots.add(sequence, position + i, tokens[i]);
  return slots;
}

Status Device::loop(Loop &loop, Sampler &sampler, std::vector<int32_t> &history) {
  int32_t token = loop.first;
  for (uint64_t i = 0; i < loop.plays; ++i) {
    Play next;
    next.program = loop.program;
    next.slots = Slots::chunk(0, history.size(), &token, 1);
    ++loop.played;
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
