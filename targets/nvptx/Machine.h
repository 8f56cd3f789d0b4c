//===- Machine.h - A GPU as passes see it -----------------------*- C++ -*-===//
#ifndef PIANOLA_TARGETS_NVPTX_MACHINE_H
#define PIANOLA_TARGETS_NVPTX_MACHINE_H

#include "dialects/tile/Tile.h"
#include "targets/nvptx/Devices.h"

namespace pianola {

/// The machine of a schedule for `device`: a worker is a thread block that has an SM for itself.
tile::MachineAttr machineFor(mlir::MLIRContext *context, const DeviceRow &device, int64_t workers);

} // namespace pianola

#endif
