// Devices.h - NVIDIA GPUs as data: a new device of a known capability is a row, not code.
#ifndef PIANOLA_TARGETS_NVPTX_DEVICES_H
#define PIANOLA_TARGETS_NVPTX_DEVICES_H

#include <cstdint>
#include <string_view>
#include <vector>

namespace pianola {

/// One GPU. Sizes are bytes, per SM or per block as named; rates are those of the data sheet.
/// Sources: the CUDA C++ programming guide (table of compute capabilities) and NVIDIA's data sheets
/// of each product.
struct DeviceRow {
  std::string_view name;    ///< how --target spells it: "h200"
  std::string_view product; ///< what cuDeviceGetName answers
  uint32_t capability;      ///< 90 for sm_90
  uint32_t sms;
  uint32_t sharedPerSm;    ///< bytes that the blocks of one SM share
  uint32_t sharedPerBlock; ///< bytes one block may use, opted in
  uint32_t threadsPerSm;
  uint32_t blocksPerSm;
  uint64_t l2Bytes;
  uint64_t memoryBytes;
  double bandwidth; ///< bytes a second of device memory
  double clock;     ///< hertz, boost
};

/// Every known device, newest first.
const std::vector<DeviceRow> &devices();
/// The row of that name, or null.
const DeviceRow *findDevice(std::string_view name);

} // namespace pianola

#endif
