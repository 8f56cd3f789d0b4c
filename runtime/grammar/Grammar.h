// Grammar.h - a grammar over the bytes of a text, compiled.
//
// Its rules are a graph of nodes: a byte, a call of a rule, a fork, the end of a rule. Nodes that
// cannot lead to the end of any text are left out of it, so that whatever begins well can be ended.
#ifndef PIANOLA_RUNTIME_GRAMMAR_GRAMMAR_H
#define PIANOLA_RUNTIME_GRAMMAR_GRAMMAR_H

#include "runtime/Status.h"
#include "runtime/grammar/Expression.h"

#include <array>
#include <memory>
#include <string_view>

namespace pianola::grammar {

class Grammar {
public:
  struct Node {
    enum Kind : uint8_t {
      Bytes,  // one from `low` to `high`, then `next`
      Call,   // what begins at node `other`, then `next`
      Fork,   // `next` or `other`
      Return, // to after the call
    };
    Kind kind;
    uint8_t low, high;
    bool alive; // a text can be ended from here
    uint32_t next, other;
  };

  /// An error if a rule begins with itself, if no text can match, or if it is too large.
  static Result<std::shared_ptr<const Grammar>> compile(const Rules &rules);

  /// Reads GBNF, llama.cpp's notation: `root ::= "yes" | "no"`. Errors name line and column.
  static Result<std::shared_ptr<const Grammar>> fromGbnf(std::string_view text);

  const Node &node(uint32_t index) const { return nodes[index]; }
  size_t size() const { return nodes.size(); }
  uint32_t start() const { return begin; }

  /// Bytes of one class are the same to every node. Classes are intervals, in order.
  uint8_t classOf(uint8_t byte) const { return classes[byte]; }
  uint32_t classCount() const { return classes[255] + 1u; }

private:
  friend class GrammarCompiler;
  std::vector<Node> nodes;
  uint32_t begin = 0;
  std::array<uint8_t, 256> classes{};
};

/// If the whole text is one of the grammar's.
bool matches(const std::shared_ptr<const Grammar> &grammar, std::string_view text);

} // namespace pianola::grammar

#endif
