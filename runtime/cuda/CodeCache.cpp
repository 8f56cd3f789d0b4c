// CodeCache.cpp - machine code that the driver made of PTX, kept for the next time.
#include "runtime/cuda/CodeCache.h"

#include "runtime/roll/Digest.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace pianola::cuda {

namespace {

namespace fs = std::filesystem;

constexpr char kMark[8] = {'P', 'I', 'A', 'N', 'C', 'U', 'B', '\n'};

struct Header {
  char mark[8];
  uint64_t bytes, digest;
};

uint64_t digestOf(std::string_view text) {
  return sectionDigest(reinterpret_cast<const uint8_t *>(text.data()), text.size(), 1);
}

std::string folder() {
  auto variable = [](const char *name) {
    const char *value = getenv(name);
    return std::string(value ? value : "");
  };
  if (std::string given = variable("PIANOLA_CACHE"); !given.empty())
    return given + "/cubin";
  if (std::string cache = variable("XDG_CACHE_HOME"); !cache.empty())
    return cache + "/pianola/cubin";
  if (std::string home = variable("HOME"); !home.empty())
    return home + "/.cache/pianola/cubin";
  return "";
}

} // namespace

CodeCache::CodeCache(const Gpu &gpu, std::string_view ptx) {
  std::string where = folder();
  if (where.empty())
    return;
  // The driver's file name tells the emulator, whose code no GPU takes, from a driver of the same
  // version.
  std::string key = std::to_string(digestOf(ptx)) + " " + std::to_string(ptx.size()) + " " +
                    std::to_string(gpu.driverVersion) + " " + std::to_string(gpu.capability) + " " +
                    fs::path(gpu.driver.path).filename().string();
  char name[24];
  std::snprintf(name, sizeof(name), "%016llx", static_cast<unsigned long long>(digestOf(key)));
  file = where + "/" + name + ".cubin";
}

std::optional<std::string> CodeCache::find() const {
  std::ifstream in(file, std::ios::binary);
  Header header;
  std::error_code error;
  if (file.empty() || !in.read(reinterpret_cast<char *>(&header), sizeof(header)) ||
      std::memcmp(header.mark, kMark, sizeof(kMark)) != 0 ||
      header.bytes != fs::file_size(file, error) - sizeof(header) || error)
    return std::nullopt;
  std::string cubin(header.bytes, '\0');
  if (!in.read(cubin.data(), static_cast<std::streamsize>(cubin.size())) ||
      digestOf(cubin) != header.digest)
    return std::nullopt;
  return cubin;
}

void CodeCache::keep(std::string_view cubin) const {
  if (file.empty())
    return;
  std::error_code error;
  fs::create_directories(fs::path(file).parent_path(), error);
  // Beside its place first: others may be reading or writing the same entry.
  std::string temporary = file + "." + std::to_string(getpid());
  Header header = {};
  std::memcpy(header.mark, kMark, sizeof(kMark));
  header.bytes = cubin.size();
  header.digest = digestOf(cubin);
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char *>(&header), sizeof(header));
    out.write(cubin.data(), static_cast<std::streamsize>(cubin.size()));
    if (!out.flush()) {
      fs::remove(temporary, error);
      return;
    }
  }
  fs::rename(temporary, file, error);
  if (error)
    fs::remove(temporary, error);
}

} // namespace pianola::cuda
