// CheckTables.h - whether all that a roll's tables point at is there.
#ifndef PIANOLA_RUNTIME_ROLL_CHECKTABLES_H
#define PIANOLA_RUNTIME_ROLL_CHECKTABLES_H

#include "runtime/Status.h"

namespace pianola {

class Roll;

/// Everything by which one part of a roll refers to another: parts into the code, tapes and tables
/// into their sections, bindings into the arena and the lists; and the records (CheckRecords.h).
Status checkTables(const Roll &roll);

} // namespace pianola

#endif
