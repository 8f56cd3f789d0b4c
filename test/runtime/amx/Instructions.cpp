// Instructions.cpp - AMX as code in assembly finds it: of this CPU, or emulated.
#include "test/runtime/amx/Emulation.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <thread>
#include <vector>

namespace pianola::test {
namespace {

#define AMX __attribute__((target("amx-tile,amx-bf16,amx-int8")))

struct alignas(64) Configuration {
  uint8_t bytes[64] = {1};

  Configuration &shape(int tile, int rows, int rowBytes) {
    bytes[48 + tile] = static_cast<uint8_t>(rows);
    bytes[16 + 2 * tile] = static_cast<uint8_t>(rowBytes);
    return *this;
  }
};

AMX void configure(const Configuration &to) { asm volatile("ldtilecfg %0" : : "m"(to)); }
AMX void release() { asm volatile("tilerelease"); }

// 0 is the sums, 1 and 2 what is multiplied.
AMX void loadAll(const void *sums, const void *left, const void *right, int64_t stride) {
  asm volatile("tileloadd (%0,%3,1), %%tmm0\n"
               "tileloaddt1 (%1,%3,1), %%tmm1\n"
               "tileloadd (%2,%3,1), %%tmm2\n"
               :
               : "r"(sums), "r"(left), "r"(right), "r"(stride)
               : "memory");
}
AMX void storeSums(void *to, int64_t stride) {
  asm volatile("tilestored %%tmm0, (%0,%1,1)" : : "r"(to), "r"(stride) : "memory");
}
AMX void addBf16() { asm volatile("tdpbf16ps %tmm2, %tmm1, %tmm0"); }

class Amx : public testing::Test {
protected:
  void SetUp() override { provideAmx(); }
  void TearDown() override { release(); }
};

uint16_t half(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>(bits >> 16);
}

// A tile in memory, with room for 16 rows of 64 bytes.
template <typename T> struct Tile {
  T elements[16][64 / sizeof(T)] = {};
};

TEST_F(Amx, KeepsItsConfiguration) {
  Configuration wanted, got;
  wanted.shape(0, 3, 20).shape(7, 16, 64);
  configure(wanted);
  auto store = [&]() AMX { asm volatile("sttilecfg %0" : "=m"(got)); };
  store();
  EXPECT_EQ(0, std::memcmp(&wanted, &got, 64));
  release();
  store();
  EXPECT_EQ(got.bytes[0], 0);
  EXPECT_EQ(got.bytes[48], 0);
}

// Integers, whose sums are exact in any order, in all shapes.
TEST_F(Amx, AddsProductsOfBf16) {
  std::mt19937 engine(1);
  for (int rows : {1, 7, 16})
    for (int columns : {1, 13, 16})
      for (int pairs : {1, 8, 16}) {
        Tile<float> sums, got;
        Tile<uint16_t> left, right;
        double wanted[16][16];
        auto number = [&] { return static_cast<float>(static_cast<int>(engine() % 64) - 32); };
        std::vector<std::vector<float>> a(16, std::vector<float>(32)), b(32, a[0]);
        for (int m = 0; m < 16; ++m)
          for (int k = 0; k < 32; ++k)
            left.elements[m][k] = half(a[m][k] = number());
        for (int k = 0; k < 32; ++k)
          for (int n = 0; n < 16; ++n)
            right.elements[k / 2][2 * n + k % 2] = half(b[k][n] = number());
        for (int m = 0; m < 16; ++m)
          for (int n = 0; n < 16; ++n) {
            wanted[m][n] = sums.elements[m][n] = number();
            for (int k = 0; k < 2 * pairs; ++k)
              wanted[m][n] += a[m][k] * b[k][n];
          }
        configure(Configuration()
                      .shape(0, rows, columns * 4)
                      .shape(1, rows, pairs * 4)
                      .shape(2, pairs, columns * 4));
        loadAll(&sums, &left, &right, 64);
        addBf16();
        storeSums(&got, 64);
        for (int m = 0; m < 16; ++m)
          for (int n = 0; n < 16; ++n)
            ASSERT_EQ(got.elements[m][n], m < rows && n < columns ? wanted[m][n] : 0)
                << m << ", " << n << " of " << rows << " x " << columns << " x " << pairs;
      }
}

// One sum of one pair.
float sumOf(float sum, float even, float odd, float evenFactor = 1, float oddFactor = 1) {
  configure(Configuration().shape(0, 1, 4).shape(1, 1, 4).shape(2, 1, 4));
  uint16_t left[2] = {half(even), half(odd)}, right[2] = {half(evenFactor), half(oddFactor)};
  float got;
  loadAll(&sum, left, right, 64);
  addBf16();
  storeSums(&got, 64);
  return got;
}

TEST_F(Amx, RoundsOnceAPair) {
  const float large = 16777216; // 2^24: the next f32 is 2 more
  EXPECT_EQ(sumOf(large, 1, 0), large);
  EXPECT_EQ(sumOf(large, 1, 1), large + 2);
  EXPECT_EQ(sumOf(large, 3, 0), large + 4); // a tie goes to even
  EXPECT_EQ(sumOf(large, 1, 0, 3), large + 4);
}

TEST_F(Amx, TakesDenormalsAsZero) {
  const float least = 1.17549435e-38f; // 2^-126
  EXPECT_EQ(sumOf(0, least, 0), least);
  EXPECT_EQ(sumOf(0, least / 2, 0, 4), 0); // given
  EXPECT_EQ(sumOf(least / 2, 0, 0), 0);    // in the sum
  EXPECT_EQ(sumOf(0, least, 0, 0.5), 0);   // made
  EXPECT_EQ(sumOf(0, least, least, 1, -0.5), least);
}

TEST_F(Amx, KeepsNanAndInfinity) {
  EXPECT_EQ(sumOf(1, INFINITY, 0), INFINITY);
  EXPECT_TRUE(std::isnan(sumOf(1, INFINITY, 0, 0)));
  EXPECT_TRUE(std::isnan(sumOf(1, NAN, 0)));
}

TEST_F(Amx, AddsProductsOfBytes) {
  configure(Configuration().shape(0, 1, 4).shape(1, 1, 4).shape(2, 1, 4));
  int32_t sum = 1000, got;
  uint8_t left[4] = {200, 3, 255, 128}, right[4] = {7, 250, 128, 129};
  auto value = [](uint8_t byte, bool isSigned) { return isSigned ? int8_t(byte) : int(byte); };
  auto check = [&](bool leftSigned, bool rightSigned) {
    int wanted = sum;
    for (int i = 0; i < 4; ++i)
      wanted += value(left[i], leftSigned) * value(right[i], rightSigned);
    storeSums(&got, 64);
    EXPECT_EQ(got, wanted) << leftSigned << rightSigned;
    loadAll(&sum, left, right, 64);
  };
  auto ss = []() AMX { asm volatile("tdpbssd %tmm2, %tmm1, %tmm0"); };
  auto su = []() AMX { asm volatile("tdpbsud %tmm2, %tmm1, %tmm0"); };
  auto us = []() AMX { asm volatile("tdpbusd %tmm2, %tmm1, %tmm0"); };
  auto uu = []() AMX { asm volatile("tdpbuud %tmm2, %tmm1, %tmm0"); };
  loadAll(&sum, left, right, 64);
  ss();
  check(true, true);
  su();
  check(true, false);
  us();
  check(false, true);
  uu();
  check(false, false);
}

// Every way to write an address; tile 7 has two rows of 4 bytes.
TEST_F(Amx, FindsItsMemory) {
  configure(Configuration().shape(7, 2, 4));
  static uint32_t memory[256];
  for (uint32_t i = 0; i < 256; ++i)
    memory[i] = i;
  auto check = [&](uint32_t first, uint32_t second, const char *how) {
    uint32_t got[2] = {99, 99};
    auto store = [&]() AMX {
      asm volatile("tilestored %%tmm7, (%0,%1,4)" : : "r"(got), "r"(int64_t(1)) : "memory");
    };
    store();
    EXPECT_EQ(got[0], first) << how;
    EXPECT_EQ(got[1], second) << how;
  };
#define LOAD(how, base, index)                                                                     \
  [&]() AMX {                                                                                      \
    asm volatile("mov %0, %%" base "\n mov %1, %%" index "\n tileloadd " how ", %%tmm7"            \
                 :                                                                                 \
                 : "m"(from), "m"(by)                                                              \
                 : base, index, "memory");                                                         \
  }()
  uint32_t *from = memory;
  int64_t by = 40;
  LOAD("(%%rax,%%rbx,1)", "rax", "rbx");
  check(0, 10, "one");
  LOAD("(%%r12,%%r13,2)", "r12", "r13");
  check(0, 20, "extended, doubled");
  LOAD("8(%%r13,%%r12,4)", "r13", "r12");
  check(2, 42, "a short displacement");
  from = memory + 200;
  by = -4;
  LOAD("-400(%%rsi,%%r9,8)", "rsi", "r9");
  check(100, 92, "a long one, backwards");
  LOAD("(%%r8)", "r8", "rcx");
  check(200, 200, "no index");
#undef LOAD
}

TEST_F(Amx, FindsItsConfigurationByDistance) {
  static Configuration wanted;
  wanted.shape(0, 2, 8);
  Configuration got;
  auto both = [&]() AMX { asm volatile("ldtilecfg %1\n sttilecfg %0" : "=m"(got) : "m"(wanted)); };
  both();
  EXPECT_EQ(0, std::memcmp(&wanted, &got, 64));
}

TEST_F(Amx, GivesEachThreadTilesOfItsOwn) {
  std::vector<std::thread> threads;
  std::vector<float> got(8);
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i)
        got[t] = sumOf(float(t), 1, 2);
      release();
    });
  for (std::thread &thread : threads)
    thread.join();
  for (int t = 0; t < 8; ++t)
    EXPECT_EQ(got[t], t + 3);
}

class AmxFaults : public testing::Test {
protected:
  void SetUp() override { provideAmx(); }
  static std::string saying(const char *what) {
    return hasAmx() ? "" : std::string("AMX: ") + what;
  }
};

TEST_F(AmxFaults, AsTheProcessorDoes) {
  auto product = [](Configuration configuration) {
    configure(configuration);
    addBf16();
  };
  auto shapes = [](int sumRows, int sumBytes, int leftBytes, int rightRows) {
    return Configuration()
        .shape(0, sumRows, sumBytes)
        .shape(1, 4, leftBytes)
        .shape(2, rightRows, 16);
  };
  product(shapes(4, 16, 8, 2));
  EXPECT_DEATH(product(shapes(5, 16, 8, 2)), saying("shapes do not fit"));
  EXPECT_DEATH(product(shapes(4, 20, 8, 2)), saying("shapes do not fit"));
  EXPECT_DEATH(product(shapes(4, 16, 8, 3)), saying("shapes do not fit"));
  EXPECT_DEATH(product(shapes(4, 16, 6, 2)), saying("rows are not a multiple of 4 bytes"));
  EXPECT_DEATH(product(shapes(0, 0, 8, 2)), saying("the tile has no shape"));
  Configuration bad;
  bad.bytes[0] = 2;
  EXPECT_DEATH(configure(bad), saying("there is no such palette"));
  EXPECT_DEATH(configure(Configuration().shape(3, 17, 64)), saying("a tile is larger"));
  EXPECT_DEATH(configure(Configuration().shape(3, 16, 65)), saying("a tile is larger"));
  EXPECT_DEATH(configure(Configuration().shape(3, 16, 0)), saying("a tile has rows or bytes"));
  Configuration reserved;
  reserved.bytes[60] = 1;
  EXPECT_DEATH(configure(reserved), saying("a reserved byte"));
  release();
  EXPECT_DEATH(addBf16(), saying("tiles are not configured"));
  auto twice = [&]() AMX {
    configure(shapes(4, 16, 16, 4));
    asm volatile(".byte 0xc4, 0xe2, 0x72, 0x5c, 0xc1"); // tdpbf16ps tmm1, tmm1, tmm0
  };
  EXPECT_DEATH(twice(), saying("a tile is named twice"));
  EXPECT_DEATH(asm volatile("ud2"), ""); // is none of these
}

} // namespace
} // namespace pianola::test
