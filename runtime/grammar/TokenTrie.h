// TokenTrie.h - the tokens of a vocabulary by their bytes.
#ifndef PIANOLA_RUNTIME_GRAMMAR_TOKENTRIE_H
#define PIANOLA_RUNTIME_GRAMMAR_TOKENTRIE_H

#include "runtime/sampling/TokenMask.h"

#include <string>
#include <utility>
#include <vector>

namespace pianola {
class Tokenizer;
}

namespace pianola::grammar {

class TokenTrie {
public:
  /// Special tokens are in no text. `ends` are the ids that end a generation; they are no text
  /// either. Masks have `vocabulary` tokens, which may be more than the tokenizer has.
  TokenTrie(const Tokenizer &tokenizer, std::vector<int32_t> ends, int32_t vocabulary);
  /// The bytes of each token; empty for those that are no text.
  TokenTrie(std::vector<std::string> tokens, std::vector<int32_t> ends);

  int32_t vocabulary() const { return static_cast<int32_t>(tokens.size()); }
  const std::vector<int32_t> &ends() const { return endIds; }
  bool isEnd(int32_t id) const;
  /// Empty for what is no text.
  const std::string &bytesOf(int32_t id) const { return tokens[id]; }

  /// A node's children follow it; `skip` is the next node that is not below it. Its tokens are
  /// ids[firstId] up to the next node's.
  struct Node {
    uint8_t byte;
    uint32_t depth; // 1: the first byte
    uint32_t skip, firstId;
  };
  struct Tree {
    std::vector<Node> nodes; // and one after the last
    std::vector<int32_t> ids;
    uint32_t deepest = 0;
  };
  /// Tokens of a few whole characters that stand for themselves in JSON, longest first (in
  /// characters); they are in `plain`, and all others in `others`.
  static constexpr uint32_t kLongestPlain = 24;
  struct PlainToken {
    int32_t id;
    uint32_t characters;
  };
  const std::vector<PlainToken> &plainTokens() const { return plainIds; }
  const TokenMask &plainMask() const { return allPlain; }
  const Tree &plain() const { return plainTree; }
  const Tree &others() const { return otherTree; }

private:
  void build();
  Tree treeOf(std::vector<int32_t> ids) const;

  std::vector<std::string> tokens;
  std::vector<int32_t> endIds;
  std::vector<PlainToken> plainIds;
  TokenMask allPlain;
  Tree plainTree, otherTree;
};

} // namespace pianola::grammar

#endif
