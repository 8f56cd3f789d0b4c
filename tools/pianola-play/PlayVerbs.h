// PlayVerbs.h - the verbs of the player, one file each.
#ifndef PIANOLA_TOOLS_PIANOLA_PLAY_PLAYVERBS_H
#define PIANOLA_TOOLS_PIANOLA_PLAY_PLAYVERBS_H

#include "tools/pianola/Verbs.h"

namespace pianola {

/// Each sets the exit code when the command line names it, as in Verbs.h.
void addMeasureVerb(CLI::App &app, int &exitCode);
void addPlantVerb(CLI::App &app, int &exitCode);
void addTraceVerb(CLI::App &app, int &exitCode);
void addVerifyVerb(CLI::App &app, int &exitCode);

} // namespace pianola

#endif
