// Every planted defect is found within twenty interleavings, by its kind and at one of its lines.
#include "targets/nvptx/emulator/Code.h"
#include "test/targets/nvptx/emulator/Rehearsal.h"

#include <algorithm>
#include <filesystem>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <sstream>

using namespace pianola::ptx;

namespace {

struct Planted {
  std::string name, path, playsAs;
  std::map<uint32_t, std::set<std::string>> kinds; ///< by the line where they may be reported
};

/// A file says `// plays as <case>` above, and `// defect: <kinds>` behind lines.
Planted readPlanted(const std::filesystem::path &path) {
  Planted planted{path.stem().string(), path.string(), "", {}};
  std::istringstream text(readText(path.string()));
  const std::string plays = "// plays as ", mark = "// defect: ";
  uint32_t number = 0;
  for (std::string line; std::getline(text, line);) {
    ++number;
    if (line.rfind(plays, 0) == 0)
      planted.playsAs = line.substr(plays.size());
    const size_t at = line.find(mark);
    if (at == std::string::npos)
      continue;
    std::istringstream words(line.substr(at + mark.size()));
    for (std::string kind; words >> kind;)
      planted.kinds[number].insert(kind);
  }
  return planted;
}

const std::vector<Planted> &defects() {
  static const std::vector<Planted> all = [] {
    std::vector<Planted> planted;
    for (const auto &entry : std::filesystem::directory_iterator(defectFolder()))
      if (entry.path().extension() == ".ptx")
        planted.push_back(readPlanted(entry.path()));
    std::sort(planted.begin(), planted.end(),
              [](const Planted &a, const Planted &b) { return a.name < b.name; });
    return planted;
  }();
  return all;
}

bool isPlanted(const Planted &planted, const Finding &finding) {
  const auto marked = [&](uint32_t line) {
    const auto found = planted.kinds.find(line);
    return found != planted.kinds.end() && found->second.count(nameOf(finding.kind)) != 0;
  };
  return marked(finding.place.line) || (finding.other && marked(finding.other->line));
}

class Defect : public ::testing::TestWithParam<size_t> {};

TEST_P(Defect, IsFound) {
  const Planted &planted = defects()[GetParam()];
  const Case *one = findCase(planted.playsAs);
  ASSERT_TRUE(one) << planted.name << " plays as no case: " << planted.playsAs;
  ASSERT_FALSE(planted.kinds.empty());
  std::string heard;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Launch like;
    like.seed = seed;
    like.patience = 20'000; // the kernels that wait in vain are small
    like.budget = 2'000'000;
    const Outcome outcome = one->play(planted.path, like);
    for (const Finding &finding : outcome.findings)
      if (isPlanted(planted, finding))
        return;
    heard += "seed " + std::to_string(seed) + ": " + outcome.text() + "\n";
    if (seed == 3 && heard.size() > 4000)
      heard = heard.substr(0, 4000) + "...\n";
  }
  FAIL() << planted.name << " was not found:\n" << heard.substr(0, 8000);
}

std::string nameOfDefect(const ::testing::TestParamInfo<size_t> &info) {
  return defects()[info.param].name;
}
INSTANTIATE_TEST_SUITE_P(All, Defect, ::testing::Range(size_t(0), defects().size()), nameOfDefect);

// The files are read from a folder: without it, nothing would be tested.
TEST(Defects, AreThere) { EXPECT_GE(defects().size(), 100u); }

// The kernel that a defect was planted in is free of it: what is marked is not found there.
TEST(Defects, AreNotInTheGoodKernels) {
  std::set<std::string> cases;
  for (const Planted &planted : defects())
    cases.insert(planted.playsAs);
  for (const std::string &name : cases) {
    const Case *one = findCase(name);
    ASSERT_TRUE(one) << name;
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      Launch like;
      like.seed = seed;
      const Outcome outcome = one->play(like);
      EXPECT_TRUE(outcome.right()) << name << ", seed " << seed << ":\n" << outcome.text();
    }
  }
}

/// The kinds of what one launch of a good kernel on unfit buffers reports.
std::set<std::string> kindsOf(const std::string &file, const std::string &kernel, Dim3 grid,
                              Dim3 block, const std::function<Arguments(Device &)> &prepare) {
  Device device(*pianola::findDevice("h200"));
  const std::string path = kernelFolder() + file;
  auto module = device.load(readText(path), path);
  EXPECT_TRUE(module) << module.message();
  if (!module)
    return {};
  Launch launch;
  launch.grid = grid, launch.block = block;
  auto played = device.play((*module)->findKernel(kernel), launch, prepare(device));
  EXPECT_TRUE(played) << played.message();
  std::set<std::string> kinds;
  if (played)
    for (const Finding &finding : played->findings)
      kinds.insert(nameOf(finding.kind));
  return kinds;
}

// What the host does with its buffers, no file of PTX can show.
TEST(Defects, OfTheHostAreFound) {
  const auto releasing = [](Device &device) {
    uint64_t ticket = *device.allocate(4, "ticket"), x = *device.allocate(32, "x"),
             y = *device.allocate(8 * 64 * 4, "y");
    EXPECT_TRUE(device.fill(ticket, 0, 4).ok() && device.fill(x, 1, 32).ok());
    EXPECT_TRUE(device.release(x).ok());
    return std::move(Arguments().add(ticket).add(uint32_t(8)).add(x).add(y));
  };
  EXPECT_EQ(kindsOf("idioms.sm_90a.ptx", "work_queue", {2}, {64}, releasing),
            std::set<std::string>{"use-after-free"});
  const auto unwritten = [](Device &device) {
    return std::move(Arguments().add(*device.allocate(256, "sums")));
  };
  EXPECT_EQ(kindsOf("persistent.sm_90a.ptx", "bulk_sum", {1}, {64}, unwritten),
            std::set<std::string>{"uninitialised"});
}

} // namespace
