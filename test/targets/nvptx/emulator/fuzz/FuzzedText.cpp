// Text that nobody would write. It may be refused, or loaded and played; nothing may crash, hang or
// take memory that the text has no use for.
#include "test/ReadFile.h"
#include "test/targets/nvptx/emulator/fuzz/Mutation.h"
#include "test/targets/nvptx/emulator/fuzz/Trial.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <gtest/gtest.h>
#include <iterator>
#include <vector>

using namespace pianola::ptx;

namespace {

std::string here(const char *folder) {
  return std::string(PIANOLA_SOURCE_DIR) + "/test/targets/nvptx/emulator/" + folder;
}

std::vector<std::string> filesIn(const std::string &folder, const char *extension) {
  std::vector<std::string> paths;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == extension)
      paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<std::string> committedTexts() {
  std::vector<std::string> texts;
  for (const char *folder : {"kernels", "defects"})
    for (const std::string &path : filesIn(here(folder), ".ptx"))
      texts.push_back(pianola::readFile(path));
  return texts;
}

// Each text with mutated words, lines and bytes. Most are refused; enough must not be, or the
// player would not be tried.
TEST(FuzzedText, MutatedKernelsDoNoHarm) {
  constexpr uint32_t perText = 24;
  uint32_t loaded = 0, launches = 0, number = 0;
  uint64_t findings = 0;
  for (const std::string &text : committedTexts()) {
    for (uint32_t i = 0; i < perText; ++i) {
      Draw draw(uint64_t(++number) * 7919);
      Trial trial = tryText(mutated(text, draw, 200000));
      loaded += trial.loaded, launches += trial.launches, findings += trial.findings;
    }
  }
  EXPECT_GT(loaded, number / 20);
  EXPECT_GT(launches, number / 20);
  EXPECT_GT(findings, 0u);
}

TEST(FuzzedText, TruncatedKernelsDoNoHarm) {
  for (const std::string &text : committedTexts()) {
    Draw draw(text.size());
    for (uint32_t i = 0; i < 10; ++i)
      tryText(std::string_view(text).substr(0, draw.next() % text.size()));
  }
}

// What once crashed, hung, or took all memory.
TEST(FuzzedText, CorpusDoesNoHarm) {
  std::vector<std::string> paths =
      filesIn(std::string(PIANOLA_SOURCE_DIR) + "/test/fuzz/corpus/ptx", ".ptx");
  EXPECT_FALSE(paths.empty());
  for (const std::string &path : paths) {
    SCOPED_TRACE(path);
    auto begin = std::chrono::steady_clock::now();
    tryText(pianola::readFile(path));
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(seconds.count(), 20) << path; // under a sanitizer, on a busy machine
  }
}

} // namespace
