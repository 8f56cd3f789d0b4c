// Budget.cpp - bytes are spent where they serve most.
#include "lib/encode/Budget.h"

#include <cmath>

#include <gtest/gtest.h>
#include <random>

using namespace pianola;

namespace {

using Matrices = std::vector<std::vector<Alternative>>;
using Choice = std::vector<size_t>;

const Matrices kTwo = {{{40, 0}, {20, 0.4}, {10, 1}}, {{10, 0.5}, {30, 0}}};

TEST(Spend, TakesWhatServesMost) {
  EXPECT_EQ(spend(20, kTwo), (Choice{2, 0}));
  EXPECT_EQ(spend(29, kTwo), (Choice{2, 0}));
  EXPECT_EQ(spend(30, kTwo), (Choice{1, 0}));
  EXPECT_EQ(spend(49, kTwo), (Choice{1, 0}));
  EXPECT_EQ(spend(50, kTwo), (Choice{1, 1})); // 0.4, and 0.5 with the first at its best
  EXPECT_EQ(spend(69, kTwo), (Choice{1, 1}));
  EXPECT_EQ(spend(70, kTwo), (Choice{0, 1}));
  EXPECT_EQ(spend(UINT64_MAX, kTwo), (Choice{0, 1}));
}

TEST(Spend, NothingFits) {
  EXPECT_EQ(spend(19, kTwo), std::nullopt);
  EXPECT_EQ(spend(0, {}), Choice());
}

TEST(Spend, WastesNothing) {
  EXPECT_EQ(spend(50, {{{10, 1}, {10, 0.8}, {20, 0.8}, {30, 0.9}}}), (Choice{1}));
  EXPECT_EQ(spend(30, {{{10, 1}, {100, 0}}, {{10, 0.1}, {20, 0.05}}}), (Choice{0, 1}));
  // One large step is worth more than the small ones that would leave no room for it.
  EXPECT_EQ(spend(60, {{{10, 1}, {40, 0}}, {{10, 0.2}, {20, 0.1}}, {{10, 0.2}, {20, 0.1}}}),
            (Choice{1, 0, 0}));
}

TEST(Spend, IsTheBestThatFits) {
  std::mt19937 engine(1);
  for (int round = 0; round < 300; ++round) {
    Matrices matrices(4, std::vector<Alternative>(4));
    uint64_t budget = 40 + engine() % 200;
    for (auto &matrix : matrices)
      for (Alternative &each : matrix)
        each = {1 + engine() % 100, double(engine() % 1000)};
    auto cost = [&](const Choice &choice) {
      Alternative sum = {0, 0};
      for (auto [matrix, number] : llvm::zip_equal(matrices, choice)) {
        sum.bytes += matrix[number].bytes;
        sum.error += matrix[number].error;
      }
      return sum;
    };
    double best = INFINITY;
    for (size_t code = 0; code < 256; ++code)
      if (Alternative each = cost({code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6});
          each.bytes <= budget)
        best = std::min(best, each.error);
    std::optional<Choice> chosen = spend(budget, matrices);
    ASSERT_EQ(chosen.has_value(), best < INFINITY);
    if (!chosen)
      continue;
    EXPECT_LE(cost(*chosen).bytes, budget);
    EXPECT_EQ(cost(*chosen).error, best);
  }
}

// Where units are of many bytes, at most one for each matrix is lost.
TEST(Spend, OfManyBytes) {
  const uint64_t kGiga = 1000000000;
  Matrices matrices(20, {{kGiga, 1}, {2 * kGiga, 0}});
  std::optional<Choice> chosen = spend(30 * kGiga + kGiga / 100, matrices);
  ASSERT_TRUE(chosen);
  EXPECT_EQ(llvm::count(*chosen, 1u), 10);
}

TEST(ParseBytes, HasUnits) {
  auto bytes = [](const char *text) { return llvm::cantFail(parseBytes(text)); };
  EXPECT_EQ(bytes("700MB"), 700000000u);
  EXPECT_EQ(bytes("1.5GiB"), 1610612736u);
  EXPECT_EQ(bytes("90000"), 90000u);
  EXPECT_EQ(bytes("2kB"), 2000u);
  EXPECT_EQ(bytes("2KiB"), 2048u);
  EXPECT_EQ(bytes("0.5MiB"), 524288u);
  EXPECT_EQ(bytes("7B"), 7u);
  EXPECT_EQ(bytes("1GB"), 1000000000u);
}

TEST(ParseBytes, Refuses) {
  for (const char *text : {"", "MB", "-5MB", "5mb", "5 MB", "1.2.3MB", "0MB", "0.1", "1e9",
                           "99999999999999GB", "5TB", "nan"}) {
    llvm::Expected<uint64_t> bytes = parseBytes(text);
    ASSERT_FALSE(bool(bytes)) << text;
    EXPECT_EQ(llvm::toString(bytes.takeError()),
              "--budget: expected bytes, such as 700MB or 1.5GiB, found \"" + std::string(text) +
                  "\"");
  }
}

} // namespace
