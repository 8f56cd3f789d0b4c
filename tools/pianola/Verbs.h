// Verbs.h - the verbs of the driver, one file each.
#ifndef PIANOLA_TOOLS_PIANOLA_VERBS_H
#define PIANOLA_TOOLS_PIANOLA_VERBS_H

#include "runtime/session/Session.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace pianola {

/// Adds a verb to the command line. When the command line names it, its callback sets the exit
/// code: 0, or what fail() and failUsage() return.
void addCompileVerb(CLI::App &app, int &exitCode);
void addLogitsVerb(CLI::App &app, int &exitCode);
void addBenchVerb(CLI::App &app, int &exitCode);
void addInspectVerb(CLI::App &app, int &exitCode);
void addPerplexityVerb(CLI::App &app, int &exitCode);
void addPredictVerb(CLI::App &app, int &exitCode);
void addTemplateVerb(CLI::App &app, int &exitCode);
void addTokenizeVerbs(CLI::App &app, int &exitCode);

/// A model directory that `run` is to play.
struct RollRequest {
  std::string directory;
  std::string target = "host";
  int64_t maxModelLen = 0; // 0: as many positions as the model allows
  bool hiddenStates = false;
};

/// Finds or compiles the roll of a directory.
using RollFinder = std::function<Result<std::string>(const RollRequest &)>;

void addChatVerb(CLI::App &app, int &exitCode, RollFinder rollOf);
void addRunVerb(CLI::App &app, int &exitCode, RollFinder rollOf);
void addServeVerb(CLI::App &app, int &exitCode, RollFinder rollOf);

/// Parses the command line and runs the verb that it names; the exit code of the program, after
/// finishOutput().
int runVerb(CLI::App &app, int argc, char **argv, const int &exitCode);

/// What --target list prints: what rolls can be compiled for.
void listTargets();

/// --threads, --device and --launch.
void addDeviceOptions(CLI::App &verb, SessionOptions &options);

/// Whether the file could be written.
bool writeFile(const std::string &path, const std::string &text);

/// Prints "error: message" on standard error and returns 1, or 2 if the command line is at fault.
int fail(const std::string &message);
int failUsage(const std::string &message);

/// `exitCode`, or that of an error if not all that was printed could be written.
int finishOutput(int exitCode);

} // namespace pianola

#endif
