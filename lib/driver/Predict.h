//===- Predict.h - How fast a model will be on a GPU ------------*- C++ -*-===//
#ifndef PIANOLA_LIB_DRIVER_PREDICT_H
#define PIANOLA_LIB_DRIVER_PREDICT_H

#include "dialects/schedule/Timeline.h"
#include "lib/driver/MemoryNeeds.h"
#include "runtime/timeline/Pictures.h"
#include "targets/nvptx/Devices.h"
#include "llvm/Support/Error.h"

namespace pianola {

struct PredictOptions {
  std::string directory;
  std::string target = "h200"; // a name of the device table
  std::string weights;         // as compile --weights
  std::string kv;              // as compile --kv
  int64_t workers = 0;         // 0: as many as the device has SMs
  int64_t positions = schedule::kUsualPositions;
  int64_t slots = 1;
};

/// What a step is called, and what it is called in all layers alike.
struct PredictedStep {
  std::string label, kind;
  std::vector<int64_t> tiles; // of each worker
};

struct Prediction {
  std::string model; // name and size
  const DeviceRow *device;
  int64_t workers, slots, positions;
  double bandwidth; // bytes a ns
  /// With the contexts of so many positions, and of all that the model has.
  MemoryNeeds needs, most;
  int64_t maxPositions;
  std::vector<PredictedStep> steps;
  schedule::Timeline timeline;
};

/// Schedules the model, of which config.json is enough, and predicts a play: the token of a program
/// of one slot, or a chunk of a prompt.
llvm::Expected<Prediction> predict(const PredictOptions &options);

/// To be looked at.
DrawnPlay drawn(const Prediction &prediction);

} // namespace pianola

#endif
