// Roll.h - opens a roll and trusts nothing in it.
//
// The file is mapped, not read: pages come in as they are played. The size is checked when the file
// is opened, so a truncated roll is refused; one that somebody truncates *in place while it is
// played* ends the process with SIGBUS, as it would any program that maps files (`pianola` then
// says which file it was). The compiler never does that: it puts a new file in place of the old
// one.
#ifndef PIANOLA_RUNTIME_ROLL_ROLL_H
#define PIANOLA_RUNTIME_ROLL_ROLL_H

#include "pianola/roll.h"
#include "runtime/Status.h"
#include "runtime/roll/MadeUpWeights.h"
#include "runtime/roll/Manifest.h"

#include <memory>
#include <string>
#include <string_view>

namespace pianola {

struct OpenOptions {
  bool verifyTape = true; // check the digests of tapes and tables too
  unsigned threads = 0;   // for digests; 0: as many as there are cores
};

const char *sectionName(PianolaSectionKind kind);

class Roll {
public:
  /// Errors name the file and say what is wrong with which part of it: no roll, another version,
  /// truncated, a digest that does not match, a field out of range, a CPU without a needed feature.
  /// Whether a GPU can play a roll for GPUs is found out by who opens the GPU.
  static Result<std::unique_ptr<Roll>> open(const std::string &path,
                                            const OpenOptions &options = {});
  ~Roll();
  Roll(const Roll &) = delete;
  Roll &operator=(const Roll &) = delete;

  const RollManifest &manifest() const { return parsed; }
  const uint8_t *section(PianolaSectionKind kind) const {
    return header.sections[kind].bytes == 0 && madeUpBytes(kind) != 0
               ? madeUp.data()
               : base + header.sections[kind].offset;
  }
  uint64_t sectionBytes(PianolaSectionKind kind) const {
    uint64_t inFile = header.sections[kind].bytes;
    return inFile != 0 ? inFile : madeUpBytes(kind);
  }
  uint64_t fileBytes() const { return header.file_bytes; }
  const PianolaRollRecord *records() const {
    return reinterpret_cast<const PianolaRollRecord *>(section(PIANOLA_SECTION_RECORDS));
  }
  std::string_view code() const { return text(PIANOLA_SECTION_CODE); }
  std::string_view cubin() const { return text(PIANOLA_SECTION_CUBIN); }
  std::string_view tokenizer() const { return text(PIANOLA_SECTION_TOKENIZER); }
  std::string_view chatTemplate() const { return text(PIANOLA_SECTION_TEMPLATE); }

private:
  Roll() = default;
  Status map(const std::string &path);
  Status checkHeader() const;
  Status checkDigests(const OpenOptions &options) const;
  Status makeUpWeights();
  uint64_t madeUpBytes(PianolaSectionKind kind) const;
  std::string_view text(PianolaSectionKind kind) const {
    return {reinterpret_cast<const char *>(section(kind)), sectionBytes(kind)};
  }

  const uint8_t *base = nullptr;
  uint64_t bytes = 0;
  PianolaRollHeader header = {};
  RollManifest parsed;
  MadeUpWeights madeUp; // of the largest of the sections that are
};

} // namespace pianola

#endif
