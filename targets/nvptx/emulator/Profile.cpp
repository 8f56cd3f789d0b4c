#include "targets/nvptx/emulator/Profile.h"

#include <algorithm>
#include <set>

namespace pianola::ptx {

namespace {

void add(Profile::Line &sum, const Profile::Line &line) {
  sum.warps += line.warps, sum.threads += line.threads, sum.bytes += line.bytes;
  sum.wavefronts += line.wavefronts, sum.leastWavefronts += line.leastWavefronts;
  sum.sectors += line.sectors, sum.leastSectors += line.leastSectors;
}

/// Shared memory has 32 banks of 4 bytes; lanes that read different words of one bank take turns.
/// An access of 8 or 16 bytes is served for a half or a quarter of the warp at a time.
uint64_t wavefronts(const uint64_t *addresses, uint32_t mask, uint32_t bytes) {
  if (bytes > 128) // a bulk copy: row after row
    return uint64_t(__builtin_popcount(mask)) * ((uint64_t(bytes) + 127) / 128);
  uint32_t words = std::max(1u, bytes / 4), lanesAtOnce = 32 / words, passes = 0; // words <= 32
  for (uint32_t first = 0; first < warpSize; first += lanesAtOnce) {
    std::set<uint64_t> perBank[32];
    bool any = false;
    for (uint32_t lane = first; lane < first + lanesAtOnce; ++lane) {
      if (!(mask >> lane & 1))
        continue;
      any = true;
      for (uint32_t i = 0; i < words; ++i)
        perBank[(addresses[lane] / 4 + i) % 32].insert(addresses[lane] / 4 + i);
    }
    size_t worst = 0;
    for (const std::set<uint64_t> &bank : perBank)
      worst = std::max(worst, bank.size());
    passes += any ? uint32_t(worst) : 0;
  }
  return passes;
}

} // namespace

void Profile::countAccess(uint32_t op, Space space, const uint64_t *addresses, uint32_t mask,
                          uint32_t bytes) {
  Line &line = lines[op];
  auto lanes = uint32_t(__builtin_popcount(mask));
  line.space = space;
  line.bytes += uint64_t(lanes) * bytes;
  if (space == Space::Shared) {
    line.wavefronts += wavefronts(addresses, mask, bytes);
    line.leastWavefronts += (uint64_t(lanes) * bytes + 127) / 128;
  } else if (space == Space::Global) {
    std::set<uint64_t> sectors;
    for (uint32_t lane = 0; lane < warpSize; ++lane)
      if (mask >> lane & 1)
        for (uint64_t at = addresses[lane] / 32; at <= (addresses[lane] + bytes - 1) / 32; ++at)
          sectors.insert(at);
    line.sectors += sectors.size();
    line.leastSectors += (uint64_t(lanes) * bytes + 31) / 32;
  }
}

std::vector<Profile::Sum> Profile::byInstruction(const Code &code) const {
  std::map<std::string, Line> sums;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].warps)
      continue;
    std::string name;
    for (std::string_view word : code.source[i]->words)
      name += (name.empty() ? "" : ".") + std::string(word);
    Line &sum = sums[name];
    add(sum, lines[i]);
    sum.space = lines[i].space;
  }
  std::vector<Sum> out;
  for (auto &[name, line] : sums)
    out.push_back({name, line});
  std::sort(out.begin(), out.end(), [](const Sum &a, const Sum &b) {
    return a.line.threads != b.line.threads ? a.line.threads > b.line.threads : a.name < b.name;
  });
  return out;
}

std::vector<Profile::Sum> Profile::byStage(const Code &code) const {
  std::vector<Sum> out;
  if (code.stage.empty())
    return out;
  for (const std::string &name : code.stages)
    out.push_back({name, {}});
  for (size_t i = 0; i < lines.size(); ++i)
    add(out[code.stage[i]].line, lines[i]);
  return out;
}

std::vector<Profile::Sum> Profile::bySpace() const {
  const std::pair<Space, const char *> spaces[] = {{Space::Global, "global"},
                                                   {Space::Shared, "shared"},
                                                   {Space::Local, "local"},
                                                   {Space::Const, "const"},
                                                   {Space::Param, "param"}};
  std::vector<Sum> out;
  for (auto [space, name] : spaces) {
    Sum sum{name, {}};
    for (const Line &line : lines)
      if (line.bytes && line.space == space)
        add(sum.line, line);
    if (sum.line.bytes)
      out.push_back(sum);
  }
  return out;
}

} // namespace pianola::ptx
