// TokenTrie.cpp - the tokens of a vocabulary by their bytes.
#include "runtime/grammar/TokenTrie.h"

#include "runtime/text/Tokenizer.h"
#include "runtime/text/Utf8.h"

#include <algorithm>

namespace pianola::grammar {

TokenTrie::TokenTrie(const Tokenizer &tokenizer, std::vector<int32_t> ends, int32_t vocabulary)
    : endIds(std::move(ends)) {
  tokens.resize(vocabulary);
  for (int32_t id = 0; id < std::min(vocabulary, tokenizer.vocabularySize()); ++id)
    tokens[id] = tokenizer.bytesOf(id, true);
  build();
}

TokenTrie::TokenTrie(std::vector<std::string> given, std::vector<int32_t> ends)
    : tokens(std::move(given)), endIds(std::move(ends)) {
  build();
}

bool TokenTrie::isEnd(int32_t id) const {
  return std::find(endIds.begin(), endIds.end(), id) != endIds.end();
}

// How many characters; 0 if it is not plain.
static uint32_t plainCharacters(const std::string &token) {
  uint32_t count = 0;
  for (size_t i = 0; i < token.size(); ++count) {
    Character c = characterAt(token, i);
    if (!c.valid || c.code < ' ' || c.code == '"' || c.code == '\\')
      return 0;
    i += c.size;
  }
  return count;
}

void TokenTrie::build() {
  endIds.erase(std::remove_if(endIds.begin(), endIds.end(),
                              [&](int32_t id) { return id < 0 || id >= vocabulary(); }),
               endIds.end());
  for (int32_t id : endIds)
    tokens[id].clear();
  allPlain = TokenMask(vocabulary());
  std::vector<int32_t> plain, others;
  for (int32_t id = 0; id < vocabulary(); ++id) {
    if (tokens[id].empty())
      continue;
    uint32_t characters = plainCharacters(tokens[id]);
    if (characters == 0 || characters > kLongestPlain) {
      others.push_back(id);
      continue;
    }
    plain.push_back(id);
    plainIds.push_back({id, characters});
    allPlain.allow(id);
  }
  std::sort(plainIds.begin(), plainIds.end(), [](const PlainToken &a, const PlainToken &b) {
    return a.characters != b.characters ? a.characters > b.characters : a.id < b.id;
  });
  plainTree = treeOf(std::move(plain));
  otherTree = treeOf(std::move(others));
}

TokenTrie::Tree TokenTrie::treeOf(std::vector<int32_t> ids) const {
  std::sort(ids.begin(), ids.end(), [&](int32_t a, int32_t b) {
    int order = tokens[a].compare(tokens[b]);
    return order != 0 ? order < 0 : a < b;
  });
  Tree tree;
  std::vector<uint32_t> path; // nodes of the token before
  auto closeTo = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back())
      tree.nodes[path.back()].skip = static_cast<uint32_t>(tree.nodes.size());
  };
  const std::string *before = nullptr;
  for (int32_t id : ids) {
    const std::string &token = tokens[id];
    size_t same = 0;
    while (before && same < std::min(before->size(), token.size()) &&
           (*before)[same] == token[same])
      ++same;
    closeTo(same);
    for (size_t i = same; i < token.size(); ++i) {
      path.push_back(static_cast<uint32_t>(tree.nodes.size()));
      tree.nodes.push_back({static_cast<uint8_t>(token[i]), static_cast<uint32_t>(i + 1), 0,
                            static_cast<uint32_t>(tree.ids.size())});
    }
    tree.deepest = std::max(tree.deepest, static_cast<uint32_t>(token.size()));
    tree.ids.push_back(id);
    before = &token;
  }
  closeTo(0);
  tree.nodes.push_back({0, 0, 0, static_cast<uint32_t>(tree.ids.size())});
  return tree;
}

} // namespace pianola::grammar
