// RollWriter.h - writes a roll, whole or not at all.
//
// The file grows without a name, where the file system can do that (O_TMPFILE: all that usually
// matter, but not NFS), and gets one when it is finished. So what was there before stays until
// then, and nothing half-written is ever left, even if the process is killed. Elsewhere it grows
// beside its place as PATH.XXXXXX and is renamed, and killing the process leaves that file, which
// nobody looks at. A roll that is being played is not changed by compiling again: the player keeps
// the old file.
#ifndef PIANOLA_LIB_ROLL_ROLLWRITER_H
#define PIANOLA_LIB_ROLL_ROLLWRITER_H

#include "pianola/roll.h"
#include "runtime/Status.h"

#include <memory>
#include <string>

namespace pianola {

class RollWriter {
public:
  static Result<std::unique_ptr<RollWriter>> create(const std::string &path);
  /// Removes what was written, unless finish() has succeeded.
  ~RollWriter();
  RollWriter(const RollWriter &) = delete;
  RollWriter &operator=(const RollWriter &) = delete;

  /// Each kind of section once, in any order.
  Status add(PianolaSectionKind kind, const void *data, uint64_t bytes);
  /// A section of zeros, to be filled by write(), which several threads may call at once.
  Status reserve(PianolaSectionKind kind, uint64_t bytes);
  Status write(PianolaSectionKind kind, uint64_t offset, const void *data, uint64_t bytes);
  /// Computes the digests, writes the header and puts the file into its place.
  Status finish();

private:
  RollWriter() = default;
  Status fail(const char *doing) const;
  bool openWithoutName();
  Status giveName();

  std::string path;
  std::string temporary; // the file's name until it is finished, if it has one
  int file = -1;
  uint64_t end = 0;
  PianolaRollHeader header = {};
};

} // namespace pianola

#endif
