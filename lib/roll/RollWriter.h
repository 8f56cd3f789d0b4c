// RollWriter.h - writes a roll, whole or not at all.
//
// The file grows beside its place under another name and is renamed when it is finished, so that
// what was there before stays until then, and nothing half-written is ever left. A roll that is
// being played is not changed by compiling again: the player keeps the old file.
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
  /// Computes the digests, writes the header and renames.
  Status finish();

private:
  RollWriter() = default;
  Status fail(const char *doing) const;

  std::string path, temporary;
  int file = -1;
  uint64_t end = 0;
  PianolaRollHeader header = {};
};

} // namespace pianola

#endif
