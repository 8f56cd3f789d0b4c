// MadeUpWeights.cpp - weights for rolls that have none.
#include "runtime/roll/MadeUpWeights.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace pianola {

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kBlock = uint64_t(64) << 20; // larger than the caches of any GPU's SMs and L2

uint64_t splitmix64(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void fill(uint64_t seed, uint64_t *words, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t random = splitmix64(seed + (i + 1) * 0x9e3779b97f4a7c15u);
    // Of each 16 bits the sign and the mantissa; the exponent is that of 1/64.
    words[i] = (random & 0x807f807f807f807fu) | 0x3c803c803c803c80u;
  }
}

} // namespace

MadeUpWeights::~MadeUpWeights() {
  if (begin)
    munmap(begin, mapped);
}

Status MadeUpWeights::make(uint64_t seed, uint64_t bytes) {
  auto fail = [&](const char *what) {
    return Status::error(std::string(what) + " for made-up weights, " + std::to_string(bytes) +
                         " bytes: " + std::strerror(errno));
  };
  uint64_t rounded = (bytes + kPage - 1) / kPage * kPage;
  uint64_t block = std::min(rounded, kBlock);
  int file = memfd_create("weights", MFD_CLOEXEC);
  if (file < 0)
    return fail("no memory");
  void *place = MAP_FAILED;
  if (ftruncate(file, static_cast<off_t>(block)) == 0)
    place = mmap(nullptr, rounded, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  bool ok = place != MAP_FAILED;
  if (ok) {
    begin = static_cast<uint8_t *>(place);
    mapped = rounded;
  }
  for (uint64_t at = 0; ok && at < rounded; at += block)
    ok = mmap(begin + at, std::min(block, rounded - at), PROT_READ | (at ? 0 : PROT_WRITE),
              MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED;
  if (!ok) {
    Status status = fail("no address space");
    close(file);
    return status;
  }
  close(file);
  fill(seed, reinterpret_cast<uint64_t *>(begin), block / sizeof(uint64_t));
  return Status();
}

} // namespace pianola
