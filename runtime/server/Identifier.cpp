// Identifier.cpp - names that no other object has.
#include "runtime/server/Identifier.h"

#include <random>

namespace pianola::server {

uint64_t randomBits() {
  thread_local std::random_device device;
  return uint64_t(device()) << 32 | device();
}

std::string newIdentifier(const std::string &prefix) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  thread_local std::mt19937_64 generator{randomBits()};
  std::uniform_int_distribution<size_t> pick(0, sizeof(letters) - 2);
  std::string name = prefix;
  for (int i = 0; i < 24; ++i)
    name += letters[pick(generator)];
  return name;
}

} // namespace pianola::server
