// Failure.cpp - how a verb says that it failed.
#include "tools/pianola/Verbs.h"

#include <cstdio>

int pianola::fail(const std::string &message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return 1;
}

int pianola::failUsage(const std::string &message) {
  fail(message);
  return 2;
}
