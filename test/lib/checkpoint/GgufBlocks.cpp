// GgufBlocks.cpp - what blocks of GGUF files mean, against numbers worked out by hand from the
// format's description. test/gguf holds all types against a decoder of its own.
#include "lib/checkpoint/GgufBlocks.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace pianola;

namespace {

constexpr uint8_t kHalf[2] = {0x00, 0x38}, kTwo[2] = {0x00, 0x40}; // 0.5 and 2 in f16

const GgufType &typeNamed(llvm::StringRef name) {
  for (uint32_t id = 0; id < 64; ++id)
    if (const GgufType *type = ggufType(id); type && type->name == name)
      return *type;
  ADD_FAILURE() << name.str();
  return *ggufType(0);
}

struct Block {
  const GgufType &type;
  std::vector<uint8_t> bytes;
  std::vector<float> values;

  explicit Block(llvm::StringRef name)
      : type(typeNamed(name)), bytes(size_t(type.bytes)), values(size_t(type.columns)) {}
  void put(size_t at, const uint8_t (&half)[2]) { std::copy_n(half, 2, bytes.begin() + at); }
  bool decode() { return decodeBlock(type, bytes.data(), values.data()); }
};

TEST(GgufBlocks, Q8_0) {
  Block block("Q8_0");
  block.put(0, kHalf);
  block.bytes[2] = 0x80;  // -128
  block.bytes[3] = 0xff;  // -1
  block.bytes[33] = 0x7f; // 127
  ASSERT_TRUE(block.decode());
  EXPECT_EQ(block.values[0], -64);
  EXPECT_EQ(block.values[1], -0.5f);
  EXPECT_EQ(block.values[2], 0);
  EXPECT_EQ(block.values[31], 63.5f);
  uint8_t codes[32];
  float scale = 0;
  ASSERT_TRUE(readBlock(block.type, block.bytes.data(), codes, scale));
  EXPECT_EQ(scale, 0.5f);
  EXPECT_EQ(codes[0], 0);
  EXPECT_EQ(codes[1], 127);
  EXPECT_EQ(codes[31], 255);
}

TEST(GgufBlocks, Q4_0HasHighHalvesBehindLowOnes) {
  Block block("Q4_0");
  block.put(0, kTwo);
  block.bytes[2] = 0xf0;  // column 0: 0, column 16: 15
  block.bytes[17] = 0x97; // column 15: 7, column 31: 9
  ASSERT_TRUE(block.decode());
  EXPECT_EQ(block.values[0], -16);
  EXPECT_EQ(block.values[16], 14);
  EXPECT_EQ(block.values[15], -2);
  EXPECT_EQ(block.values[31], 2);
}

TEST(GgufBlocks, Q5_0HasItsFifthBitsApart) {
  Block block("Q5_0");
  block.put(0, kTwo);
  block.bytes[2] = 0x01; // the fifth bit of column 0
  block.bytes[5] = 0x80; // and of column 31
  block.bytes[6] = 0x03; // column 0: 16 + 3
  block.bytes[21] = 0xf0;
  ASSERT_TRUE(block.decode());
  EXPECT_EQ(block.values[0], 6);
  EXPECT_EQ(block.values[31], 30);
  EXPECT_EQ(block.values[15], -32);
  EXPECT_EQ(block.values[16], -32);
}

TEST(GgufBlocks, MinimaOfSmallBlocksAreAdded) {
  Block four("Q4_1"), five("Q5_1");
  for (Block *block : {&four, &five}) {
    block->put(0, kHalf);
    block->put(2, kTwo);
    block->bytes[size_t(block->type.bytes) - 16] = 0xa3; // column 0: 3, column 16: 10
  }
  five.bytes[6] = 0x01; // the fifth bit of column 16
  ASSERT_TRUE(four.decode());
  ASSERT_TRUE(five.decode());
  EXPECT_EQ(four.values[0], 3.5f);
  EXPECT_EQ(four.values[16], 7);
  EXPECT_EQ(four.values[1], 2);
  EXPECT_EQ(five.values[0], 3.5f);
  EXPECT_EQ(five.values[16], 15);
}

TEST(GgufBlocks, Mxfp4) {
  Block block("MXFP4");
  block.bytes[0] = 128;  // 2^1
  block.bytes[1] = 0xf1; // column 0: 0.5, column 16: -6
  block.bytes[16] = 0x27;
  ASSERT_TRUE(block.decode());
  EXPECT_EQ(block.values[0], 1);
  EXPECT_EQ(block.values[16], -12);
  EXPECT_EQ(block.values[15], 12);
  EXPECT_EQ(block.values[31], 2);
  block.bytes[0] = 0; // 2^-127, which f32 has as a subnormal number
  ASSERT_TRUE(block.decode());
  EXPECT_EQ(block.values[15], std::ldexp(6.0f, -127));
}

// Scale j is 8 j + 1 and minimum j is 60 - 7 j: every bit of both halves of six is somewhere.
void putSixBits(Block &block) {
  auto scale = [](int j) { return uint8_t(8 * j + 1); };
  auto least = [](int j) { return uint8_t(60 - 7 * j); };
  for (int j = 0; j < 4; ++j) {
    block.bytes[4 + j] = uint8_t(scale(j) | (scale(j + 4) & 0x30) << 2);
    block.bytes[8 + j] = uint8_t(least(j) | (least(j + 4) & 0x30) << 2);
    block.bytes[12 + j] = uint8_t((scale(j + 4) & 15) | (least(j + 4) & 15) << 4);
  }
}

TEST(GgufBlocks, Q4_KHasScalesAndMinimaOfSixBits) {
  Block block("Q4_K");
  block.put(0, kHalf);
  block.put(2, kTwo);
  putSixBits(block);
  for (int pair = 0; pair < 4; ++pair)
    for (int i = 0; i < 32; ++i) // column i of both: i % 16 and 15 - i % 16
      block.bytes[16 + 32 * pair + i] = uint8_t(i % 16 | (15 - i % 16) << 4);
  ASSERT_TRUE(block.decode());
  for (int group = 0; group < 8; ++group)
    for (int i = 0; i < 32; ++i) {
      int n = group % 2 ? 15 - i % 16 : i % 16;
      EXPECT_EQ(block.values[32 * group + i], 0.5f * (8 * group + 1) * n - 2.0f * (60 - 7 * group))
          << group << " " << i;
    }
}

TEST(GgufBlocks, Q5_KHasABitMoreForEachGroup) {
  Block block("Q5_K");
  block.put(0, kHalf);
  block.put(2, kTwo);
  putSixBits(block);
  for (int i = 0; i < 32; ++i)
    block.bytes[16 + i] = uint8_t(i * 5); // bit g: the fifth of column i in group g
  for (int i = 0; i < 128; ++i)
    block.bytes[48 + i] = 0x3c; // low halves 12, high ones 3
  ASSERT_TRUE(block.decode());
  for (int group = 0; group < 8; ++group)
    for (int i = 0; i < 32; ++i) {
      int n = (group % 2 ? 3 : 12) + 16 * ((i * 5) >> group & 1);
      EXPECT_EQ(block.values[32 * group + i], 0.5f * (8 * group + 1) * n - 2.0f * (60 - 7 * group))
          << group << " " << i;
    }
}

TEST(GgufBlocks, Q6_KHasItsScaleLast) {
  Block block("Q6_K");
  block.put(208, kTwo);
  for (int group = 0; group < 16; ++group)
    block.bytes[192 + group] = uint8_t(group - 8); // signed
  block.bytes[0] = 0x5a;                           // columns 0 and 64: low halves 10 and 5
  block.bytes[128] = 0xe4; // their upper bits, and those of 32 and 96: 0, 2; 1, 3
  block.bytes[32] = 0xc1;  // columns 32 and 96: 1 and 12
  block.bytes[127] = 0x0f; // the second half's columns 63 and 127
  ASSERT_TRUE(block.decode());
  EXPECT_EQ(block.values[0], 2 * -8 * (10 - 32));
  EXPECT_EQ(block.values[64], 2 * -4 * (5 + 2 * 16 - 32));
  EXPECT_EQ(block.values[32], 2 * -6 * (1 + 1 * 16 - 32));
  EXPECT_EQ(block.values[96], 2 * -2 * (12 + 3 * 16 - 32));
  EXPECT_EQ(block.values[128 + 63], 2 * 3 * (15 - 32));
  EXPECT_EQ(block.values[128 + 127], 2 * 7 * -32);
}

TEST(GgufBlocks, ScalesThatAreNoNumbersAreNoticed) {
  for (const char *name : {"Q8_0", "Q4_0", "Q5_0", "Q4_1", "Q5_1", "Q4_K", "Q5_K", "Q6_K"}) {
    Block block(name);
    size_t at = block.type.name == "Q6_K" ? 208 : 0;
    std::fill(block.bytes.begin(), block.bytes.end(), 0x11);
    ASSERT_TRUE(block.decode()) << name;
    block.put(at, {0x00, 0x7c}); // infinity
    EXPECT_FALSE(block.decode()) << name;
    block.put(at, {0x00, 0x7e}); // no number
    EXPECT_FALSE(block.decode()) << name;
  }
  Block block("MXFP4");
  block.bytes[0] = 0xff;
  EXPECT_FALSE(block.decode());
}

TEST(GgufBlocks, Names) {
  EXPECT_EQ(ggufTypeName(12), "Q4_K");
  EXPECT_EQ(ggufTypeName(16), "IQ2_XXS");
  EXPECT_EQ(ggufTypeName(4711), "type 4711");
  EXPECT_EQ(ggufType(10), nullptr);
}

} // namespace
