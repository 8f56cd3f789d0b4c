// Texts that ask for more than they should get, or make the work on them grow faster than they do.
// Each ends soon, and takes memory in proportion.
#include "targets/nvptx/emulator/Emulator.h"
#include "test/targets/nvptx/emulator/fuzz/Trial.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <malloc.h>
#include <new>
#include <ostream>
#include <string>

using namespace pianola::ptx;

namespace {

std::atomic<size_t> inUse{0}, peak{0};

void *counted(size_t size) {
  void *block = std::malloc(size);
  if (!block)
    return nullptr;
  size_t now = inUse += malloc_usable_size(block);
  for (size_t old = peak; old < now && !peak.compare_exchange_weak(old, now);)
    ;
  return block;
}

void uncounted(void *block) {
  if (!block)
    return;
  inUse -= malloc_usable_size(block);
  std::free(block);
}

} // namespace

// Every object of this executable is counted. What is zero and untouched (calloc) is not.
void *operator new(size_t size) {
  if (void *block = counted(size))
    return block;
  throw std::bad_alloc();
}
void *operator new[](size_t size) { return operator new(size); }
void *operator new(size_t size, const std::nothrow_t &) noexcept { return counted(size); }
void *operator new[](size_t size, const std::nothrow_t &) noexcept { return counted(size); }
void operator delete(void *block) noexcept { uncounted(block); }
void operator delete[](void *block) noexcept { uncounted(block); }
void operator delete(void *block, size_t) noexcept { uncounted(block); }
void operator delete[](void *block, size_t) noexcept { uncounted(block); }
void operator delete(void *block, const std::nothrow_t &) noexcept { uncounted(block); }
void operator delete[](void *block, const std::nothrow_t &) noexcept { uncounted(block); }

namespace {

constexpr size_t textBytes = 100000, mostBytes = 256 << 20;
const char *const header = ".version 8.0\n.target sm_90a\n.address_size 64\n";

/// f(0), f(1), ... until the text is full.
std::string filled(const std::function<std::string(size_t)> &piece, size_t bytes = textBytes) {
  std::string out;
  for (size_t i = 0; out.size() < bytes; ++i)
    out += piece(i);
  return out;
}

std::string numbered(const char *before, size_t number, const char *after) {
  return before + std::to_string(number) + after;
}

std::string entry(const std::string &body) {
  return std::string(header) + ".visible .entry k(.param .u64 a, .param .u32 n)\n{\n" + body +
         "\nret;\n}\n";
}

struct Hostile {
  friend void PrintTo(const Hostile &each, std::ostream *out) { *out << each.name; }

  const char *name;
  std::function<std::string()> text;
  bool loads; ///< or is refused
};

const Hostile hostiles[] = {
    {"GiantVariable", [] { return header + std::string(".global .b8 a[1099511627776];\n"); },
     false},
    {"GiantVariables",
     [] {
       return header +
              filled([](size_t i) { return numbered(".global .b8 a", i, "[1000000000];\n"); });
     },
     false},
    {"LargeVariable", [] { return header + std::string(".global .b8 a[1000000000];\n"); }, true},
    {"ManyVariables",
     [] { return header + filled([](size_t i) { return numbered(".global .u8 a", i, ";"); }); },
     true},
    {"ManyRegisters",
     [] {
       return entry(".reg .b64 %r<4294967295>;\n" +
                    filled([](size_t i) { return numbered("mov.b64 %r", i, ",0;"); }));
     },
     true},
    {"RegistersThatLive",
     [] {
       return entry(".reg .b64 %r<99999>;\nL:\n" + filled([](size_t i) {
                      return numbered("add.u64 %r", i, numbered(",%r", i + 1, ",1;\n").c_str());
                    }) +
                    "bra L;");
     },
     true},
    {"ManyBranchesBack",
     [] {
       return entry(
           ".reg .b32 %r<99999>;\nbra E;\n" + filled([](size_t i) {
             return numbered(
                 "L", i,
                 numbered(": mov.u32 %r", i,
                          numbered(",%r", i / 2, numbered(";\nbra L", i ? i - 1 : 0, ";\n").c_str())
                              .c_str())
                     .c_str());
           }) +
           "E:");
     },
     true},
    {"VeryManyBranchesBack",
     [] {
       return entry(".reg .b32 %r<99999>;\nbra E;\n" +
                    filled(
                        [](size_t i) {
                          return numbered(
                              "L", i,
                              numbered(": mov.u32 %r", i,
                                       numbered(",%r", i / 2,
                                                numbered(";\nbra L", i ? i - 1 : 0, ";\n").c_str())
                                           .c_str())
                                  .c_str());
                        },
                        20 * textBytes) +
                    "E:");
     },
     true},
    {"ManyLabels", [] { return entry(filled([](size_t i) { return numbered("L", i, ":\n"); })); },
     true},
    {"DeepBraces", [] { return entry(std::string(textBytes, '{') + std::string(textBytes, '}')); },
     false},
    {"BracesAsDeepAsMayBe",
     [] {
       return entry(".reg .b32 %r<9>;\n" + std::string(250, '{') +
                    filled([](size_t) { return "mov.u32 %r1,%r2;\nbra L;"; }) +
                    std::string(250, '}') + "L:");
     },
     true},
    {"BranchTables",
     [] {
       return entry(".reg .b32 %r<2>;\nL: mov.u32 %r1, 0;\nT: .branchtargets L" +
                    filled([](size_t) { return ",L"; }, textBytes / 2) + ";\n" +
                    filled([](size_t) { return "brx.idx %r1,T;\n"; }, textBytes / 2));
     },
     false},
    {"ManyEntries",
     [] { return header + filled([](size_t i) { return numbered(".entry k", i, "(){}\n"); }); },
     true},
    {"ManyEntriesThatCall",
     [] {
       return header + std::string(".func f(){}\n") +
              filled([](size_t i) { return numbered(".func g", i, "(){}\n"); }, textBytes / 2) +
              std::string(".func last(){}\n") +
              filled([](size_t i) { return numbered(".entry k", i, "(){call last;}\n"); },
                     textBytes / 2);
     },
     true},
    {"ManyEntriesOfOneLongFunction",
     [] {
       return header + std::string(".func f(){.reg .b32 %r;") +
              filled([](size_t) { return "mov.u32 %r,1;"; }, textBytes / 2) + "}\n" +
              filled([](size_t i) { return numbered(".entry k", i, "(){call f;}\n"); },
                     textBytes / 2);
     },
     false},
    {"DeepCalls",
     [] {
       return header + std::string(".func f0(){}\n") + filled([](size_t i) {
                return numbered(".func f", i + 1, numbered("(){call f", i, ";}\n").c_str());
              }) +
              ".entry k(){call f3000;}\n";
     },
     false},
    {"CallsThroughPointers",
     [] {
       return header + filled([](size_t i) {
                return numbered(
                    ".func f", i,
                    numbered("(){.reg .b64 %r; mov.u64 %r,f", i ? i - 1 : 0, ";}\n").c_str());
              }) +
              ".entry k(){.reg .b64 %r; mov.u64 %r,f1; call %r; call %r;}\n";
     },
     true},
    {"ManyStages",
     [] { return entry(filled([](size_t i) { return numbered("// stage: ", i, "\nexit;\n"); })); },
     true},
    {"ManyModifiers", [] { return entry("add" + filled([](size_t) { return ".u32"; }) + " 1;"); },
     false},
    {"ManyOperands", [] { return entry("add.u32 1" + filled([](size_t) { return ",1"; }) + ";"); },
     false},
    {"LongVector",
     [] { return entry("mov.b64 {1" + filled([](size_t) { return ",1"; }) + "}, 1;"); }, false},
    {"ManyConstants",
     [] {
       return entry(".reg .b64 %r;\n" +
                    filled([](size_t i) { return numbered("mov.b64 %r,", i * 7, ";"); }));
     },
     true},
    {"MostLocalMemory",
     [] { return entry(".local .b8 b[500000];\n.reg .b32 %r;\nld.local.u32 %r,[b];"); }, true},
    {"TooMuchLocalMemory", [] { return entry(".local .align 1048576 .b8 a[1073741824];"); }, false},
    {"ManySharedVariables",
     [] { return entry(filled([](size_t i) { return numbered(".shared .b8 a", i, ";"); })); },
     true},
    {"ManyParameters",
     [] {
       return header + std::string(".entry k(.param .u8 p") +
              filled([](size_t i) { return numbered(",.param .u8 p", i, ""); }) + "){}\n";
     },
     true},
    {"ManyInitialValues",
     [] {
       return header + std::string(".global .u64 a; .global .u64 b[] = {a") +
              filled([](size_t) { return ",a+1"; }) + "};\n";
     },
     true},
    {"DeepInitialValues",
     [] {
       return header + std::string(".global .u64 a[] = ") + std::string(textBytes, '{') + "1" +
              std::string(textBytes, '}') + ";\n";
     },
     true},
    {"OpenComment", [] { return header + std::string("/*") + std::string(textBytes, '*'); }, false},
    {"OnlySemicolons", [] { return header + std::string(textBytes, ';'); }, true},
    {"LongNumber", [] { return header + std::string(textBytes, '9'); }, false},
    {"LongName", [] { return entry(".reg .b32 " + std::string(textBytes, 'x') + ";"); }, true},
};

class HostileText : public testing::TestWithParam<Hostile> {};

TEST_P(HostileText, EndsSoonAndTakesLittleMemory) {
  const std::string text = GetParam().text();
  peak = inUse.load();
  const size_t before = inUse;
  const auto begin = std::chrono::steady_clock::now();
  const Trial trial = tryText(text);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(trial.loaded, GetParam().loads);
  EXPECT_LT(peak - before, mostBytes);
  EXPECT_LT(seconds.count(), 10) << "under a sanitizer, on a busy machine";
  RecordProperty("megabytes", int((peak - before) >> 20));
  if (std::getenv("HOSTILE_VERBOSE"))
    std::printf("    %zu MiB, %.3f s\n", (peak - before) >> 20, seconds.count());
}

INSTANTIATE_TEST_SUITE_P(Texts, HostileText, testing::ValuesIn(hostiles),
                         [](const auto &each) { return std::string(each.param.name); });

} // namespace
