// Digest.cpp - digests of a roll's sections.
#include "runtime/roll/Digest.h"
#include "runtime/host/Threads.h"

#include "pianola/roll.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <unistd.h>
#include <vector>

namespace pianola {

namespace {

constexpr uint64_t kPiece = PIANOLA_ROLL_DIGEST_PIECE;

// Digests of the pieces, each computed by `digest(offset, bytes)`, by several threads.
template <typename MakeDigest>
uint64_t digestPieces(uint64_t bytes, unsigned threads, MakeDigest makeDigest) {
  std::vector<uint64_t> digests((bytes + kPiece - 1) / kPiece);
  std::atomic<size_t> next{0};
  auto work = [&] {
    auto digest = makeDigest();
    for (size_t i = next++; i < digests.size(); i = next++)
      digests[i] = digest(i * kPiece, std::min(kPiece, bytes - i * kPiece));
  };
  std::vector<std::thread> helpers;
  for (unsigned i = 1; i < std::min<size_t>(std::max(1u, threads), digests.size()); ++i)
    if (!startThread(helpers, work))
      break;
  work();
  for (std::thread &helper : helpers)
    helper.join();
  if (digests.size() == 1)
    return digests[0];
  return XXH3_64bits(digests.data(), digests.size() * sizeof(uint64_t));
}

} // namespace

uint64_t sectionDigest(const uint8_t *data, uint64_t bytes, unsigned threads) {
  return digestPieces(bytes, threads, [&] {
    return [&](uint64_t offset, uint64_t count) { return XXH3_64bits(data + offset, count); };
  });
}

std::optional<uint64_t> fileSectionDigest(int file, uint64_t offset, uint64_t bytes,
                                          unsigned threads) {
  std::atomic<bool> failed{false};
  uint64_t digest = digestPieces(bytes, threads, [&] {
    return [&, buffer = std::vector<uint8_t>()](uint64_t at, uint64_t count) mutable -> uint64_t {
      buffer.resize(count);
      for (uint64_t done = 0; done < count && !failed;) {
        ssize_t got = pread(file, buffer.data() + done, count - done, offset + at + done);
        if (got <= 0)
          failed = true;
        else
          done += got;
      }
      return XXH3_64bits(buffer.data(), count);
    };
  });
  return failed ? std::nullopt : std::optional<uint64_t>(digest);
}

} // namespace pianola
