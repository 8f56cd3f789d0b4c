// pianola-play.cpp - plays and measures rolls where there is no compiler.
//
// Built of the runtime's sources and a few headers, so that it can be carried to a machine that has
// a GPU and not much else (tools/gpu/check.sh).
#include "tools/pianola-play/PlayVerbs.h"

int main(int argc, char **argv) {
  CLI::App app{"pianola-play checks and measures rolls where there is no compiler."};
  app.require_subcommand(1);
  int exitCode = 0;
  pianola::addVerifyVerb(app, exitCode);
  pianola::addMeasureVerb(app, exitCode);
  pianola::addTraceVerb(app, exitCode);
  pianola::addPlantVerb(app, exitCode);
  pianola::addBenchVerb(app, exitCode);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exitCode;
}
