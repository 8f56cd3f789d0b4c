// TraceOptions.cpp - --trace and --html of verbs that play: what was recorded, to look at.
#include "tools/pianola/TraceOptions.h"

#include "tools/pianola/Verbs.h"

#include <fstream>

namespace pianola {

void addTraceOptions(CLI::App &verb, TraceOptions &options) {
  verb.add_option("--html", options.html,
                  "On a GPU: write when each worker did what as a page to look at");
  verb.add_option("--trace", options.trace, "The same as a trace for Perfetto");
}

bool writeFile(const std::string &path, const std::string &text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  return static_cast<bool>(file);
}

void printShares(const std::vector<StageShare> &shares, uint64_t plays) {
  std::fprintf(stderr, "%-24s %6s %14s %14s %12s\n", "step", "times", "predicted us", "recorded us",
               "waiting us");
  StageShare total;
  total.kind = "all";
  auto print = [](const StageShare &share) {
    std::fprintf(stderr, "%-24s %6d %14.1f %14.1f %12.1f\n", share.kind.c_str(), share.steps,
                 share.predicted * 1e-3, share.recorded * 1e-3, share.waiting * 1e-3);
  };
  for (const StageShare &share : shares) {
    print(share);
    total.steps += share.steps;
    total.predicted += share.predicted;
    total.recorded += share.recorded;
    total.waiting += share.waiting;
  }
  print(total);
  std::fprintf(stderr, "means of %llu play%s\n", static_cast<unsigned long long>(plays),
               plays == 1 ? "" : "s");
}

Status writeRecording(const TraceOptions &options, const Roll &roll, Session &session) {
  if (!options.wanted())
    return Status();
  Result<Recording> recording = session.recording();
  if (!recording)
    return recording.status();
  DrawnPlay play = drawn(roll, session.deviceName(), *recording, recording->plays - 1);
  if (!options.html.empty() && !writeFile(options.html, drawTimeline(play)))
    return Status::error("--html " + options.html + ": cannot be written");
  if (!options.trace.empty() && !writeFile(options.trace, writeTrace(play)))
    return Status::error("--trace " + options.trace + ": cannot be written");
  printShares(stageShares(roll, *recording), std::max<uint64_t>(1, recording->plays - 1));
  return Status();
}

} // namespace pianola
