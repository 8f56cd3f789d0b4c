// HostCpu.cpp - how targets are spelled.
#include "targets/host/HostCpu.h"

#include "llvm/ADT/StringExtras.h"

#include <gtest/gtest.h>

using namespace pianola;

namespace {

std::string features(const char *target) {
  llvm::Expected<HostCpu> cpu = parseHostCpu(target);
  return cpu ? llvm::join(cpu->features, ",") : "error: " + llvm::toString(cpu.takeError());
}

const std::string kV3 = "avx,avx2,bmi,bmi2,f16c,fma,popcnt";
const std::string kV4 = "avx,avx2,avx512bw,avx512dq,avx512f,avx512vl,bmi,bmi2,f16c,fma,popcnt";
const std::string kBf16 =
    "avx,avx2,avx512bf16,avx512bw,avx512dq,avx512f,avx512vl,bmi,bmi2,f16c,fma,popcnt";
const std::string kTiles = "amx-bf16,amx-tile," + kBf16;
const std::string kVnni =
    "avx,avx2,avx512bw,avx512dq,avx512f,avx512vl,avx512vnni,bmi,bmi2,f16c,fma,popcnt";
const std::string kByteTiles = "amx-int8,amx-tile," + kVnni;

TEST(HostCpu, LevelsAndFeatures) {
  EXPECT_EQ(features("x86-64-v3"), kV3);
  EXPECT_EQ(features("x86-64-v4"), kV4);
  EXPECT_EQ(features("x86-64-v4+avx512bf16"), kBf16);
  EXPECT_EQ(features("x86-64-v4+avx512bf16-avx512bf16"), kV4);
  EXPECT_EQ(features("x86-64-v4-avx512bf16+avx512bf16"), kBf16);
  EXPECT_EQ(features("x86-64-v3+avx512bf16"), kBf16);
  EXPECT_EQ(features("x86-64-v4+avx512bf16+amx-bf16"), kTiles);
  EXPECT_EQ(features("x86-64-v3+amx-bf16"), kTiles);
  EXPECT_EQ(features("x86-64-v3+amx-bf16-amx-bf16"), kBf16);
  EXPECT_EQ(features("x86-64-v4+avx512vnni"), kVnni);
  EXPECT_EQ(features("x86-64-v4+avx512vnni+amx-int8"), kByteTiles);
  EXPECT_EQ(features("x86-64-v3+amx-int8"), kByteTiles);
  EXPECT_EQ(features("x86-64-v3+amx-int8-amx-int8"), kVnni);
  EXPECT_EQ(features("x86-64-v4+amx-bf16+amx-int8-amx-bf16-avx512bf16"), kByteTiles);
  EXPECT_EQ(features("x86-64-v4+amx-bf16+amx-int8-amx-int8-avx512vnni"), kTiles);
}

// A roll asks for nothing that its code does not use.
TEST(HostCpu, LeavesOutWhatIsNotUsed) {
  EXPECT_EQ(features("x86-64-v3+avxvnni"), kV3);
  EXPECT_EQ(features("x86-64-v4+amx-int8-amx-tile"), kVnni); // there is nothing to load
  EXPECT_EQ(features("x86-64-v4+amx-bf16+amx-int8-amx-tile-avx512bf16"), kVnni);
  EXPECT_EQ(features("x86-64-v4+amx-int8-avx512vnni"), kV4); // few slots would go another way
  EXPECT_EQ(features("x86-64-v4+amx-int8-avx512vl"), kV3);
  EXPECT_EQ(features("x86-64-v4+avx512bf16+amx-tile"), kBf16); // there is nothing to load
  EXPECT_EQ(features("x86-64-v4+amx-bf16-amx-tile"), kBf16);
  EXPECT_EQ(features("x86-64-v4+amx-bf16-avx512bf16"), kV4);
  EXPECT_EQ(features("x86-64-v4+amx-bf16-avx512vl"), kV3);
  EXPECT_EQ(features("x86-64-v4-avx512cd"), kV4);
  EXPECT_EQ(features("x86-64-v3+avx512vnni"), features("x86-64-v4+avx512vnni"));
  EXPECT_EQ(features("x86-64-v4+avx512vnni-avx512vl"), kV3);
  EXPECT_EQ(features("x86-64-v4-avx512dq"), kV3); // the rest of AVX-512 is not used alone
  EXPECT_EQ(features("x86-64-v4+avx512bf16-avx512vl"), kV3);
}

TEST(HostCpu, Here) {
  // Products of bytes are there or not, and in tiles or not, whatever else is.
  std::string here = features("host-avx512vnni");
  EXPECT_TRUE(here == kV3 || here == kV4 || here == kBf16 || here == kTiles) << here;
  EXPECT_EQ(features("host-avx512f"), kV3);
  EXPECT_EQ(features("host-avx512vnni-avx512bf16"), here == kBf16 || here == kTiles ? kV4 : here);
}

TEST(HostCpu, RefusesByName) {
  EXPECT_EQ(features("z80"), "error: target \"z80\": unknown; known are host, x86-64-v3 and "
                             "x86-64-v4, each with +feature or -feature");
  EXPECT_EQ(features(""), "error: target \"\": unknown; known are host, x86-64-v3 and x86-64-v4, "
                          "each with +feature or -feature");
  EXPECT_EQ(features("x86-64-v3-fma"),
            "error: target \"x86-64-v3-fma\": has no fma; the least that "
            "code is made for is x86-64-v3");
  EXPECT_NE(features("host+mmx").find("unknown feature \"mmx\""), std::string::npos);
  for (const char *text : {"hos", "hosts", "x86-64", "x86-64-v2", "host-", "x86-64-v4+", "+avx2",
                           "x86-64-v3-avx2", "x86-64-v4++avx512bf16"})
    EXPECT_EQ(features(text).find("error: target \"" + std::string(text) + "\""), 0u) << text;
  EXPECT_NE(features("host+").find("unknown feature \"\""), std::string::npos);
}

} // namespace
