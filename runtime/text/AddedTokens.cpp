// AddedTokens.cpp - tokens that are found in text before anything else.
#include "runtime/text/AddedTokens.h"

#include "runtime/text/Unicode.h"
#include "runtime/text/Utf8.h"

#include <algorithm>

namespace pianola {

void AddedTokens::Trie::add(std::string_view text, int32_t token) {
  if (text.empty())
    return;
  begins[static_cast<uint8_t>(text[0])] = true;
  uint32_t node = 0;
  for (unsigned char byte : text) {
    auto [child, isNew] =
        children.try_emplace(uint64_t(node) << 8 | byte, static_cast<uint32_t>(ends.size()));
    if (isNew)
      ends.push_back(-1);
    node = child->second;
  }
  if (ends[node] < 0) // of two with the same text the first counts
    ends[node] = token;
}

void AddedTokens::add(AddedToken token) {
  auto number = static_cast<int32_t>(tokens.size());
  if (!token.normalized)
    tries[AsWritten].add(token.content, number);
  else
    tries[Normalized].add(token.normalContent, number);
  if (token.normalized)
    tries[NormalizedGuarded].add(token.content, number);
  tokens.push_back(std::move(token));
}

static bool touches(const std::vector<TextRange> &ranges, size_t begin, size_t end) {
  auto after = std::upper_bound(ranges.begin(), ranges.end(), begin,
                                [](size_t at, const TextRange &range) { return at < range.end; });
  return after != ranges.end() && after->begin < end;
}

static bool isGuarded(const AddedToken &token, const Data &data) {
  return token.special || (data.controls && std::binary_search(data.controls->begin(),
                                                               data.controls->end(), token.id));
}

std::vector<int32_t> AddedTokens::writtenIn(std::string_view source) const {
  std::vector<int32_t> ids;
  for (const AddedToken &token : tokens) {
    bool isBlank = true;
    for (size_t i = 0; i < token.content.size(); i += characterAt(token.content, i).size)
      isBlank &= isWhiteSpace(characterAt(token.content, i).code);
    if (!isBlank && source.find(token.content) != std::string_view::npos)
      ids.push_back(token.id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

const AddedToken *AddedTokens::longestAt(std::string_view text, size_t at, Which which,
                                         const Data &data) const {
  const Trie &trie = tries[which];
  if (!trie.begins[static_cast<uint8_t>(text[at])])
    return nullptr;
  const AddedToken *longest = nullptr;
  uint32_t node = 0;
  for (size_t end = at; end < text.size(); ++end) {
    auto child = trie.children.find(uint64_t(node) << 8 | static_cast<uint8_t>(text[end]));
    if (child == trie.children.end())
      break;
    node = child->second;
    if (trie.ends[node] < 0)
      continue;
    const AddedToken &token = tokens[trie.ends[node]];
    bool guarded = isGuarded(token, data);
    if (which == NormalizedGuarded && !guarded)
      continue;
    if (!guarded || !touches(data.ranges, at, end + 1))
      longest = &token;
  }
  return longest;
}

std::vector<Segment> AddedTokens::split(std::string_view text, Which which,
                                        const Data &data) const {
  std::vector<Segment> segments;
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const AddedToken *token = longestAt(text, at, which, data);
    if (!token) {
      ++at;
      continue;
    }
    size_t begin = at,
           end = at + (which == Normalized ? token->normalContent : token->content).size();
    at = end;
    if (token->singleWord) {
      bool wordBefore =
          begin > 0 && isWordCharacter(characterAt(text, characterBefore(text, begin)).code);
      bool wordAfter = end < text.size() && isWordCharacter(characterAt(text, end).code);
      if (wordBefore || wordAfter)
        continue;
    }
    if (token->lstrip)
      while (begin > done && isWhiteSpace(characterAt(text, characterBefore(text, begin)).code))
        begin = characterBefore(text, begin);
    if (token->rstrip)
      while (end < text.size() && isWhiteSpace(characterAt(text, end).code))
        end += characterAt(text, end).size;
    // A token may lie in white space that the one before has swallowed.
    begin = std::max(begin, done);
    if (begin > done)
      segments.push_back({text.substr(done, begin - done), -1, done});
    segments.push_back({text.substr(begin, end - begin), token->id, begin});
    done = end;
  }
  if (done < text.size())
    segments.push_back({text.substr(done), -1, done});
  return segments;
}

} // namespace pianola
