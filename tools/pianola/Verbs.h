// Verbs.h - the verbs of the driver, one file each.
#ifndef PIANOLA_TOOLS_PIANOLA_VERBS_H
#define PIANOLA_TOOLS_PIANOLA_VERBS_H

#include <CLI/CLI.hpp>
#include <string>

namespace pianola {

/// Adds a verb to the command line. When the command line names it, its callback sets the exit
/// code: 0, or 1 after a message on standard error.
void addCompileVerb(CLI::App &app, int &exitCode);
void addLogitsVerb(CLI::App &app, int &exitCode);
void addRunVerb(CLI::App &app, int &exitCode);
void addBenchVerb(CLI::App &app, int &exitCode);
void addInspectVerb(CLI::App &app, int &exitCode);
void addTokenizeVerb(CLI::App &app, int &exitCode);

/// Prints "error: message" on standard error and returns 1.
int fail(const std::string &message);

} // namespace pianola

#endif
