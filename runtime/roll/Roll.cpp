// Roll.cpp - opens a roll and trusts nothing in it.
#include "runtime/roll/Roll.h"

#include "runtime/roll/CheckTables.h"
#include "runtime/roll/CpuFeatures.h"
#include "runtime/roll/Digest.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace pianola {

static const char *const kSectionNames[PIANOLA_SECTION_COUNT] = {
    "manifest",  "code",     "records", "tape",     "table",   "tiles",
    "tokenizer", "template", "cubin",   "constant", "timeline"};

const char *sectionName(PianolaSectionKind kind) { return kSectionNames[kind]; }

Roll::~Roll() {
  if (base)
    munmap(const_cast<uint8_t *>(base), bytes);
}

Status Roll::map(const std::string &path) {
  // Not to block on a FIFO.
  int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0)
    return Status::error(std::string("cannot be opened: ") + std::strerror(errno));
  struct stat info;
  bool isFile = fstat(file, &info) == 0 && S_ISREG(info.st_mode);
  void *mapped = MAP_FAILED;
  if (isFile && info.st_size >= static_cast<off_t>(sizeof(PianolaRollHeader))) {
    bytes = info.st_size;
    mapped = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
  }
  ::close(file);
  if (!isFile)
    return Status::error("is not a regular file");
  if (mapped == MAP_FAILED)
    return Status::error(bytes == 0 ? "is not a roll: it is only " + std::to_string(info.st_size) +
                                          " bytes long"
                                    : std::string("cannot be mapped: ") + std::strerror(errno));
  base = static_cast<const uint8_t *>(mapped);
  std::memcpy(&header, base, sizeof(header));
  return Status();
}

Status Roll::checkHeader() const {
  if (std::memcmp(header.magic, PIANOLA_ROLL_MAGIC, sizeof(header.magic)) != 0)
    return Status::error("is not a roll");
  if (header.version != PIANOLA_ROLL_VERSION)
    return Status::error("is a roll of version " + std::to_string(header.version) +
                         "; this runtime plays version " + std::to_string(PIANOLA_ROLL_VERSION) +
                         ": compile the model again");
  if (header.header_bytes != sizeof(header))
    return Status::error("has a header of " + std::to_string(header.header_bytes) +
                         " bytes, expected " + std::to_string(sizeof(header)));
  if (header.file_bytes != bytes)
    return Status::error("is " + std::to_string(bytes) + " bytes long, expected " +
                         std::to_string(header.file_bytes) + ": truncated?");
  PianolaRollHeader plain = header;
  plain.digest = 0;
  if (sectionDigest(reinterpret_cast<const uint8_t *>(&plain), sizeof(plain), 1) != header.digest)
    return Status::error("is damaged: the header does not match its digest");
  for (int kind = 0; kind < PIANOLA_SECTION_COUNT; ++kind) {
    const PianolaSection &section = header.sections[kind];
    if (section.bytes == 0 && section.offset == 0)
      continue;
    if (section.offset % PIANOLA_ROLL_ALIGNMENT != 0 || section.offset < sizeof(header) ||
        section.offset > bytes || section.bytes > bytes - section.offset)
      return Status::error(std::string("section ") + kSectionNames[kind] + ": bytes " +
                           std::to_string(section.offset) + " to " +
                           std::to_string(section.offset + section.bytes) +
                           " do not lie in the file");
    for (int other = 0; other < kind; ++other) {
      const PianolaSection &before = header.sections[other];
      if (before.bytes != 0 && section.offset < before.offset + before.bytes &&
          before.offset < section.offset + section.bytes)
        return Status::error(std::string("section ") + kSectionNames[kind] + " overlaps section " +
                             kSectionNames[other]);
    }
  }
  for (int kind : {PIANOLA_SECTION_MANIFEST, PIANOLA_SECTION_CODE, PIANOLA_SECTION_RECORDS})
    if (header.sections[kind].bytes == 0)
      return Status::error(std::string("has no section ") + kSectionNames[kind]);
  return Status();
}

Status Roll::checkDigests(const OpenOptions &options) const {
  unsigned threads = options.threads ? options.threads : std::thread::hardware_concurrency();
  for (int kind = 0; kind < PIANOLA_SECTION_COUNT; ++kind) {
    const PianolaSection &section = header.sections[kind];
    bool isWeights = kind == PIANOLA_SECTION_TAPE || kind == PIANOLA_SECTION_TABLE;
    if (section.bytes == 0 || (isWeights && !options.verifyTape))
      continue;
    if (isWeights)
      madvise(const_cast<uint8_t *>(base) + section.offset, section.bytes, MADV_WILLNEED);
    if (sectionDigest(base + section.offset, section.bytes, threads) != section.digest)
      return Status::error(std::string("is damaged: section ") + kSectionNames[kind] +
                           " does not match its digest");
  }
  return Status();
}

uint64_t Roll::madeUpBytes(PianolaSectionKind kind) const {
  if (!parsed.weights)
    return 0;
  switch (kind) {
  case PIANOLA_SECTION_TAPE:
    return parsed.weights->tape;
  case PIANOLA_SECTION_TABLE:
    return parsed.weights->table;
  case PIANOLA_SECTION_CONSTANT:
    return parsed.weights->constant;
  default:
    return 0;
  }
}

Status Roll::makeUpWeights() {
  uint64_t most = 0;
  for (PianolaSectionKind kind :
       {PIANOLA_SECTION_TAPE, PIANOLA_SECTION_TABLE, PIANOLA_SECTION_CONSTANT}) {
    if (header.sections[kind].bytes != 0)
      return Status::error(std::string("manifest: weights: section ") + kSectionNames[kind] +
                           " is there, and would be made up");
    most = std::max(most, madeUpBytes(kind));
  }
  if (most > (uint64_t(1) << 42))
    return Status::error("manifest: weights: " + std::to_string(most) +
                         " bytes are more than any GPU has");
  return most ? madeUp.make(parsed.weights->seed, most) : Status();
}

Result<std::unique_ptr<Roll>> Roll::open(const std::string &path, const OpenOptions &options) {
  std::unique_ptr<Roll> roll(new Roll);
  auto refuse = [&](const std::string &message) { return Status::error(path + ": " + message); };
  if (Status status = roll->map(path); !status.ok())
    return refuse(status.message());
  if (Status status = roll->checkHeader(); !status.ok())
    return refuse(status.message());
  if (Status status = roll->checkDigests(options); !status.ok())
    return refuse(status.message());
  Result<RollManifest> manifest = parseManifest(roll->text(PIANOLA_SECTION_MANIFEST));
  if (!manifest)
    return refuse("manifest: " + manifest.message());
  roll->parsed = std::move(*manifest);
  if (roll->parsed.weights)
    if (Status status = roll->makeUpWeights(); !status.ok())
      return refuse(status.message());
  if (Status status = checkTables(*roll); !status.ok())
    return refuse(status.message());
  if (roll->parsed.target.isGpu())
    return roll;
  if (Status status = checkCpu(roll->parsed.target); !status.ok())
    return refuse(status.message());
  const PianolaSection &code = roll->header.sections[PIANOLA_SECTION_CODE];
  if (mprotect(const_cast<uint8_t *>(roll->base) + code.offset, code.bytes,
               PROT_READ | PROT_EXEC) != 0)
    return refuse(std::string("its code cannot be made executable: ") + std::strerror(errno));
  return roll;
}

} // namespace pianola
