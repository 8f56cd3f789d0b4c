// Digest.h - digests of a roll's sections: see pianola/roll.h.
#ifndef PIANOLA_RUNTIME_ROLL_DIGEST_H
#define PIANOLA_RUNTIME_ROLL_DIGEST_H

#include <cstddef>
#include <cstdint>
#include <optional>

namespace pianola {

/// XXH3 of the bytes; over 16 MiB, XXH3 of the digests of 16 MiB pieces, computed by `threads`
/// threads.
uint64_t sectionDigest(const uint8_t *data, uint64_t bytes, unsigned threads);

/// The same of bytes in a file, a piece in memory for each thread. Nothing if they cannot be read.
std::optional<uint64_t> fileSectionDigest(int file, uint64_t offset, uint64_t bytes,
                                          unsigned threads);

} // namespace pianola

#endif
