// ScratchDirectory.h - a directory for one test, gone when the test ends.
#ifndef PIANOLA_TEST_LIB_CHECKPOINT_SCRATCHDIRECTORY_H
#define PIANOLA_TEST_LIB_CHECKPOINT_SCRATCHDIRECTORY_H

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"

#include <fstream>
#include <string>

namespace pianola {

class ScratchDirectory {
public:
  ScratchDirectory() {
    llvm::SmallString<128> made;
    llvm::cantFail(llvm::errorCodeToError(llvm::sys::fs::createUniqueDirectory("pianola", made)));
    path = made.str().str();
  }
  ~ScratchDirectory() { llvm::sys::fs::remove_directories(path); }

  std::string file(const std::string &name) const { return path + "/" + name; }

  std::string write(const std::string &name, const std::string &bytes) const {
    std::ofstream(file(name), std::ios::binary) << bytes;
    return file(name);
  }

  std::string path;
};

/// The error's text, or "accepted".
template <typename T> std::string messageOf(llvm::Expected<T> result) {
  return result ? "accepted" : llvm::toString(result.takeError());
}
inline std::string messageOf(llvm::Error error) {
  return error ? llvm::toString(std::move(error)) : "accepted";
}

/// A safetensors file: the length of `header`, `header`, and `data` bytes of zeros.
inline std::string safeTensors(const std::string &header, size_t data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i)
    bytes += char(uint64_t(header.size()) >> (8 * i));
  return bytes + header + std::string(data, '\0');
}

} // namespace pianola

#endif
