// Barriers, mbarriers and copies, a few lines at a time; expectations from the PTX ISA.
#include "test/targets/nvptx/emulator/Snippet.h"

#include <gtest/gtest.h>

using namespace pianola::ptx;

namespace {

template <typename F>
void expectWords(const std::string &lines, F expected, uint32_t threads = 32) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Left left = playSnippet(lines, threads, seed);
    ASSERT_EQ(left.error, "") << lines;
    for (const Finding &finding : left.findings)
      ADD_FAILURE() << finding.text();
    for (uint32_t i = 0; i < left.words.size(); ++i)
      ASSERT_EQ(left.words[i], uint32_t(expected(i))) << lines << ": thread " << i;
  }
}

/// Some seed of 20 finds it.
void expectFinding(const std::string &lines, FindingKind kind, uint32_t threads = 32) {
  std::string heard = "nothing was found";
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Left left = playSnippet(lines, threads, seed);
    ASSERT_EQ(left.error, "") << lines;
    if (left.found(kind))
      return;
    if (!left.findings.empty())
      heard = left.findings[0].text();
  }
  ADD_FAILURE() << lines << "\n" << heard;
}

TEST(Barriers, Reduce) {
  const std::string third = "rem.u32 %r1, %r39, 3; setp.eq.u32 %p1, %r1, 0;";
  expectWords(
      third + "barrier.sync.aligned 0; bar.red.popc.u32 %r0, 0, %p1;", [](uint32_t) { return 22; },
      64);
  expectWords(third + "bar.red.popc.u32 %r0, 0, !%p1;", [](uint32_t) { return 42; }, 64);
  expectWords(
      third + "bar.red.and.pred %p2, 1, %p1; selp.u32 %r0, 1, 0, %p2;", [](uint32_t) { return 0; },
      64);
  expectWords(
      third + "bar.red.or.pred %p2, 1, 64, %p1; selp.u32 %r0, 1, 0, %p2;",
      [](uint32_t) { return 1; }, 64);
}

TEST(Barriers, CountAndDiverge) {
  // Warp 0 arrives and goes on, warp 1 waits for it.
  expectWords(
      "setp.lt.u32 %p1, %r39, 32; @%p1 bra FIRST; bar.sync 3, 64; ld.shared.u32 %r0, [s];"
      "bra DONE; FIRST: mov.u32 %r1, 7; setp.eq.u32 %p2, %r39, 0;"
      "@%p2 st.shared.u32 [s], %r1; bar.arrive 3, 64; mov.u32 %r0, 7; DONE:",
      [](uint32_t) { return 7; }, 64);
  expectFinding("bar.sync 16;", FindingKind::BarrierDivergence);
  expectFinding("bar.sync 1, 48;", FindingKind::BarrierDivergence, 64);
  expectFinding("bar.sync 1, 64;", FindingKind::BarrierDivergence, 32);
  expectFinding("setp.lt.u32 %p1, %r39, 16; @%p1 bar.sync 0;", FindingKind::BarrierDivergence);
  expectFinding("setp.lt.u32 %p1, %r39, 16; @%p1 exit; bar.sync 0;",
                FindingKind::BarrierDivergence);
  expectFinding("setp.lt.u32 %p1, %r39, 32; @%p1 bar.sync 1, 64; @!%p1 bar.sync 2, 64;",
                FindingKind::Deadlock, 64);
  expectFinding("setp.lt.u32 %p1, %r39, 32; @%p1 bar.sync 1, 64; @!%p1 bar.sync 1, 32;",
                FindingKind::BarrierDivergence, 64);
}

TEST(Barriers, OfAWarpOrderItsLanes) {
  const std::string neighbour = "shl.b32 %r1, %r39, 2; mov.u32 %r2, s; add.u32 %r1, %r1, %r2;"
                                "st.shared.u32 [%r1], %r39; xor.b32 %r3, %r1, 4;";
  expectWords(neighbour + "bar.warp.sync 0xffffffff; ld.shared.u32 %r0, [%r3];",
              [](uint32_t i) { return i ^ 1; });
  expectFinding(neighbour + "ld.shared.u32 %r0, [%r3];", FindingKind::Race);
  // Halves of a warp that wait for themselves are not ordered with each other.
  expectFinding("shl.b32 %r1, %r39, 2; mov.u32 %r2, s; add.u32 %r1, %r1, %r2;"
                "st.shared.u32 [%r1], %r39; xor.b32 %r3, %r1, 64; setp.lt.u32 %p1, %r39, 16;"
                "selp.b32 %r4, 0x0000ffff, 0xffff0000, %p1; bar.warp.sync %r4;"
                "ld.shared.u32 %r0, [%r3];",
                FindingKind::Race);
  // A shuffle waits, but orders nothing (ISA, shfl.sync).
  expectFinding(neighbour + "shfl.sync.idx.b32 %r4, %r39, 0, 31, -1; ld.shared.u32 %r0, [%r3];",
                FindingKind::Race);
}

const std::string start = "setp.eq.u32 %p1, %r39, 0; @%p1 mbarrier.init.shared.b64 [s], 32;"
                          "bar.sync 0;";

TEST(Mbarriers, StatesAndParities) {
  // The state of an arrival names its phase; once it is complete the wait for it succeeds, for the
  // next it does not.
  expectWords(start + "mbarrier.arrive.shared.b64 %d1, [s];"
                      "W: mbarrier.test_wait.shared.b64 %p2, [s], %d1; @!%p2 bra W;"
                      "bar.sync 0; mbarrier.test_wait.parity.shared.b64 %p3, [s], 0;"
                      "mbarrier.test_wait.parity.shared.b64 %p4, [s], 1;"
                      "selp.u32 %r1, 1, 0, %p3; selp.u32 %r2, 2, 0, %p4; or.b32 %r0, %r1, %r2;",
              [](uint32_t) { return 1; });
  // Before the first phase ends, the phase before it counts as complete: parity 1.
  expectWords(start + "mbarrier.test_wait.parity.shared.b64 %p3, [s], 1; selp.u32 %r0, 1, 0, %p3;",
              [](uint32_t) { return 1; });
  expectWords(start + "mbarrier.arrive.shared.b64 %d1, [s]; mbarrier.pending_count.b64 %r1, %d1;"
                      "setp.le.u32 %p2, %r1, 32; selp.u32 %r0, 1, 0, %p2;",
              [](uint32_t) { return 1; });
  // One thread drops out: the next phase needs 31.
  expectWords(start + "setp.eq.u32 %p5, %r39, 5; @%p5 mbarrier.arrive_drop.shared.b64 %d1, [s];"
                      "@%p5 bra DONE; mbarrier.arrive.shared.b64 %d1, [s];"
                      "W: mbarrier.try_wait.parity.shared.b64 %p2, [s], 0; @!%p2 bra W;"
                      "mbarrier.arrive.shared.b64 %d1, [s];"
                      "V: mbarrier.try_wait.parity.shared.b64 %p2, [s], 1; @!%p2 bra V; DONE:",
              [](uint32_t) { return 0; });
}

TEST(Mbarriers, Order) {
  const std::string neighbour = "shl.b32 %r1, %r39, 2; mov.u32 %r2, s; add.u32 %r1, %r1, %r2;"
                                "st.shared.u32 [%r1+128], %r39; xor.b32 %r3, %r1, 4;";
  expectWords(start + neighbour +
                  "mbarrier.arrive.shared.b64 %d1, [s];"
                  "W: mbarrier.try_wait.shared.b64 %p2, [s], %d1; @!%p2 bra W;"
                  "ld.shared.u32 %r0, [%r3+128];",
              [](uint32_t i) { return i ^ 1; });
  expectFinding(start + neighbour +
                    "mbarrier.arrive.relaxed.cta.shared.b64 %d1, [s];"
                    "W: mbarrier.try_wait.shared.b64 %p2, [s], %d1; @!%p2 bra W;"
                    "ld.shared.u32 %r0, [%r3+128];",
                FindingKind::Race);
}

TEST(Mbarriers, Misused) {
  expectFinding("mbarrier.arrive.shared.b64 %d1, [s];", FindingKind::MbarrierMisuse);
  expectFinding("setp.eq.u32 %p1, %r39, 0; @%p1 mbarrier.init.shared.b64 [s], 32;"
                "mbarrier.arrive.shared.b64 %d1, [s];",
                FindingKind::Race);
  expectFinding(start + "mbarrier.arrive.shared.b64 %d1, [s], 33;", FindingKind::MbarrierMisuse);
  expectFinding(start + "ld.shared.u32 %r0, [s];", FindingKind::MbarrierMisuse);
  expectFinding(start + "@%p1 mbarrier.init.shared.b64 [s], 1;", FindingKind::MbarrierMisuse);
  expectFinding(start + "@%p1 mbarrier.inval.shared.b64 [s]; bar.sync 0;"
                        "mbarrier.arrive.shared.b64 %d1, [s];",
                FindingKind::MbarrierMisuse);
  expectFinding(start + "W: mbarrier.try_wait.parity.shared.b64 %p2, [s], 0; @!%p2 bra W;",
                FindingKind::Deadlock);
}

const std::string loadStart = "setp.eq.u32 %p1, %r39, 0; @%p1 mbarrier.init.shared.b64 [s], 1;"
                              "fence.proxy.async.shared::cta; bar.sync 0;";
const std::string wait = "W: mbarrier.try_wait.parity.shared.b64 %p2, [s], 0; @!%p2 bra W;"
                         "shl.b32 %r1, %r39, 2; mov.u32 %r2, s; add.u32 %r1, %r1, %r2;"
                         "ld.shared.u32 %r0, [%r1+128];";
const std::string copy = "@%p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
                         "[s+128], [%d9+64], 128, [s];";

TEST(Copies, OfTheBulkEngine) {
  auto expected = [](uint32_t i) { return i + 16; };
  expectWords(loadStart + "@%p1 mbarrier.arrive.expect_tx.shared.b64 %d1, [s], 128;" + copy + wait,
              expected);
  // Bytes may come before they are expected, as long as the arrival comes last.
  expectWords(loadStart + "@%p1 mbarrier.expect_tx.relaxed.cta.shared.b64 [s], 128;" + copy +
                  "@%p1 mbarrier.arrive.shared.b64 %d1, [s];" + wait,
              expected);
  expectFinding(loadStart + copy + "@%p1 mbarrier.arrive.shared.b64 %d1, [s];" + wait,
                FindingKind::Race);
  expectFinding(loadStart + "@%p1 mbarrier.arrive.expect_tx.shared.b64 %d1, [s], 144;" + copy +
                    wait,
                FindingKind::Deadlock);
  // Without the fence the engine does not see the mbarrier.
  expectFinding("setp.eq.u32 %p1, %r39, 0; @%p1 mbarrier.init.shared.b64 [s], 1; bar.sync 0;"
                "@%p1 mbarrier.arrive.expect_tx.shared.b64 %d1, [s], 128;" +
                    copy + wait,
                FindingKind::ProxyRace);
}

TEST(Copies, OfAThread) {
  const std::string begin = "shl.b32 %r1, %r39, 2; mov.u32 %r2, s; add.u32 %r1, %r1, %r2;"
                            "mul.wide.u32 %d1, %r39, 4; add.u64 %d1, %d1, %d9;"
                            "cp.async.ca.shared.global [%r1], [%d1+16], 4; cp.async.commit_group;";
  expectWords(begin + "cp.async.wait_group 0; ld.shared.u32 %r0, [%r1];",
              [](uint32_t i) { return i + 4; });
  expectWords(begin +
                  "cp.async.wait_all; bar.sync 0; xor.b32 %r1, %r1, 4; ld.shared.u32 %r0, [%r1];",
              [](uint32_t i) { return (i ^ 1) + 4; });
  expectFinding(begin + "cp.async.wait_group 1; ld.shared.u32 %r0, [%r1];", FindingKind::Race);
  expectFinding(begin + "bar.sync 0; xor.b32 %r1, %r1, 4; ld.shared.u32 %r0, [%r1];",
                FindingKind::Race);
  // Fewer bytes than the copy has: the rest is zero.
  expectWords("shl.b32 %r1, %r39, 3; mov.u32 %r2, s; add.u32 %r1, %r1, %r2;"
              "cp.async.ca.shared.global [%r1], [%d9+8], 8, 4; cp.async.wait_all;"
              "ld.shared.v2.u32 {%r3, %r4}, [%r1]; shl.b32 %r4, %r4, 8; add.u32 %r0, %r3, %r4;",
              [](uint32_t) { return 2; });
}

} // namespace
