// Input.h - what libFuzzer hands a target, in parts.
#ifndef PIANOLA_TEST_FUZZ_INPUT_H
#define PIANOLA_TEST_FUZZ_INPUT_H

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace pianola::fuzz {

inline std::string_view textOf(const uint8_t *data, size_t size) {
  return {reinterpret_cast<const char *>(data), size};
}

/// Takes what stands before the first zero byte, and that byte, away from `text`: texts are seeds
/// as they are, and a second part may follow.
inline std::string_view takePart(std::string_view &text) {
  size_t end = text.find('\0');
  std::string_view part = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return part;
}

/// The next byte, or 0.
inline uint8_t takeByte(std::string_view &text) {
  uint8_t byte = text.empty() ? 0 : static_cast<uint8_t>(text.front());
  text.remove_prefix(text.empty() ? 0 : 1);
  return byte;
}

/// What a target promises besides not to crash.
inline void expect(bool holds, const char *what) {
  if (holds)
    return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

/// A file in memory, while it lives.
class MemoryFile {
public:
  explicit MemoryFile(std::string_view bytes) : descriptor(memfd_create("fuzz", MFD_CLOEXEC)) {
    expect(::write(descriptor, bytes.data(), bytes.size()) == ssize_t(bytes.size()),
           "there is room for a small file");
  }
  ~MemoryFile() { ::close(descriptor); }
  MemoryFile(const MemoryFile &) = delete;
  MemoryFile &operator=(const MemoryFile &) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor); }

private:
  int descriptor;
};

} // namespace pianola::fuzz

#endif
