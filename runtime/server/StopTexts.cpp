// StopTexts.cpp - texts that end a generation, wherever tokens begin and end.
#include "runtime/server/StopTexts.h"

#include <algorithm>

namespace pianola::server {

// The first place from which on `text` is the beginning of a stop.
static size_t beginsStop(const std::string &text, const std::string &stop) {
  size_t begin = text.size() < stop.size() ? 0 : text.size() - stop.size() + 1;
  while (begin < text.size() && stop.compare(0, text.size() - begin, text, begin) != 0)
    ++begin;
  return begin;
}

std::string StopTexts::feed(const std::string &text) {
  if (found)
    return "";
  held += text;
  size_t end = std::string::npos, certain = held.size();
  for (const std::string &stop : stops) {
    end = std::min(end, held.find(stop));
    certain = std::min(certain, beginsStop(held, stop));
  }
  // A longer stop that may have begun earlier is not waited for: this one is there.
  found = end != std::string::npos;
  std::string out = held.substr(0, found ? end : certain);
  held.erase(0, out.size());
  return out;
}

std::string StopTexts::finish() { return found ? std::string() : std::move(held); }

} // namespace pianola::server
