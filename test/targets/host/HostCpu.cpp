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

TEST(HostCpu, LevelsAndFeatures) {
  EXPECT_EQ(features("x86-64-v3"), "avx,avx2,bmi,bmi2,f16c,fma,popcnt");
  EXPECT_EQ(features("x86-64-v4"), "avx,avx2,avx512bw,avx512cd,avx512dq,avx512f,avx512vl,bmi,bmi2,"
                                   "f16c,fma,popcnt");
  EXPECT_EQ(features("x86-64-v3+amx-bf16+avxvnni"),
            "amx-bf16,avx,avx2,avxvnni,bmi,bmi2,f16c,fma,popcnt");
  EXPECT_EQ(features("x86-64-v4-avx512cd-avx512dq"),
            "avx,avx2,avx512bw,avx512f,avx512vl,bmi,bmi2,f16c,fma,popcnt");
  EXPECT_EQ(features("x86-64-v4+avx512bf16-avx512bf16"), features("x86-64-v4"));
  EXPECT_NE(features("host").find("avx2"), std::string::npos);
  EXPECT_EQ(features("host-avx512bf16").find("avx512bf16"), std::string::npos);
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
  EXPECT_NE(features("host+").find("unknown feature \"\""), std::string::npos);
}

} // namespace
