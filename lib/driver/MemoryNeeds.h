//===- MemoryNeeds.h - What a scheduled model takes of a device's memory --===//
#ifndef PIANOLA_LIB_DRIVER_MEMORYNEEDS_H
#define PIANOLA_LIB_DRIVER_MEMORYNEEDS_H

#include "dialects/schedule/Schedule.h"

#include <string>

namespace pianola {

/// Bytes.
struct MemoryNeeds {
  uint64_t weights = 0;     // tapes, pools, tables
  uint64_t contexts = 0;    // keys and values of one sequence, and states
  uint64_t activations = 0; // of the program that has most

  /// Of a module that has gone through the pipeline, for so many workers and positions.
  static MemoryNeeds of(mlir::ModuleOp module, int64_t workers, int64_t positions);
  uint64_t total() const { return weights + contexts + activations; }
};

/// "16.1 GB".
std::string gigabytes(uint64_t bytes);

} // namespace pianola

#endif
