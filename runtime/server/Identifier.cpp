// Identifier.cpp - names that no other object has.
#include "runtime/server/Identifier.h"

#include <random>

namespace pianola::server {

uint64_t randomBits() {
  thread_local std::random_device device;
  return uint64_t(device()) << 32 | device();
}

std::string newIdentifier(const std::string &prefix, size_t count) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  thread_local std::mt19937_64 generator{randomBits()};
  std::uniform_int_distribution<size_t> pick(0, sizeof(letters) - 2);
  std::string name = prefix;
  for (size_t i = 0; i < count; ++i)
    name += letters[pick(generator)];
  return name;
}

} // namespace pianola::server
