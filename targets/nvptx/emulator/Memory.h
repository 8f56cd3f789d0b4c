// Memory.h - buffers, and the addresses under which they are found.
//
// The upper 32 bits of a generic address number a window: one each for the thread's .shared, .local
// and .param memory, then one for each buffer of device memory. So an access past the end of a
// buffer never meets the next one, and looking a buffer up is one step. A buffer begins at an odd
// multiple of 256 bytes in its window: nothing is better aligned than cuMemAlloc promises.
#ifndef PIANOLA_TARGETS_NVPTX_EMULATOR_MEMORY_H
#define PIANOLA_TARGETS_NVPTX_EMULATOR_MEMORY_H

#include "runtime/Status.h"
#include "targets/nvptx/emulator/Shadow.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace pianola::ptx {

/// Windows of the generic address space.
enum Window : uint32_t { SharedWindow = 1, LocalWindow = 2, ParamWindow = 3, FirstBuffer = 16 };

constexpr uint64_t windowBase(uint32_t window) { return uint64_t(window) << 32; }

/// A variable inside of a buffer.
struct Extent {
  uint64_t begin, end;
  std::string name;
};

/// Frees what a buffer owns; the host's bytes stay the host's.
struct FreeBytes {
  bool owned = true;
  void operator()(uint8_t *bytes) const {
    if (owned)
      std::free(bytes);
  }
};

/// Bytes with a name.
struct Buffer {
  /// Zeros cost no memory until they are touched; other buffers begin with garbage.
  Buffer(std::string name, uint64_t size, uint64_t seed, bool zero = false);
  /// Bytes of the host, which both sides see while a kernel runs.
  Buffer(std::string name, void *host, uint64_t size, uint64_t seed);

  std::string name;
  uint64_t base = 0; ///< address of its first byte
  uint64_t size;
  std::unique_ptr<uint8_t[], FreeBytes> bytes;
  Shadow shadow;
  bool released = false;
  bool readOnly = false; ///< to the kernel
  bool isHosts = false;  ///< the host reads and writes it at any time
  /// What lies in it, sorted, with room between that is nobody's; null: it is one piece.
  const std::vector<Extent> *extents = nullptr;

  /// Whether the bytes are those of one variable.
  bool isInside(uint64_t offset, uint64_t bytes) const;
};

/// The device memory of one device.
class Memory {
public:
  explicit Memory(uint64_t capacity, uint64_t seed) : capacity(capacity), seed(seed) {}

  /// Null where `bytes` do not fit.
  Buffer *allocate(uint64_t bytes, std::string name, bool zero = false);
  /// Memory of the host. Where its address has windows of its own, nobody else's, it is the
  /// device's address too, as unified addressing promises of pinned memory.
  Buffer *adopt(void *host, uint64_t bytes, std::string name);
  Status release(uint64_t address);
  /// The buffer in whose window the address lies, a released one too, or null.
  Buffer *find(uint64_t address) const {
    uint64_t window = address >> 32;
    return window - FirstBuffer < windows.size() ? windows[window - FirstBuffer] : nullptr;
  }
  /// The buffer that holds all of these bytes, or an error that says why there is none.
  Result<Buffer *> findRange(uint64_t address, uint64_t bytes, const char *doing) const;
  void settle();

  uint64_t total() const { return capacity; }
  uint64_t used() const { return inUse; }
  /// The bytes of every live buffer, to put them back later.
  const std::vector<std::unique_ptr<Buffer>> &all() const { return buffers; }

private:
  Buffer *place(std::unique_ptr<Buffer> buffer, uint64_t base);
  bool isFree(uint64_t window, uint64_t count) const;

  uint64_t capacity, seed, inUse = 0;
  uint64_t next = 0; ///< window for the next buffer
  std::vector<std::unique_ptr<Buffer>> buffers;
  std::vector<Buffer *> windows;
};

/// `name+offset`, for reports.
std::string describe(const Buffer &buffer, uint64_t offset);

} // namespace pianola::ptx

#endif
