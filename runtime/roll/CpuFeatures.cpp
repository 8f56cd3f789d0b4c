// CpuFeatures.cpp - whether this CPU can play a roll.
#include "runtime/roll/CpuFeatures.h"

#include <algorithm>
#include <utility>
#if defined(__x86_64__)
#include <cerrno>
#include <cpuid.h>
#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace pianola {

static std::vector<std::string> takenAsThere;
static bool takenAsPermitted = false;

void takeAsThere(std::vector<std::string> features, bool permitted) {
  takenAsThere = std::move(features);
  takenAsPermitted = permitted;
}

#if defined(__x86_64__)

namespace {
struct Bit {
  const char *name;
  unsigned leaf, subleaf;
  int word; // 0 eax, 1 ebx, 2 ecx, 3 edx
  int bit;
};
} // namespace

// Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E.
static constexpr Bit kBits[] = {
    {"avx", 1, 0, 2, 28},        {"fma", 1, 0, 2, 12},      {"f16c", 1, 0, 2, 29},
    {"popcnt", 1, 0, 2, 23},     {"avx2", 7, 0, 1, 5},      {"bmi", 7, 0, 1, 3},
    {"bmi2", 7, 0, 1, 8},        {"avx512f", 7, 0, 1, 16},  {"avx512dq", 7, 0, 1, 17},
    {"avx512cd", 7, 0, 1, 28},   {"avx512bw", 7, 0, 1, 30}, {"avx512vl", 7, 0, 1, 31},
    {"avx512vnni", 7, 0, 2, 11}, {"amx-bf16", 7, 0, 3, 22}, {"amx-tile", 7, 0, 3, 24},
    {"amx-int8", 7, 0, 3, 25},   {"avxvnni", 7, 1, 0, 4},   {"avx512bf16", 7, 1, 0, 5},
};

// The state components that the system saves (XCR0).
static uint64_t savedState() {
  unsigned eax, ebx, ecx, edx;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & (1u << 27)))
    return 0;
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t(high) << 32) | low;
}

static bool isTiles(const std::string &feature) { return feature.rfind("amx", 0) == 0; }

static bool has(const Bit &bit) {
  unsigned words[4];
  if (!__get_cpuid_count(bit.leaf, bit.subleaf, &words[0], &words[1], &words[2], &words[3]))
    return false;
  if (!(words[bit.word] >> bit.bit & 1))
    return false;
  std::string name = bit.name;
  uint64_t needed = isTiles(name)                                   ? 0x60000
                    : name.rfind("avx512", 0) == 0                  ? 0xe6
                    : name == "popcnt" || name.rfind("bmi", 0) == 0 ? 0
                                                                    : 0x6;
  return (savedState() & needed) == needed;
}

// Tile data are 8 KiB of every thread, which Linux saves for processes that have asked: arch_prctl
// ARCH_REQ_XCOMP_PERM for state component 18 (Documentation/arch/x86/xstate.rst), since 5.16.
static Status askForTiles() {
  static const int refusal = syscall(SYS_arch_prctl, 0x1023, 18) == 0 ? 0 : errno;
  if (refusal == 0)
    return Status();
  return Status::error(
      "needs the CPU feature amx-tile, which this CPU has and the system refuses (" +
      std::string(std::strerror(refusal)) +
      "; Linux allows it since 5.16): compile the model without it "
      "(--target host-amx-tile)");
}

Status checkCpu(const RollTarget &target) {
  if (target.architecture != "x86_64")
    return Status::error("is compiled for " + target.name + " on " + target.architecture +
                         "; this is a host of x86_64: compile the model for this machine "
                         "(--target host)");
  bool tiles = false;
  for (const std::string &feature : target.features) {
    tiles |= isTiles(feature);
    if (std::count(takenAsThere.begin(), takenAsThere.end(), feature))
      continue;
    const Bit *found = nullptr;
    for (const Bit &bit : kBits)
      if (feature == bit.name)
        found = &bit;
    if (!found || !has(*found))
      return Status::error("needs the CPU feature " + feature + ", which this CPU does not have: " +
                           "compile the model for this machine (--target host)");
  }
  return tiles && !takenAsPermitted ? askForTiles() : Status();
}

#else

Status checkCpu(const RollTarget &target) {
  return Status::error("is compiled for " + target.architecture +
                       ", which this machine is not: compile the model for this machine "
                       "(--target host)");
}

#endif

} // namespace pianola
