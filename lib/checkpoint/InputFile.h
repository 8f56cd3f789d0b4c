// InputFile.h - a regular file from outside, read by position.
//
// Reads go through pread(2), not through a mapping. A mapped file that is truncated after it was
// opened kills the process with SIGBUS at the next touch; here the same thing is an error that can
// be reported. It costs nothing: both ways are served by the page cache, and packing weights copies
// every byte once anyhow.
#ifndef PIANOLA_LIB_CHECKPOINT_INPUTFILE_H
#define PIANOLA_LIB_CHECKPOINT_INPUTFILE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>

namespace pianola {

class InputFile {
public:
  /// Opens a regular file; a directory, a FIFO or a device is an error. Does not block.
  static llvm::Expected<InputFile> open(llvm::StringRef path);

  InputFile(InputFile &&other) noexcept;
  InputFile &operator=(InputFile &&other) noexcept;
  ~InputFile();

  /// The last component of the path, for messages.
  llvm::StringRef name() const { return fileName; }
  /// The size in bytes when the file was opened.
  uint64_t size() const { return bytes; }
  /// The open file, which stays this object's.
  int handle() const { return descriptor; }

  /// Fills `out` from byte `first` on. Ending early is an error. Thread-safe.
  llvm::Error read(uint64_t first, llvm::MutableArrayRef<uint8_t> out) const;

private:
  InputFile(int descriptor, std::string fileName, uint64_t bytes)
      : descriptor(descriptor), fileName(std::move(fileName)), bytes(bytes) {}

  int descriptor = -1;
  std::string fileName;
  uint64_t bytes = 0;
};

/// The whole of a text file of at most `most` bytes.
llvm::Expected<std::string> readText(llvm::StringRef path, uint64_t most);

} // namespace pianola

#endif
