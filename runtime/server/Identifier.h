// Identifier.h - names that no other object has.
#ifndef PIANOLA_RUNTIME_SERVER_IDENTIFIER_H
#define PIANOLA_RUNTIME_SERVER_IDENTIFIER_H

#include <cstddef>
#include <cstdint>
#include <string>

namespace pianola::server {

/// 64 bits of the system's randomness.
uint64_t randomBits();

/// The prefix and letters and digits at random: "call_..." or "chatcmpl-...".
std::string newIdentifier(const std::string &prefix, size_t letters = 24);

} // namespace pianola::server

#endif
