// Plays every line of instructions/*.txt and compares with what the PTX ISA says.
#include "targets/nvptx/emulator/Code.h"
#include "targets/nvptx/emulator/Emulator.h"
#include "test/targets/nvptx/emulator/Cases.h"
#include "gtest/gtest.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace pianola;
using namespace pianola::ptx;

namespace {

const std::string folder = PIANOLA_SOURCE_DIR "/test/targets/nvptx/emulator/instructions";

std::vector<std::string> filesOfCases() {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".txt")
      names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

class Instructions : public testing::TestWithParam<std::string> {
protected:
  void SetUp() override {
    file = readCases(folder + "/" + GetParam() + ".txt");
    for (const auto &[line, text] : file.errors)
      ADD_FAILURE_AT(file.path.c_str(), line) << "cannot be read: " << text;
  }
  CaseFile file;
};

/// Loads and plays cases [first, last) of a group. A module that cannot be loaded, and one with a
/// finding, is taken apart case by case to say which it was.
void play(const CaseFile &file, const CaseGroup &group, size_t first, size_t last) {
  CaseKernel kernel = writeKernel(group, first, last);
  auto fail = [&](const std::string &message) {
    if (last - first == 1) {
      const Case &c = group.cases[first];
      ADD_FAILURE_AT(file.path.c_str(), c.line) << c.text << "\n" << message;
      return;
    }
    size_t middle = first + (last - first) / 2;
    play(file, group, first, middle);
    play(file, group, middle, last);
  };
  Device device(*findDevice("h200"), 1);
  auto module = device.load(kernel.ptx, "cases.ptx");
  if (!module)
    return fail(module.message());
  std::vector<uint64_t> results(kernel.results, 0xc5c5c5c5c5c5c5c5);
  uint64_t inBytes = std::max<uint64_t>(8, kernel.operands.size() * 8);
  auto in = device.allocate(inBytes, "in"), out = device.allocate(kernel.results * 8, "out");
  ASSERT_TRUE(in && out);
  if (!kernel.operands.empty())
    ASSERT_TRUE(device.write(*in, kernel.operands.data(), kernel.operands.size() * 8).ok());
  ASSERT_TRUE(device.write(*out, results.data(), kernel.results * 8).ok());
  Launch launch;
  launch.block = {32};
  Arguments arguments;
  arguments.add(*in).add(*out);
  const Kernel *entry = (*module)->findKernel("cases");
  ASSERT_NE(entry, nullptr);
  auto played = device.play(entry, launch, arguments);
  if (!played)
    return fail(played.message());
  if (!played->findings.empty())
    return fail(played->findings.front().text());
  ASSERT_TRUE(device.read(*out, results.data(), kernel.results * 8).ok());
  const uint64_t *at = results.data();
  for (size_t i = first; i != last; ++i)
    for (const CaseValue &value : group.cases[i].results) {
      std::string wrong = compareResult(value, at);
      at += warpLanes;
      if (!wrong.empty())
        ADD_FAILURE_AT(file.path.c_str(), group.cases[i].line) << group.cases[i].text << "\n"
                                                               << wrong;
    }
}

TEST_P(Instructions, GiveWhatTheIsaSays) {
  size_t count = 0;
  for (const CaseGroup &group : file.groups)
    for (size_t first = 0; first < group.cases.size(); first += 64) {
      size_t last = std::min(first + 64, group.cases.size());
      play(file, group, first, last);
      count += last - first;
    }
  EXPECT_GT(count, 0u);
}

INSTANTIATE_TEST_SUITE_P(Isa, Instructions, testing::ValuesIn(filesOfCases()),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
