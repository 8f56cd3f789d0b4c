// main.cpp - where the tests begin that know nothing of LLVM: what their precompiled header belongs
// to.
#include <gtest/gtest.h>

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
