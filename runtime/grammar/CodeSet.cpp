// CodeSet.cpp - sets of Unicode's characters, and their bytes.
#include "runtime/grammar/CodeSet.h"

#include "runtime/text/Utf8.h"

#include <algorithm>
#include <string>

namespace pianola::grammar {

static void addPart(std::vector<CodeRange> &parts, CodeRange range) {
  if (range.first > range.last)
    return;
  if (!parts.empty() && range.first <= parts.back().last + 1)
    parts.back().last = std::max(parts.back().last, range.last);
  else
    parts.push_back(range);
}

CodeSet::CodeSet(std::vector<CodeRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CodeRange &a, const CodeRange &b) { return a.first < b.first; });
  std::vector<CodeRange> sorted;
  for (const CodeRange &range : ranges)
    addPart(sorted, range);
  for (CodeRange range : sorted) {
    range.last = std::min<uint32_t>(range.last, 0x10ffff);
    addPart(parts, {range.first, std::min<uint32_t>(range.last, 0xd7ff)});
    addPart(parts, {std::max<uint32_t>(range.first, 0xe000), range.last});
  }
}

bool CodeSet::contains(uint32_t code) const {
  return std::any_of(parts.begin(), parts.end(), [&](const CodeRange &range) {
    return code >= range.first && code <= range.last;
  });
}

CodeSet CodeSet::operator~() const {
  std::vector<CodeRange> rest;
  uint32_t next = 0;
  for (const CodeRange &range : parts) {
    if (range.first > next)
      addPart(rest, {next, range.first - 1});
    next = range.last + 1;
  }
  addPart(rest, {next, 0x10ffff});
  return CodeSet(std::move(rest));
}

CodeSet CodeSet::operator|(const CodeSet &other) const {
  std::vector<CodeRange> both = parts;
  both.insert(both.end(), other.parts.begin(), other.parts.end());
  return CodeSet(std::move(both));
}

// A range whose ends have the same number of bytes is split until all bytes but the last few are
// those of both ends, and those few go from 80 to BF.
static void addSequences(std::vector<std::vector<ByteRange>> &to, CodeRange range) {
  for (uint32_t limit : {0x7fu, 0x7ffu, 0xffffu})
    if (range.first <= limit && range.last > limit) {
      addSequences(to, {range.first, limit});
      addSequences(to, {limit + 1, range.last});
      return;
    }
  if (range.last > 0x7f)
    for (uint32_t bits : {6, 12, 18}) {
      uint32_t low = (1u << bits) - 1;
      if ((range.first & ~low) == (range.last & ~low))
        continue;
      if ((range.first & low) != 0) {
        addSequences(to, {range.first, range.first | low});
        addSequences(to, {(range.first | low) + 1, range.last});
        return;
      }
      if ((range.last & low) != low) {
        addSequences(to, {range.first, (range.last & ~low) - 1});
        addSequences(to, {range.last & ~low, range.last});
        return;
      }
    }
  std::string first = encodeCharacter(range.first), last = encodeCharacter(range.last);
  std::vector<ByteRange> sequence;
  for (size_t i = 0; i < first.size(); ++i)
    sequence.push_back({static_cast<uint8_t>(first[i]), static_cast<uint8_t>(last[i])});
  to.push_back(std::move(sequence));
}

std::vector<std::vector<ByteRange>> CodeSet::byteSequences() const {
  std::vector<std::vector<ByteRange>> sequences;
  for (const CodeRange &range : parts)
    addSequences(sequences, range);
  return sequences;
}

} // namespace pianola::grammar
