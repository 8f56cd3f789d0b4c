// CheckTables.h - whether all that a roll's tables point at is there.
#ifndef PIANOLA_RUNTIME_ROLL_CHECKTABLES_H
#define PIANOLA_RUNTIME_ROLL_CHECKTABLES_H

#include "runtime/Status.h"

namespace pianola {

class Roll;

/// Everything by which one part of a roll refers to another: parts into the code, tapes and tables
/// into their sections, bindings into the arena and the lists, records to steps, parts, events and
/// the tape. Then plays the records abstractly, to see that no worker waits forever.
Status checkTables(const Roll &roll);

} // namespace pianola

#endif
