// Emulation.h - AMX on CPUs that have none, for tests.
//
// An instruction that a CPU does not have raises SIGILL. The handler here decodes it, does what it
// would have done, and steps on; each thread has tiles of its own. What the processor would fault
// on is said on stderr, and ends the process by the same signal.
#ifndef PIANOLA_TEST_RUNTIME_AMX_EMULATION_H
#define PIANOLA_TEST_RUNTIME_AMX_EMULATION_H

#include <string>
#include <vector>

namespace pianola::test {

/// Whether this CPU has AMX and the system permits it.
bool hasAmx();

/// From now on code for AMX runs in this process, on silicon if there is any, and the runtime takes
/// rolls for it.
void provideAmx();

/// Whether code with these features runs here, AMX among them provided.
bool canRun(const std::vector<std::string> &features);

} // namespace pianola::test

#endif
