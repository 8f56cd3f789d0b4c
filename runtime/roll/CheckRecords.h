// CheckRecords.h - whether a program's records can be played.
#ifndef PIANOLA_RUNTIME_ROLL_CHECKRECORDS_H
#define PIANOLA_RUNTIME_ROLL_CHECKRECORDS_H

#include "runtime/Status.h"

namespace pianola {

class Roll;
struct RollProgram;

/// Records to steps, parts or sections, events and the tape, and the order that a GPU's cards need.
/// Then plays the records abstractly, to see that no worker waits forever; a program that loops is
/// played twice.
Status checkRecords(const Roll &roll, const RollProgram &program);

} // namespace pianola

#endif
