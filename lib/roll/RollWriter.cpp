// RollWriter.cpp - writes a roll, whole or not at all.
#include "lib/roll/RollWriter.h"

#include "runtime/roll/Digest.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace pianola {

static uint64_t alignTo(uint64_t value) {
  return (value + PIANOLA_ROLL_ALIGNMENT - 1) / PIANOLA_ROLL_ALIGNMENT * PIANOLA_ROLL_ALIGNMENT;
}

Status RollWriter::fail(const char *doing) const {
  return Status::error(path + ": cannot " + doing + ": " + std::strerror(errno));
}

Result<std::unique_ptr<RollWriter>> RollWriter::create(const std::string &path) {
  std::unique_ptr<RollWriter> writer(new RollWriter);
  writer->path = path;
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    return Status::error(path + ": is not a regular file, and would be replaced");
  if (!writer->openWithoutName()) {
    std::string name = path + ".XXXXXX";
    writer->file = mkostemp(name.data(), O_CLOEXEC);
    if (writer->file < 0)
      return writer->fail("be written");
    writer->temporary = name;
    // mkostemp lets nobody else read; a roll is an ordinary file.
    mode_t mask = umask(0);
    umask(mask);
    fchmod(writer->file, 0666 & ~mask);
  }
  writer->end = alignTo(sizeof(PianolaRollHeader));
  return writer;
}

bool RollWriter::openWithoutName() {
  size_t slash = path.rfind('/');
  std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
  // It gets its name by /proc.
  file = access("/proc/self/fd", X_OK) == 0
             ? open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666)
             : -1;
  return file >= 0;
}

Status RollWriter::giveName() {
  if (temporary.empty()) {
    std::string self = "/proc/self/fd/" + std::to_string(file);
    auto link = [&](const std::string &name) {
      return linkat(AT_FDCWD, self.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
    };
    if (link(path))
      return Status();
    // Nothing links over what is there, so the old one is renamed over.
    for (int i = 0; errno == EEXIST && i < 100; ++i) {
      std::string name = path + "." + std::to_string(getpid()) + "-" + std::to_string(i);
      if (link(name)) {
        temporary = name;
        break;
      }
    }
    if (temporary.empty())
      return fail("be put into its place");
  }
  if (rename(temporary.c_str(), path.c_str()) != 0)
    return fail("be renamed into place");
  temporary.clear();
  return Status();
}

RollWriter::~RollWriter() {
  if (file >= 0)
    close(file);
  if (!temporary.empty())
    unlink(temporary.c_str());
}

Status RollWriter::add(PianolaSectionKind kind, const void *data, uint64_t bytes) {
  if (Status status = reserve(kind, bytes); !status.ok())
    return status;
  return write(kind, 0, data, bytes);
}

Status RollWriter::reserve(PianolaSectionKind kind, uint64_t bytes) {
  PianolaSection &section = header.sections[kind];
  if (section.bytes != 0 || bytes == 0)
    return Status::error(path + ": section " + std::to_string(kind) +
                         " is empty or is there twice");
  section.offset = end;
  section.bytes = bytes;
  end = alignTo(end + bytes);
  // Space is claimed now, so that a full disk is found before the work is done.
  int error = posix_fallocate(file, section.offset, bytes);
  if (error != 0 && error != EINVAL && error != EOPNOTSUPP) {
    errno = error;
    return fail("be written");
  }
  return Status();
}

Status RollWriter::write(PianolaSectionKind kind, uint64_t offset, const void *data,
                         uint64_t bytes) {
  const PianolaSection &section = header.sections[kind];
  if (offset > section.bytes || bytes > section.bytes - offset)
    return Status::error(path + ": a write beyond section " + std::to_string(kind));
  auto *from = static_cast<const uint8_t *>(data);
  uint64_t at = section.offset + offset;
  while (bytes > 0) {
    ssize_t written = pwrite(file, from, bytes, at);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return fail("be written");
    from += written;
    at += written;
    bytes -= written;
  }
  return Status();
}

Status RollWriter::finish() {
  if (ftruncate(file, end) != 0)
    return fail("be written");
  for (PianolaSection &section : header.sections) {
    if (section.bytes == 0)
      continue;
    std::optional<uint64_t> digest =
        fileSectionDigest(file, section.offset, section.bytes, std::thread::hardware_concurrency());
    if (!digest)
      return fail("be read back");
    section.digest = *digest;
  }
  std::memcpy(header.magic, PIANOLA_ROLL_MAGIC, sizeof(header.magic));
  header.version = PIANOLA_ROLL_VERSION;
  header.header_bytes = sizeof(header);
  header.file_bytes = end;
  header.digest = 0;
  header.digest = sectionDigest(reinterpret_cast<const uint8_t *>(&header), sizeof(header), 1);
  if (pwrite(file, &header, sizeof(header), 0) != sizeof(header))
    return fail("be written");
  return giveName();
}

} // namespace pianola
