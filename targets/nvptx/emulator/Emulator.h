// Emulator.h - plays PTX on any machine, and hears every wrong note.
//
// A Device holds memory and modules, and plays launches one after another. A launch executes every
// block, warp and lane of a grid in an interleaving drawn from a seed, and checks what hardware
// forgives: bounds and alignment, reads of memory that nothing wrote, data races by happens-before,
// barriers that only some threads reach, mbarrier phases that run away, and waits that never end.
//
//     Device device(*findDevice("h200"));
//     auto module = device.load(text, "kernel.ptx");
//     auto x = device.allocate(4096, "x");
//     device.write(*x, data, 4096);
//     Arguments arguments;
//     arguments.add(*x).add(uint32_t(1024));
//     Launch launch;
//     launch.grid = {4}, launch.block = {256}, launch.seed = 7;
//     auto played = device.play((*module)->findKernel("scale"), launch, arguments);
//     for (const Finding &finding : played->findings)
//       std::cerr << finding.text() << "\n";
//
// Errors of the caller (no such kernel, bad PTX text, an address outside of every buffer) are
// values of Status; errors of the program that is played are Findings. Nothing here throws or
// aborts, whatever the PTX says. A Device may be used by one thread at a time; different Devices
// are independent of each other.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_EMULATOR_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_EMULATOR_H

#include "runtime/Status.h"
#include "targets/nvptx/Devices.h"
#include "targets/nvptx/emulator/Finding.h"

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pianola::ptx {

class Module;
struct Kernel;
class DeviceState;
struct Profile;

/// The values of a kernel's parameters, in order. Each must have the size of its parameter; a
/// struct that is passed by value is added as its bytes.
class Arguments {
public:
  template <typename T> Arguments &add(const T &value) { return addBytes(&value, sizeof value); }
  Arguments &addBytes(const void *bytes, size_t size) {
    const auto *begin = static_cast<const uint8_t *>(bytes);
    values.emplace_back(begin, begin + size);
    return *this;
  }
  std::vector<std::vector<uint8_t>> values;
};

/// What is checked beside bounds and alignment, which always are.
struct Checks {
  bool races = true;         ///< data races, the asynchronous proxy's included
  bool uninitialised = true; ///< reads of memory that nothing wrote
  static Checks none() { return {false, false}; }
};

struct Launch {
  Dim3 grid, block;
  uint32_t dynamicShared = 0; ///< bytes beside the kernel's own .shared variables
  bool cooperative = false;   ///< every block is resident at once, or the launch is refused
  /// Draws the interleaving of blocks and warps, and when asynchronous copies land. The same seed
  /// repeats a launch exactly.
  uint64_t seed = 0;
  Checks checks;
  size_t maxFindings = 16; ///< the launch is stopped after so many
  /// Warp instructions, for the whole launch, in which no memory changes, no barrier completes and
  /// no thread exits, before it is called a livelock.
  uint64_t patience = 20'000'000;
  /// Warp instructions before the launch is stopped in any case; 0: no limit.
  uint64_t budget = 0;
  Profile *profile = nullptr; ///< where to count, or null
  /// Called on the playing thread between instructions: others may use the device meanwhile. With
  /// microseconds where nothing goes on before the host does something: time to sleep.
  std::function<void(uint32_t microseconds)> pause;
  double hostPatience = 10; ///< seconds without a change while memory of the host is polled
};

struct Played {
  std::vector<Finding> findings; ///< empty: no wrong note was heard
  std::string output;            ///< what vprintf printed
  uint64_t threadInstructions = 0;
  uint64_t warpInstructions = 0;
  bool stopped = false; ///< by a finding, before the last thread ended
};

/// One emulated GPU: memory, modules, launches.
class Device {
public:
  explicit Device(const DeviceRow &row, uint64_t seed = 0);
  ~Device();

  /// Parses and decodes PTX text and places its .global and .const variables. `name` is what
  /// findings call the file.
  Result<std::shared_ptr<const Module>> load(std::string_view text, std::string name);
  /// Where a module's .global or .const variable lies, and its size in bytes.
  Result<std::pair<uint64_t, uint64_t>> variable(const Module &module, std::string_view name) const;

  /// Device memory. Its bytes count as not written until something writes them. `name` is what
  /// findings call the buffer.
  Result<uint64_t> allocate(uint64_t bytes, std::string name = "");
  /// Memory of the host, which keeps it until it is released. The host may read and write it while
  /// a launch is played, so its bytes count as written, and strong accesses to it are atomic ones
  /// of the host. Tells its address on the device.
  Result<uint64_t> adopt(void *memory, uint64_t bytes, std::string name = "");
  Status release(uint64_t address);
  /// The live buffer or variable around an address: where it begins, and its size in bytes.
  Result<std::pair<uint64_t, uint64_t>> extent(uint64_t address) const;
  uint64_t usedBytes() const;
  Status write(uint64_t address, const void *source, uint64_t bytes);
  Status read(uint64_t address, void *target, uint64_t bytes) const;
  Status fill(uint64_t address, uint8_t value, uint64_t bytes);

  /// Plays one launch to its end, or to its first fatal finding.
  Result<Played> play(const Kernel *kernel, const Launch &launch, const Arguments &arguments);

  const DeviceRow &row() const;

private:
  std::unique_ptr<DeviceState> state;
};

} // namespace pianola::ptx

#endif
