// Every good kernel plays without a finding and computes what the CPU computes, whatever the
// interleaving.
#include "test/targets/nvptx/emulator/Rehearsal.h"

#include <atomic>
#include <filesystem>
#include <gtest/gtest.h>
#include <set>
#include <thread>

using namespace pianola::ptx;

namespace {

class GoodKernel : public ::testing::TestWithParam<size_t> {};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t interleavings = 5;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr uint64_t interleavings = 5;
#else
constexpr uint64_t interleavings = 200;
#endif
#else
constexpr uint64_t interleavings = 200;
#endif

TEST_P(GoodKernel, PlaysRight) {
  const Case &one = goodKernels()[GetParam()];
  std::vector<Outcome> outcomes(interleavings);
  std::atomic<uint64_t> next{0};
  auto work = [&] {
    for (uint64_t i; (i = next++) < interleavings;) {
      Launch like;
      like.seed = i + 1;
      outcomes[i] = one.play(like);
    }
  };
  std::thread second(work);
  work();
  second.join();
  for (uint64_t i = 0; i < interleavings; ++i) {
    const Outcome &outcome = outcomes[i];
    ASSERT_TRUE(outcome.right()) << one.name << ", seed " << i + 1 << ":\n" << outcome.text();
    EXPECT_GT(outcome.threadInstructions, 0u);
    EXPECT_EQ(outcome.digest, outcomes[0].digest)
        << one.name << ": seed " << i + 1 << " changes the results";
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
