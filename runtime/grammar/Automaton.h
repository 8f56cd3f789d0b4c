// Automaton.h - a grammar at work: states, and what each byte makes of them.
//
// A state is the set of all readings of a text so far. A reading is a stack: the node whose byte is
// next, and the nodes to go on at when its rule has ended, and that rule's caller, and so on.
// Stacks share their tails, and equal ones are one; a call at the end of a rule leaves nothing on
// the stack. States get numbers as they come up, and so does what a byte makes of one: what was
// looked up once costs an array access from then on.
#ifndef PIANOLA_RUNTIME_GRAMMAR_AUTOMATON_H
#define PIANOLA_RUNTIME_GRAMMAR_AUTOMATON_H

#include "runtime/grammar/Grammar.h"

#include <unordered_map>

namespace pianola::grammar {

class Automaton {
public:
  using State = uint32_t;
  static constexpr State kDead = 0; // no reading is left

  explicit Automaton(std::shared_ptr<const Grammar> grammar);

  State start() const { return first; }
  State step(State state, uint8_t byte) {
    uint32_t &next = table[size_t(state) * classCount + grammar->classOf(byte)];
    if (next == kUnknown)
      return find(state, byte);
    return next;
  }
  /// The text may end here.
  bool mayEnd(State state) const { return states[state].mayEnd; }
  /// The text may go on.
  bool mayContinue(State state) const { return states[state].hasBytes; }

  /// A state of another automaton of the same grammar.
  State import(const Automaton &other, State state);

  /// What all plain characters lead to, if that is one state; else kDead. Plain are those that
  /// stand for themselves in JSON: all but controls, quotation marks and backslashes.
  State afterPlain(State state);

  /// Bytes that all this takes, about.
  size_t memory() const;
  /// Grows with everything that is done, never with what is looked up.
  uint64_t work() const { return steps; }

private:
  static constexpr uint32_t kUnknown = UINT32_MAX;
  static constexpr uint32_t kBottom = 0; // of all stacks
  static constexpr uint32_t kEnd = UINT32_MAX;

  // The top of a stack; `node` is kEnd if the text has been read to its end.
  struct Top {
    uint32_t node, frame;
    uint64_t key() const { return uint64_t(frame) << 32 | node; }
  };
  // What lies under a top: go on at `node`, with what lies under that.
  struct Frame {
    uint32_t node, parent;
  };
  struct Reading {
    size_t begin;
    uint32_t count;
    bool mayEnd, hasBytes;
    State afterPlain;
  };

  State find(State state, uint8_t byte);
  State findAfterPlain(State state);
  State addState();
  uint32_t addFrame(uint32_t node, uint32_t parent);
  void begin();
  void open(uint32_t node, uint32_t frame);
  bool isNew(uint64_t key);

  std::shared_ptr<const Grammar> grammar;
  size_t classCount;
  State first;
  std::vector<Reading> states;
  std::vector<Top> tops; // of all states
  std::vector<uint32_t> table;
  std::vector<Frame> frames;
  std::unordered_map<uint64_t, uint32_t> frameIds;
  std::unordered_multimap<uint64_t, State> stateIds; // by hash
  uint64_t steps = 0, lastStep = 0;

  // Of the state that is being made.
  std::vector<Top> found, pending;
  std::vector<std::pair<uint64_t, uint32_t>> seen; // open addressing: key, round
  uint32_t round = 0;
  size_t seenCount = 0;
};

} // namespace pianola::grammar

#endif
