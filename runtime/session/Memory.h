// Memory.h - large zeroed memory that costs nothing until it is touched.
#ifndef PIANOLA_RUNTIME_SESSION_MEMORY_H
#define PIANOLA_RUNTIME_SESSION_MEMORY_H

#include "runtime/Status.h"

#include <cstddef>
#include <cstdint>

namespace pianola {

/// Anonymous pages, zero, in huge pages where the system has them.
class Memory {
public:
  Memory() = default;
  Memory(Memory &&other) noexcept;
  Memory &operator=(Memory &&other) noexcept;
  ~Memory();

  /// `what` is for the message when there is not enough address space.
  static Result<Memory> create(size_t bytes, const char *what);

  uint8_t *data() const { return begin; }
  size_t size() const { return bytes; }

private:
  uint8_t *begin = nullptr;
  size_t bytes = 0;
};

} // namespace pianola

#endif
