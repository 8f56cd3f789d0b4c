// Digest.cpp - digests of a roll's sections.
#include "runtime/roll/Digest.h"

#include "pianola/roll.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace pianola {

uint64_t sectionDigest(const uint8_t *data, uint64_t bytes, unsigned threads) {
  constexpr uint64_t kPiece = PIANOLA_ROLL_DIGEST_PIECE;
  if (bytes <= kPiece)
    return XXH3_64bits(data, bytes);
  std::vector<uint64_t> digests((bytes + kPiece - 1) / kPiece);
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t i = next++; i < digests.size(); i = next++)
      digests[i] = XXH3_64bits(data + i * kPiece, std::min(kPiece, bytes - i * kPiece));
  };
  std::vector<std::thread> helpers;
  for (unsigned i = 1; i < std::max(1u, threads); ++i)
    helpers.emplace_back(work);
  work();
  for (std::thread &helper : helpers)
    helper.join();
  return XXH3_64bits(digests.data(), digests.size() * sizeof(uint64_t));
}

} // namespace pianola
