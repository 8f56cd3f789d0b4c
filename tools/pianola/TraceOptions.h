// TraceOptions.h - --trace and --html of verbs that play: what was recorded, to look at.
#ifndef PIANOLA_TOOLS_PIANOLA_TRACEOPTIONS_H
#define PIANOLA_TOOLS_PIANOLA_TRACEOPTIONS_H

#include "runtime/session/Session.h"
#include "runtime/timeline/RecordedPlay.h"

#include <CLI/CLI.hpp>

namespace pianola {

struct TraceOptions {
  std::string html, trace;

  bool wanted() const { return !html.empty() || !trace.empty(); }
};

/// So many plays are recorded; the last of them is drawn.
constexpr uint64_t kTracePlays = 8;

void addTraceOptions(CLI::App &verb, TraceOptions &options);

/// Writes what the session has recorded to the files that are wanted, and prints a table of what
/// was predicted and what was recorded, by kind of stage, on standard error.
Status writeRecording(const TraceOptions &options, const Roll &roll, Session &session);

/// The table alone, of a recording.
void printShares(const std::vector<StageShare> &shares, uint64_t plays);

} // namespace pianola

#endif
