// Matcher.cpp - which tokens may come next.
//
// The tree of tokens is walked with the automaton: where it dies, what lies below is skipped.
// Inside of a JSON string nearly everything is allowed, and nearly every token is plain: how many
// plain characters may follow says all about those, and only the others are walked. Masks are kept
// by state, as states come again.
#include "runtime/grammar/Matcher.h"

namespace pianola::grammar {

namespace {
constexpr size_t kMostMemory = 96 << 20; // of states and masks, before they begin anew
constexpr uint64_t kMostWork = 4000000;  // for one mask: some tenths of a second
} // namespace

struct Matcher::Found {
  explicit Found(const std::shared_ptr<const Grammar> &grammar) : automaton(grammar) {}
  Automaton automaton;
  std::unordered_map<Automaton::State, TokenMask> masks;
  std::vector<Automaton::State> path;
};

// What all copies of a matcher know. States are numbered by who found them: who holds the number of
// an older Found takes its state along to the new one.
struct Matcher::Shared {
  std::shared_ptr<const Grammar> grammar;
  std::shared_ptr<const TokenTrie> trie;
  std::mutex mutex;
  std::shared_ptr<Found> current;
};

Matcher::Matcher(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenTrie> trie)
    : shared(std::make_shared<Shared>()) {
  found = std::make_shared<Found>(grammar);
  shared->grammar = std::move(grammar);
  shared->trie = std::move(trie);
  shared->current = found;
  state = found->automaton.start();
}

std::unique_lock<std::mutex> Matcher::settle() {
  std::unique_lock lock(shared->mutex);
  const Found &current = *shared->current;
  size_t perMask = shared->trie->vocabulary() / 8 + 64;
  if (current.automaton.memory() + current.masks.size() * perMask > kMostMemory)
    shared->current = std::make_shared<Found>(shared->grammar);
  if (found != shared->current) {
    state = shared->current->automaton.import(found->automaton, state);
    found = shared->current;
  }
  return lock;
}

void Matcher::walk(const TokenTrie::Tree &tree, TokenMask &mask) {
  Automaton &automaton = found->automaton;
  std::vector<Automaton::State> &path = found->path;
  if (path.size() <= tree.deepest)
    path.resize(tree.deepest + 1);
  path[0] = state;
  uint64_t limit = automaton.work() + kMostWork;
  for (size_t i = 0, end = tree.nodes.size() - 1; i < end && automaton.work() < limit;) {
    const TokenTrie::Node &node = tree.nodes[i];
    Automaton::State next = automaton.step(path[node.depth - 1], node.byte);
    if (next == Automaton::kDead) {
      i = node.skip;
      continue;
    }
    path[node.depth] = next;
    ++i;
    for (uint32_t j = node.firstId; j < tree.nodes[i].firstId; ++j)
      mask.allow(tree.ids[j]);
  }
}

// How many plain characters may follow, whatever they are; at most those of the longest token.
uint32_t Matcher::countPlain() {
  Automaton::State at = state;
  for (uint32_t count = 0; count < TokenTrie::kLongestPlain; ++count) {
    Automaton::State next = found->automaton.afterPlain(at);
    if (next == Automaton::kDead)
      return count;
    if (next == at)
      break;
    at = next;
  }
  return TokenTrie::kLongestPlain;
}

Status Matcher::fill(TokenMask &mask) {
  const TokenTrie &trie = *shared->trie;
  auto lock = settle();
  if (ended)
    return Status::error("the text has ended");
  auto [place, isNew] = found->masks.try_emplace(state);
  if (isNew) {
    Automaton &automaton = found->automaton;
    uint64_t before = automaton.work();
    TokenMask made(trie.vocabulary());
    uint32_t plain = countPlain();
    // Where plain characters end, does nothing that begins with one go on?
    Automaton::State last = state;
    for (uint32_t i = 0; i < plain; ++i)
      last = automaton.afterPlain(last);
    bool isAll = plain == TokenTrie::kLongestPlain;
    for (int byte = ' '; byte < 256 && !isAll && plain > 0; ++byte)
      if (byte != '"' && byte != '\\' && automaton.step(last, byte) != Automaton::kDead)
        plain = 0;
    if (plain > 0) {
      made = trie.plainMask();
      for (const TokenTrie::PlainToken &token : trie.plainTokens()) {
        if (token.characters <= plain)
          break;
        made.forbid(token.id);
      }
    } else {
      walk(trie.plain(), made);
    }
    walk(trie.others(), made);
    if (automaton.mayEnd(state))
      for (int32_t id : trie.ends())
        made.allow(id);
    if (automaton.work() - before >= kMostWork) {
      found->masks.erase(place);
      return Status::error("the grammar is too ambiguous: too many readings of the text so far");
    }
    place->second = std::move(made);
  }
  mask = place->second;
  if (mask.none())
    return Status::error("no token of the vocabulary can come next");
  return Status();
}

Status Matcher::accept(int32_t token) {
  const TokenTrie &trie = *shared->trie;
  if (token < 0 || token >= trie.vocabulary())
    return Status::error("token " + std::to_string(token) + " is not in the vocabulary");
  if (!trie.isEnd(token)) {
    if (trie.bytesOf(token).empty())
      return Status::error("token " + std::to_string(token) + " is no text");
    return accept(trie.bytesOf(token));
  }
  if (ended || !mayEnd())
    return Status::error("the text may not end here");
  ended = true;
  return Status();
}

Status Matcher::accept(std::string_view bytes) {
  auto lock = settle();
  if (ended)
    return Status::error("the text has ended");
  Automaton::State next = state;
  for (char c : bytes)
    next = found->automaton.step(next, static_cast<uint8_t>(c));
  if (next == Automaton::kDead)
    return Status::error("the grammar does not allow this text here");
  state = next;
  return Status();
}

bool Matcher::mayEnd() {
  auto lock = settle();
  return found->automaton.mayEnd(state);
}

bool Matcher::mustEnd() {
  auto lock = settle();
  return !found->automaton.mayContinue(state);
}

} // namespace pianola::grammar
