// Matcher.h - which tokens may come next, so that a text is one of a grammar's.
//
//   Matcher matcher(grammar, trie);
//   for each token: matcher.fill(mask), choose one that the mask allows, matcher.accept(it)
//
// A mask goes to Sampler::sample(), on the host: samplers on GPUs know of none.
#ifndef PIANOLA_RUNTIME_GRAMMAR_MATCHER_H
#define PIANOLA_RUNTIME_GRAMMAR_MATCHER_H

#include "runtime/grammar/Automaton.h"
#include "runtime/grammar/TokenTrie.h"

#include <mutex>

namespace pianola::grammar {

/// Copies are cheap and share what they find out, so keep one for each grammar and copy it for each
/// text. Copies may be used from several threads, one each.
class Matcher {
public:
  Matcher(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie);

  /// The tokens after which the text can still be ended, and the ends of generation if it may end
  /// here. An error if there are none, as may be if the vocabulary lacks bytes, or if the grammar
  /// is so ambiguous that this would take too long.
  Status fill(TokenMask &mask);

  /// Goes on by one token; an error, and no change, if it is not allowed.
  Status accept(int32_t token);
  /// The same for bytes that are not from a token.
  Status accept(std::string_view bytes);

  /// An end of generation was accepted.
  bool hasEnded() const { return ended; }
  bool mayEnd();
  /// Nothing but an end of generation can come.
  bool mustEnd();

private:
  struct Found;
  struct Shared;
  std::unique_lock<std::mutex> settle();
  void walk(const TokenTrie::Tree &tree, TokenMask &mask);
  uint32_t countPlain();

  std::shared_ptr<Shared> shared;
  std::shared_ptr<Found> found;
  Automaton::State state;
  bool ended = false;
};

} // namespace pianola::grammar

#endif
