// Loads, stores, atomics and addresses, a few lines at a time; expectations from the PTX ISA.
#include "test/targets/nvptx/emulator/Snippet.h"

#include <gtest/gtest.h>

using namespace pianola::ptx;

namespace {

/// Every thread must leave `expected(thread)`, without a finding.
template <typename F>
void expectWords(const std::string &lines, F expected, uint32_t threads = 32) {
  Left left = playSnippet(lines, threads);
  ASSERT_EQ(left.error, "") << lines;
  for (const Finding &finding : left.findings)
    ADD_FAILURE() << finding.text();
  for (uint32_t i = 0; i < left.words.size(); ++i)
    ASSERT_EQ(left.words[i], uint32_t(expected(i))) << lines << ": thread " << i;
}

void expectFinding(const std::string &lines, FindingKind kind, uint32_t threads = 32) {
  Left left = playSnippet(lines, threads);
  ASSERT_EQ(left.error, "") << lines;
  EXPECT_TRUE(left.found(kind)) << lines << "\n"
                                << (left.findings.empty() ? "nothing was found"
                                                          : left.findings[0].text());
}

TEST(Loads, ExtendToTheRegister) {
  // Bytes 0x80 and halves 0x8000: with sign for s, without for u and b.
  const std::string put = "setp.eq.u32 %p1, %r39, 0; mov.u32 %r1, 0x80808080;"
                          "@%p1 st.shared.u32 [s], %r1; bar.sync 0;";
  expectWords(put + "ld.shared.s8 %r0, [s+1];", [](uint32_t) { return 0xffffff80; });
  expectWords(put + "ld.shared.u8 %r0, [s+1];", [](uint32_t) { return 0x80; });
  expectWords(put + "ld.shared.b8 %r0, [s+3];", [](uint32_t) { return 0x80; });
  expectWords(put + "ld.shared.s16 %r0, [s+2];", [](uint32_t) { return 0xffff8080; });
  expectWords(put + "ld.shared.u16 %r0, [s+2];", [](uint32_t) { return 0x8080; });
  expectWords(put + "ld.shared.s32 %d1, [s]; shr.u64 %d1, %d1, 32; cvt.u32.u64 %r0, %d1;",
              [](uint32_t) { return 0xffffffff; });
  expectWords(put + "ld.shared.u8 %h1, [s]; cvt.u32.u16 %r0, %h1;", [](uint32_t) { return 0x80; });
}

TEST(Loads, VectorsInOrder) {
  expectWords("ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%d9+16];"
              "shl.b32 %r1, %r1, 24; shl.b32 %r2, %r2, 16; shl.b32 %r3, %r3, 8;"
              "or.b32 %r0, %r1, %r2; or.b32 %r0, %r0, %r3; or.b32 %r0, %r0, %r4;",
              [](uint32_t) { return 0x04050607; });
  expectWords("ld.global.v2.u64 {%d1, %d2}, [%d9]; shr.u64 %d2, %d2, 32; cvt.u32.u64 %r0, %d2;",
              [](uint32_t) { return 3; });
  expectWords("ld.global.v2.u8 {%h1, %h2}, [%d9+4]; cvt.u32.u16 %r0, %h1;",
              [](uint32_t) { return 1; });
  expectWords("ld.global.v2.u32 {%r0, _}, [%d9+8];", [](uint32_t) { return 2; });
}

TEST(Stores, TakeTheLowBits) {
  expectWords(
      "setp.eq.u32 %p1, %r39, 0; mov.u32 %r1, 0; mov.u32 %r2, 0x12345678;"
      "@%p1 st.shared.u32 [s], %r1; bar.sync 0;"
      "setp.eq.u32 %p1, %r39, 0; @%p1 st.shared.u8 [s+1], %r2; @%p1 st.shared.u16 [s+2], %r2;"
      "bar.sync 0; ld.shared.u32 %r0, [s];",
      [](uint32_t) { return 0x56787800; });
}

TEST(Addresses, GenericOnesLeadToTheirSpace) {
  const std::string put =
      "shl.b32 %r1, %r39, 2; mov.u32 %r2, s; add.u32 %r2, %r2, %r1;"
      "st.shared.u32 [%r2], %r39; cvt.u64.u32 %d1, %r2; cvta.shared.u64 %d2, %d1;";
  expectWords(put + "ld.u32 %r0, [%d2];", [](uint32_t i) { return i; });
  expectWords(put + "cvta.to.shared.u64 %d3, %d2; sub.u64 %d3, %d3, %d1; cvt.u32.u64 %r0, %d3;",
              [](uint32_t) { return 0; });
  expectWords(put + "isspacep.shared %p1, %d2; isspacep.global %p2, %d9; isspacep.local %p3, %d2;"
                    "selp.u32 %r3, 1, 0, %p1; selp.u32 %r4, 2, 0, %p2; selp.u32 %r5, 4, 0, %p3;"
                    "add.u32 %r0, %r3, %r4; add.u32 %r0, %r0, %r5;",
              [](uint32_t) { return 3; });
  expectWords("{ .local .align 8 .b8 mine[16]; mov.u64 %d1, mine; st.local.u32 [%d1+4], %r39;"
              "cvta.local.u64 %d2, %d1; ld.u32 %r0, [%d2+4]; }",
              [](uint32_t i) { return i; });
  expectFinding("ld.shared.u32 %r0, [%d9];", FindingKind::OutOfBounds);
  expectFinding("ld.global.u32 %r0, [%d9+1024];", FindingKind::OutOfBounds);
  expectFinding("ld.global.u32 %r0, [%d9+-4];", FindingKind::OutOfBounds);
  expectFinding("ld.global.u64 %d1, [%d9+4];", FindingKind::Misaligned);
  expectFinding("st.shared.u32 [s+1022], %r0;", FindingKind::Misaligned);
  expectFinding("st.shared.u32 [s+1024], %r0;", FindingKind::OutOfBounds);
  expectFinding("ld.shared.u32 %r0, [s];", FindingKind::Uninitialised);
  expectFinding("{ .local .align 8 .b8 mine[16]; ld.local.u32 %r0, [mine]; }",
                FindingKind::Uninitialised);
}

/// One thread updates word 7 of the memory, which holds `before`, and leaves what it found.
void expectAtomic(const std::string &operation, uint32_t before, uint32_t after) {
  char word[16];
  snprintf(word, sizeof word, "0x%08x", before);
  Left left = playSnippet(
      "mov.u32 %r1, " + std::string(word) + "; st.global.u32 [%d9+28], %r1;" + operation, 1);
  ASSERT_EQ(left.error, "") << operation;
  ASSERT_TRUE(left.findings.empty()) << left.findings[0].text();
  EXPECT_EQ(left.words[0], before) << operation;
  EXPECT_EQ(left.memory[7], after) << operation;
}

TEST(Atomics, Integers) {
  expectAtomic("atom.global.add.u32 %r0, [%d9+28], 5;", 0xfffffffe, 3);
  expectAtomic("atom.global.add.s32 %r0, [%d9+28], -5;", 3, 0xfffffffe);
  expectAtomic("atom.global.min.s32 %r0, [%d9+28], -5;", 3, 0xfffffffb);
  expectAtomic("atom.global.min.u32 %r0, [%d9+28], -5;", 3, 3);
  expectAtomic("atom.global.max.s32 %r0, [%d9+28], -5;", 3, 3);
  expectAtomic("atom.global.max.u32 %r0, [%d9+28], -5;", 3, 0xfffffffb);
  expectAtomic("atom.global.and.b32 %r0, [%d9+28], 12;", 10, 8);
  expectAtomic("atom.global.or.b32 %r0, [%d9+28], 12;", 10, 14);
  expectAtomic("atom.global.xor.b32 %r0, [%d9+28], 12;", 10, 6);
  expectAtomic("atom.global.exch.b32 %r0, [%d9+28], 12;", 10, 12);
  // ISA, atom: inc: (r >= s) ? 0 : r + 1; dec: (r == 0 || r > s) ? s : r - 1.
  expectAtomic("atom.global.inc.u32 %r0, [%d9+28], 12;", 11, 12);
  expectAtomic("atom.global.inc.u32 %r0, [%d9+28], 12;", 12, 0);
  expectAtomic("atom.global.inc.u32 %r0, [%d9+28], 12;", 99, 0);
  expectAtomic("atom.global.dec.u32 %r0, [%d9+28], 12;", 12, 11);
  expectAtomic("atom.global.dec.u32 %r0, [%d9+28], 12;", 0, 12);
  expectAtomic("atom.global.dec.u32 %r0, [%d9+28], 12;", 13, 12);
  expectAtomic("atom.global.cas.b32 %r0, [%d9+28], 10, 77;", 10, 77);
  expectAtomic("atom.global.cas.b32 %r0, [%d9+28], 11, 77;", 10, 10);
  expectAtomic("mov.u16 %h1, 10; mov.u16 %h2, 77; atom.global.cas.b16 %h3, [%d9+28], %h1, %h2;"
               "cvt.u32.u16 %r0, %h3;",
               10, 77);
}

TEST(Atomics, Floats) {
  expectAtomic("atom.global.add.f32 %r0, [%d9+28], 0f3F800000;", 0x3f800000, 0x40000000);
  // Updates of global memory flush subnormal numbers (ISA, atom): inputs and results.
  expectAtomic("atom.global.add.f32 %r0, [%d9+28], 0f00000001;", 0x00000001, 0x00000000);
  expectAtomic("atom.global.add.f32 %r0, [%d9+28], 0f7F800000;", 0xff800000, 0x7fffffff);
  // 1 + 1, 1 + 2 in halves of f16 and bf16; NaN stays in its half.
  expectAtomic("atom.global.add.noftz.f16x2 %r0, [%d9+28], %r1;", 0x3c007e00, 0x40007fff);
  expectAtomic("atom.global.add.noftz.bf16x2 %r0, [%d9+28], %r1;", 0x3f803f80, 0x40004000);
  expectAtomic("red.global.add.f32 [%d9+28], 0f3F800000; mov.u32 %r0, %r1;", 0x40000000,
               0x40400000);
}

TEST(Atomics, OfAllLanesAreOneAfterTheOther) {
  Left left = playSnippet("atom.global.add.u32 %r0, [%d9], 1;", 64, 5);
  ASSERT_EQ(left.error, "");
  EXPECT_TRUE(left.findings.empty());
  std::vector<bool> seen(64);
  for (uint32_t word : left.words)
    seen.at(word) = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 64);
  EXPECT_EQ(left.memory[0], 64u);
}

TEST(Matrices, LieInRowsAndColumns) {
  // Element (row, column) of the matrix is 8 row + column; lane l holds (l / 4, 2 (l % 4)) and its
  // neighbour.
  const std::string put =
      "shl.b32 %r1, %r39, 1; add.u32 %r2, %r1, 1; shl.b32 %r3, %r2, 16; or.b32 %r4, %r1, %r3;"
      "shl.b32 %r5, %r39, 2; mov.u32 %r6, s; add.u32 %r5, %r5, %r6; st.shared.u32 [%r5], %r4;"
      "bar.sync 0; and.b32 %r7, %r39, 7; shl.b32 %r7, %r7, 4; add.u32 %r7, %r7, %r6;";
  expectWords(put + "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%r7];", [](uint32_t l) {
    return (8 * (l / 4) + 2 * (l % 4)) | (8 * (l / 4) + 2 * (l % 4) + 1) << 16;
  });
  expectWords(put + "ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%r0}, [%r7];", [](uint32_t l) {
    return (8 * (2 * (l % 4)) + l / 4) | (8 * (2 * (l % 4) + 1) + l / 4) << 16;
  });
  expectWords(put + "bar.sync 0; stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%r7], {%r4};"
                    "bar.sync 0; ld.shared.u32 %r0, [%r5];",
              [](uint32_t l) { // what was column l / 4 is row l / 4 now
                uint32_t column = 2 * (l % 4), row = l / 4;
                auto at = [](uint32_t r, uint32_t c) { return 8 * r + c; };
                return at(column, row) | at(column + 1, row) << 16;
              });
}

} // namespace
