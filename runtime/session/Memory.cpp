// Memory.cpp - large zeroed memory that costs nothing until it is touched.
#include "runtime/session/Memory.h"

#include <string>
#include <sys/mman.h>
#include <utility>

namespace pianola {

Memory::Memory(Memory &&other) noexcept
    : begin(std::exchange(other.begin, nullptr)), bytes(std::exchange(other.bytes, 0)) {}

Memory &Memory::operator=(Memory &&other) noexcept {
  std::swap(begin, other.begin);
  std::swap(bytes, other.bytes);
  return *this;
}

Memory::~Memory() {
  if (begin)
    munmap(begin, bytes);
}

Result<Memory> Memory::create(size_t bytes, const char *what) {
  Memory memory;
  if (bytes == 0)
    return memory;
  void *address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED)
    return Status::error("no memory for the " + std::string(what) + ": " + std::to_string(bytes) +
                         " bytes");
  madvise(address, bytes, MADV_HUGEPAGE);
  memory.begin = static_cast<uint8_t *>(address);
  memory.bytes = bytes;
  return memory;
}

} // namespace pianola
