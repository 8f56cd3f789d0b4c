//===- Pictures.h - A predicted play, to look at ----------------*- C++ -*-===//
#ifndef PIANOLA_LIB_DRIVER_PICTURES_H
#define PIANOLA_LIB_DRIVER_PICTURES_H

#include "lib/driver/Predict.h"

namespace pianola {

/// One page of HTML that needs nothing else: a lane for each worker (lib/driver/timeline.html).
std::string drawTimeline(const Prediction &prediction);

/// The same in the trace event format that Perfetto and chrome://tracing show.
std::string writeTrace(const Prediction &prediction);

} // namespace pianola

#endif
