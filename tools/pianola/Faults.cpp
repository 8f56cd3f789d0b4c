// Faults.cpp - what the machine runs short of ends a program in one clear error.
//
// Whatever runs here may run in a signal handler, or where there is no memory left: system calls
// and the stack, nothing else. Exits are immediate; a roll that is being written has no name yet,
// and so leaves nothing (lib/roll/RollWriter.h).
#include "tools/pianola/Faults.h"

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

namespace pianola {
namespace {

// The first thread says what is wrong, for all.
[[noreturn]] void endWith(const char *message, const char *more = "") {
  static std::atomic_flag isSaid = ATOMIC_FLAG_INIT;
  if (isSaid.test_and_set())
    for (;;)
      ::pause();
  for (const char *text : {"error: ", message, more, "\n"})
    (void)!::write(STDERR_FILENO, text, std::strlen(text));
  _exit(1);
}

// Lines of /proc/self/maps, "begin-end flags offset device inode   path", one at a time.
class Mappings {
public:
  Mappings() : file(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC)) {}

  /// Longer lines are cut. False at the end.
  bool next(char (&line)[1024]) {
    size_t length = 0;
    for (;;) {
      if (at == filled) {
        ssize_t got = file < 0 ? 0 : ::read(file, buffer, sizeof(buffer));
        if (got <= 0)
          return false;
        filled = static_cast<size_t>(got);
        at = 0;
      }
      char c = buffer[at++];
      if (c == '\n')
        break;
      if (length + 1 < sizeof(line))
        line[length++] = c;
    }
    line[length] = '\0';
    return true;
  }

private:
  int file;
  char buffer[4096];
  size_t at = 0, filled = 0;
};

uintptr_t readHex(const char *&text) {
  uintptr_t value = 0;
  for (;; ++text) {
    if (*text >= '0' && *text <= '9')
      value = value * 16 + (*text - '0');
    else if (*text >= 'a' && *text <= 'f')
      value = value * 16 + (*text - 'a' + 10);
    else
      return value;
  }
}

void onBusError(int, siginfo_t *info, void *) {
  auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  Mappings mappings;
  for (char line[1024]; mappings.next(line);) {
    const char *text = line;
    uintptr_t begin = readHex(text);
    if (*text != '-')
      continue;
    uintptr_t end = readHex(++text);
    const char *path = std::strchr(text, '/');
    if (path && address >= begin && address < end)
      endWith(path, ": was truncated while it was in use, or cannot be read");
  }
  // Not a file's: what SIGBUS does without us.
  ::signal(SIGBUS, SIG_DFL);
}

// MLIR writes to what malloc returns without a look at it.
void onSegmentationFault(int, siginfo_t *info, void *) {
  constexpr uintptr_t kFirstPage = 4096;
  constexpr size_t kLeast = 1 << 20; // as malloc asks for when it has nothing left
  if (reinterpret_cast<uintptr_t>(info->si_addr) < kFirstPage &&
      ::mmap(nullptr, kLeast, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
          MAP_FAILED)
    endOutOfMemory();
  ::signal(SIGSEGV, SIG_DFL);
}

[[noreturn]] void onTerminate() {
  try {
    if (std::exception_ptr current = std::current_exception())
      std::rethrow_exception(current);
  } catch (const std::bad_alloc &) {
    endOutOfMemory();
  } catch (const std::system_error &error) {
    endWith(error.what());
  } catch (...) {
  }
  std::abort();
}

} // namespace

void endOutOfMemory() { endWith("out of memory"); }

void endFaultsClearly() {
  std::set_new_handler(endOutOfMemory);
  std::set_terminate(onTerminate);
  ::signal(SIGXFSZ, SIG_IGN);
  struct sigaction action = {};
  action.sa_sigaction = onBusError;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
  action.sa_sigaction = onSegmentationFault;
  sigaction(SIGSEGV, &action, nullptr);
}

} // namespace pianola
