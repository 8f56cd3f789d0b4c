//===- Schedule.h - Who does it, when ---------------------------*- C++ -*-===//
#ifndef PIANOLA_DIALECTS_SCHEDULE_SCHEDULE_H
#define PIANOLA_DIALECTS_SCHEDULE_SCHEDULE_H

#include "dialects/tile/Tile.h"
#include <vector>

#include "dialects/schedule/ScheduleDialect.h.inc"

namespace pianola::schedule {
class BufferOp;
class StepOp;
} // namespace pianola::schedule

#define GET_ATTRDEF_CLASSES
#include "dialects/schedule/ScheduleAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/schedule/ScheduleTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/schedule/Schedule.h.inc"

#endif
