// Log.cpp - what the server did, a JSON object a line on standard error.
#include "runtime/server/Log.h"

#include <chrono>
#include <cstdio>
#include <ctime>

namespace pianola::server {

static std::string now() {
  auto since = std::chrono::system_clock::now().time_since_epoch();
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
  std::time_t seconds = ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  size_t length = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + length, sizeof(text) - length, ".%03dZ", static_cast<int>(ms % 1000));
  return text;
}

void Log::write(const std::string &event, const ordered_json &more) {
  if (isQuiet)
    return;
  ordered_json line = {{"time", now()}, {"event", event}};
  line.update(more);
  std::string text = textOf(line) + "\n";
  std::lock_guard<std::mutex> lock(mutex);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

} // namespace pianola::server
