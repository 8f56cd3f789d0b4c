// Failure.cpp - how a verb says that it failed.
#include "tools/pianola/Verbs.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

int pianola::fail(const std::string &message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return 1;
}

int pianola::failUsage(const std::string &message) {
  fail(message);
  return 2;
}

int pianola::finishOutput(int exitCode) {
  errno = 0;
  bool written = std::fflush(stdout) == 0 && !std::ferror(stdout);
  if (written || exitCode != 0)
    return exitCode;
  return fail(std::string("standard output cannot be written") +
              (errno ? std::string(": ") + std::strerror(errno) : ""));
}
