// The tables themselves: that every line can be read, and that NVIDIA's assembler, where there is
// one, takes every instruction for what the line says it is.
#include "test/targets/nvptx/emulator/Cases.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace pianola::ptx;

namespace {

const std::string folder = PIANOLA_SOURCE_DIR "/test/targets/nvptx/emulator/instructions";

std::vector<CaseFile> allCases() {
  std::vector<CaseFile> files;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".txt")
      files.push_back(readCases(entry.path().string()));
  return files;
}

std::string findAssembler() {
  for (std::string path : {"ptxas", "/usr/local/cuda/bin/ptxas"})
    if (std::system((path + " --version > /dev/null 2>&1").c_str()) == 0)
      return path;
  return "";
}

TEST(CaseTables, EveryLineCanBeRead) {
  size_t cases = 0;
  for (const CaseFile &file : allCases()) {
    for (const auto &[line, text] : file.errors)
      ADD_FAILURE_AT(file.path.c_str(), line) << text;
    for (const CaseGroup &group : file.groups) {
      cases += group.cases.size();
      for (const Case &c : group.cases) // no operand that no instruction reads
        for (const CaseValue &value : c.operands)
          if (c.instructions.find("%" + value.name) == std::string::npos)
            ADD_FAILURE_AT(file.path.c_str(), c.line) << "nothing reads " << value.name;
    }
  }
  EXPECT_GE(cases, 600u);
}

TEST(CaseTables, TheAssemblerTakesThem) {
  std::string assembler = findAssembler();
  if (assembler.empty())
    GTEST_SKIP() << "no ptxas";
  std::string scratch = testing::TempDir() + "/pianola-cases.ptx", log = scratch + ".log";
  for (const CaseFile &file : allCases())
    for (const CaseGroup &group : file.groups) {
      if (group.cases.empty())
        continue;
      CaseKernel kernel = writeKernel(group, 0, group.cases.size());
      std::ofstream(scratch) << kernel.ptx;
      std::string command = assembler + " -O0 -arch=" + group.target + " -o /dev/null " + scratch +
                            " > " + log + " 2>&1";
      if (std::system(command.c_str()) == 0)
        continue;
      // "..., line 17; error : ..."
      std::ifstream stream(log);
      bool explained = false;
      for (std::string line; std::getline(stream, line);) {
        size_t at = line.find(", line ");
        if (at == std::string::npos || line.find("error") == std::string::npos)
          continue;
        uint32_t number = uint32_t(std::atoi(line.c_str() + at + 7));
        size_t index = 0;
        while (index + 1 < kernel.lines.size() && kernel.lines[index + 1] <= number)
          ++index;
        ADD_FAILURE_AT(file.path.c_str(), group.cases[index].line)
            << group.cases[index].text << "\n"
            << line;
        explained = true;
      }
      if (!explained)
        ADD_FAILURE() << file.path << ": " << command;
    }
  std::filesystem::remove(scratch);
  std::filesystem::remove(log);
}

TEST(CaseTables, ResultsAreCompared) {
  CaseValue exact, near, nan;
  exact.lanes.fill(5);
  uint64_t got[warpLanes];
  std::fill(got, got + warpLanes, 0xc5c5c5c500000005); // what lies above the width does not count
  EXPECT_EQ(compareResult(exact, got), "");
  got[31] = 6;
  EXPECT_NE(compareResult(exact, got), "");
  near = exact;
  near.ulps = 1;
  EXPECT_EQ(compareResult(near, got), "");
  got[0] = 0x80000005; // the other sign
  EXPECT_NE(compareResult(near, got), "");
  nan.anyNaN = true;
  EXPECT_NE(compareResult(nan, got), "");
  std::fill(got, got + warpLanes, 0x7fc00000);
  EXPECT_EQ(compareResult(nan, got), "");
}

} // namespace
