// What is wrong with a text is said exactly: which line, what, and which instruction. The tables in
// diagnostics/ hold bad texts and their messages, at least one for each place that can fail.
#include "targets/nvptx/emulator/Emulator.h"
#include "test/ReadFile.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <gtest/gtest.h>
#include <iterator>
#include <sstream>
#include <vector>

using namespace pianola::ptx;

namespace {

struct Bad {
  std::string text, message;
};

std::string tableNamed(const char *name) {
  return pianola::readFile(std::string(PIANOLA_SOURCE_DIR) +
                           "/test/targets/nvptx/emulator/diagnostics/" + name);
}

/// Texts of whole modules, with `====` between them; each ends with `=> message`.
std::vector<Bad> badModules() {
  std::vector<Bad> all(1);
  std::istringstream lines(tableNamed("modules.txt"));
  for (std::string line; std::getline(lines, line);) {
    if (line == "====")
      all.emplace_back();
    else if (line.rfind("=> ", 0) == 0)
      all.back().message = line.substr(3);
    else
      all.back().text += line + "\n";
  }
  return all;
}

/// What the instructions in the table may name. The instruction is on a line of its own.
const char *const around = R"(.version 8.5
.target sm_90a
.address_size 64
.extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);
.extern .func linked();
.global .b32 g;
.func noarg() { ret; }
.func one(.param .b32 x) { ret; }
.entry k(.param .u64 arg)
{
.reg .pred %p<5>; .reg .b16 %h<9>; .reg .b32 %r<20>; .reg .b64 %rd<9>; .reg .f32 %f<9>; .reg .f64 %fd<9>;
.shared .align 16 .b8 sh[64]; .param .b32 pa; .param .b64 pa8;
L:
)";

/// `instruction => message` where the message ends with the instruction; `instruction -> message`
/// where the parser gives up before it is one.
std::vector<Bad> badInstructions() {
  std::vector<Bad> all;
  std::istringstream lines(tableNamed("instructions.txt"));
  auto place = "bad.ptx:" + std::to_string(1 + std::count(around, around + strlen(around), '\n'));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#')
      continue;
    size_t decoded = line.find(" => "), parsed = line.find(" -> ");
    size_t at = std::min(decoded, parsed);
    std::string instruction = line.substr(0, at),
                message = at == line.npos ? "?" : line.substr(at + 4);
    all.push_back({around + instruction + ";\n}\n",
                   place + ": " + message + (decoded == at ? ": " + instruction : "")});
  }
  return all;
}

void expectMessages(const std::vector<Bad> &all) {
  for (const Bad &bad : all) {
    Device device(*pianola::findDevice("h200"));
    auto module = device.load(bad.text, "bad.ptx");
    EXPECT_EQ(module ? "(accepted)" : module.message(), bad.message) << bad.text;
  }
}

TEST(Diagnostics, OfModules) {
  std::vector<Bad> all = badModules();
  EXPECT_GT(all.size(), 80u);
  expectMessages(all);
}

TEST(Diagnostics, OfInstructions) {
  std::vector<Bad> all = badInstructions();
  EXPECT_GT(all.size(), 150u);
  expectMessages(all);
}

/// The pieces of text in the calls of `function` in a source.
void collectMessages(const std::string &source, const std::string &function,
                     std::vector<std::string> &out) {
  for (size_t at = 0; (at = source.find(function + "(", at)) != source.npos;) {
    bool isName = at && (std::isalnum(static_cast<unsigned char>(source[at - 1])));
    at += function.size();
    unsigned depth = 0;
    for (; !isName && at < source.size(); ++at) {
      depth += source[at] == '(';
      if (source[at] == ')' && --depth == 0)
        break;
      if (source[at] != '"')
        continue;
      size_t end = source.find('"', at + 1);
      std::string piece = source.substr(at + 1, end - at - 1);
      if (piece.find(' ') != piece.npos)
        out.push_back(piece);
      at = end;
    }
  }
}

// A message that no table holds is one that nobody has read.
TEST(Diagnostics, EveryMessageIsInATable) {
  std::string known;
  for (const std::vector<Bad> &table : {badModules(), badInstructions()})
    for (const Bad &bad : table)
      known += bad.message + "\n";
  const std::string root = std::string(PIANOLA_SOURCE_DIR) + "/targets/nvptx/emulator";
  const std::vector<std::string> exceptions = {
      "the kernel is too long", // needs a text of many megabytes
      "too many branch targets in one function",
      // What the families check before, and the parser.
      "too few operands", "' has no address here"};
  std::vector<std::string> pieces;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".cpp")
      continue;
    const std::string source = pianola::readFile(entry.path().string());
    for (const char *function : {"fail", "failHere", "bad"})
      collectMessages(source, function, pieces);
  }
  EXPECT_GT(pieces.size(), 150u);
  for (const std::string &piece : pieces)
    if (std::find(exceptions.begin(), exceptions.end(), piece) == exceptions.end())
      EXPECT_NE(known.find(piece), known.npos) << "no table has a text for: " << piece;
}

} // namespace
