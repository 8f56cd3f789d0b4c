// InputFile.cpp - a regular file from outside, read by position.
#include "lib/checkpoint/InputFile.h"

#include "lib/checkpoint/Refusal.h"

#include "llvm/Support/Path.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace pianola {

llvm::Expected<InputFile> InputFile::open(llvm::StringRef path) {
  std::string name = llvm::sys::path::filename(path).str();
  // O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
  int descriptor = ::open(path.str().c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return refuse(name + ": " + std::strerror(errno));
  InputFile file(descriptor, name, 0);
  struct stat status;
  if (::fstat(descriptor, &status) != 0)
    return refuse(name + ": " + std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    return refuse(name + ": expected a regular file, found " +
                  (S_ISDIR(status.st_mode)    ? "a directory"
                   : S_ISFIFO(status.st_mode) ? "a FIFO"
                                              : "something else"));
  file.bytes = uint64_t(status.st_size);
  return file;
}

InputFile::InputFile(InputFile &&other) noexcept
    : descriptor(std::exchange(other.descriptor, -1)), fileName(std::move(other.fileName)),
      bytes(other.bytes) {}

InputFile &InputFile::operator=(InputFile &&other) noexcept {
  std::swap(descriptor, other.descriptor);
  std::swap(fileName, other.fileName);
  std::swap(bytes, other.bytes);
  return *this;
}

InputFile::~InputFile() {
  if (descriptor >= 0)
    ::close(descriptor);
}

llvm::Error InputFile::read(uint64_t first, llvm::MutableArrayRef<uint8_t> out) const {
  if (first > bytes || out.size() > bytes - first)
    return refuse(fileName + ": bytes " + llvm::Twine(first) + " to " +
                  llvm::Twine(first + out.size()) + " lie outside of its " + llvm::Twine(bytes));
  while (!out.empty()) {
    constexpr size_t mostAtOnce = size_t(1) << 30;
    ssize_t got = ::pread(descriptor, out.data(), std::min(out.size(), mostAtOnce), off_t(first));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return refuse(fileName + ": " + std::strerror(errno));
    if (got == 0)
      return refuse(fileName + ": ends at byte " + llvm::Twine(first) + ", but had " +
                    llvm::Twine(bytes) + " bytes when it was opened");
    first += uint64_t(got);
    out = out.drop_front(size_t(got));
  }
  return llvm::Error::success();
}

llvm::Expected<std::string> readText(llvm::StringRef path, uint64_t most) {
  llvm::Expected<InputFile> file = InputFile::open(path);
  if (!file)
    return file.takeError();
  if (file->size() > most)
    return refuse(file->name() + ": expected at most " + llvm::Twine(most) + " bytes, found " +
                  llvm::Twine(file->size()));
  std::string text(file->size(), '\0');
  if (llvm::Error error = file->read(0, {reinterpret_cast<uint8_t *>(text.data()), text.size()}))
    return std::move(error);
  return text;
}

} // namespace pianola
