// Log.h - what the server did, a JSON object a line on standard error.
#ifndef PIANOLA_RUNTIME_SERVER_LOG_H
#define PIANOLA_RUNTIME_SERVER_LOG_H

#include "runtime/server/Json.h"

#include <mutex>

namespace pianola::server {

class Log {
public:
  explicit Log(bool isQuiet) : isQuiet(isQuiet) {}
  /// {"time", "event", ...}: members are `more`'s. From any thread.
  void write(const std::string &event, const ordered_json &more);

private:
  bool isQuiet;
  std::mutex mutex;
};

} // namespace pianola::server

#endif
