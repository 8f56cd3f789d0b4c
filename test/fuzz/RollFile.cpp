// RollFile.cpp - any bytes as a roll: refused, or all that its tables point at is there.
//
// Digests keep a mutated roll from being looked at, and hostile ones have them right. So an input
// is not the file but its sections, from which the file is made: each begins with "%%" and the
// letter of its kind (a: manifest, b: code, ...). "%%z" has ten bytes: a place in the header and
// what to write there before the header's digest is made. An input that begins otherwise is a file.
#include "runtime/roll/Digest.h"
#include "runtime/roll/Roll.h"
#include "runtime/timeline/PredictedPlay.h"
#include "test/fuzz/Input.h"

#include <algorithm>
#include <cstring>

using namespace pianola;

static std::string fileOf(std::string_view text) {
  PianolaRollHeader header = {};
  std::memcpy(header.magic, PIANOLA_ROLL_MAGIC, sizeof(header.magic));
  header.version = PIANOLA_ROLL_VERSION;
  header.header_bytes = sizeof(header);
  std::string file(PIANOLA_ROLL_ALIGNMENT, '\0');
  std::string_view change;
  while (text.size() >= 3) {
    char kind = text[2];
    size_t end = text.find("%%", 3);
    std::string_view bytes = text.substr(3, end == text.npos ? end : end - 3);
    text.remove_prefix(end == text.npos ? text.size() : end);
    if (kind == 'z')
      change = bytes;
    if (kind < 'a' || kind >= 'a' + PIANOLA_SECTION_COUNT || bytes.empty())
      continue;
    PianolaSection &section = header.sections[kind - 'a'];
    section = {file.size(), bytes.size(),
               sectionDigest(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size(), 1)};
    file += bytes;
    file.resize((file.size() + PIANOLA_ROLL_ALIGNMENT - 1) / PIANOLA_ROLL_ALIGNMENT *
                PIANOLA_ROLL_ALIGNMENT);
  }
  header.file_bytes = file.size();
  if (change.size() >= 10) {
    size_t at = (fuzz::takeByte(change) << 8 | fuzz::takeByte(change)) % (sizeof(header) - 8);
    std::memcpy(reinterpret_cast<char *>(&header) + at, change.data(), 8);
  }
  header.digest = 0;
  header.digest = sectionDigest(reinterpret_cast<const uint8_t *>(&header), sizeof(header), 1);
  std::memcpy(file.data(), &header, sizeof(header));
  return file;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text = fuzz::textOf(data, size);
  fuzz::MemoryFile file(text.substr(0, 2) == "%%" ? fileOf(text) : std::string(text));
  OpenOptions options;
  options.threads = 1;
  Result<std::unique_ptr<Roll>> roll = Roll::open(file.path(), options);
  if (!roll) {
    fuzz::expect(!roll.message().empty(), "a refusal says why");
    return 0;
  }
  if (Result<DrawnPlay> play = predictedPlay(**roll)) {
    (void)drawTimeline(*play);
    (void)writeTrace(*play);
  }
  return 0;
}
