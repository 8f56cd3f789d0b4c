// DeviceState.h - what a device keeps between launches.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_DEVICESTATE_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_DEVICESTATE_H

#include "targets/nvptx/Devices.h"
#include "targets/nvptx/emulator/Memory.h"

namespace pianola::ptx {

class DeviceState {
public:
  DeviceState(const DeviceRow &row, uint64_t seed) : row(row), memory(row.memoryBytes, seed) {}

  DeviceRow row;
  Memory memory;
  uint64_t launches = 0;
  uint64_t gridWorkspace = 0; ///< of cooperative launches, once there was one
};

/// Shared memory that the hardware keeps for itself, of each block on sm_80 and later.
constexpr uint32_t reservedShared = 1024;

} // namespace pianola::ptx

#endif
