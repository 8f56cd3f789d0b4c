// Every good kernel plays without a finding and computes what the CPU computes, whatever the
// interleaving.
#include "test/targets/nvptx/emulator/Rehearsal.h"

#include <filesystem>
#include <gtest/gtest.h>
#include <set>

using namespace pianola::ptx;

namespace {

class GoodKernel : public ::testing::TestWithParam<size_t> {};

TEST_P(GoodKernel, PlaysRight) {
  const Case &one = goodKernels()[GetParam()];
  uint64_t digest = 0;
  for (uint64_t seed : {1, 2, 3}) {
    Launch like;
    like.seed = seed;
    const Outcome outcome = one.play(like);
    ASSERT_TRUE(outcome.right()) << one.name << ", seed " << seed << ":\n" << outcome.text();
    EXPECT_GT(outcome.threadInstructions, 0u);
    if (seed > 1) {
      EXPECT_EQ(outcome.digest, digest) << one.name << ": seed " << seed << " changes the results";
    }
    digest = outcome.digest;
  }
}

std::string nameOfCase(const ::testing::TestParamInfo<size_t> &info) {
  std::string name = goodKernels()[info.param].name;
  for (char &c : name)
    c = c == '.' ? '_' : c;
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, GoodKernel, ::testing::Range(size_t(0), goodKernels().size()),
                         nameOfCase);

// A seed repeats a play exactly, down to the number of instructions.
TEST(GoodKernels, SeedRepeats) {
  for (const char *name : {"scan_lookback_6.sm_80", "tape_player_3.sm_90a"}) {
    const Case *one = findCase(name);
    ASSERT_TRUE(one) << name;
    Launch like;
    like.seed = 99;
    EXPECT_EQ(one->play(like).threadInstructions, one->play(like).threadInstructions) << name;
  }
}

// Without checks the results are the same.
TEST(GoodKernels, PlayWithoutChecks) {
  for (const Case &one : goodKernels()) {
    Launch like;
    like.seed = 5;
    like.checks = Checks::none();
    const Outcome outcome = one.play(like);
    EXPECT_TRUE(outcome.right()) << one.name << ":\n" << outcome.text();
  }
}

// No kernel of the folder goes without a case: names of cases begin with the kernel's.
TEST(GoodKernels, AreAllPlayed) {
  std::set<std::string> missing;
  size_t kernels = 0;
  for (const auto &entry : std::filesystem::directory_iterator(kernelFolder())) {
    if (entry.path().extension() != ".ptx")
      continue;
    const std::string text = readText(entry.path().string()), mark = ".entry ";
    for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
      const size_t begin = at + mark.size();
      const std::string kernel = text.substr(begin, text.find('(', begin) - begin);
      bool played = false;
      for (const Case &one : goodKernels())
        played |= one.path() == entry.path().string() && one.name.rfind(kernel, 0) == 0;
      if (!played)
        missing.insert(entry.path().filename().string() + ": " + kernel);
      ++kernels;
    }
  }
  EXPECT_GE(kernels, 100u);
  EXPECT_EQ(missing, std::set<std::string>());
}

} // namespace
