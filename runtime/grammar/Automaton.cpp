// Automaton.cpp - a grammar at work.
#include "runtime/grammar/Automaton.h"

#include <algorithm>

namespace pianola::grammar {

// Of a grammar that is so ambiguous that there would be more, some are forgotten: what is then
// allowed is still the grammar's, but not all of it. The same for what is done for one state.
static constexpr size_t kMostReadings = 4096;
static constexpr uint64_t kMostSteps = 1 << 18;

static uint64_t mix(uint64_t value) {
  value = (value ^ value >> 32) * 0x9e3779b97f4a7c15u;
  return value ^ value >> 29;
}

Automaton::Automaton(std::shared_ptr<const Grammar> given)
    : grammar(std::move(given)), classCount(grammar->classCount()) {
  frames.push_back({0, 0});
  seen.resize(256, {0, 0});
  addState(); // kDead: nothing was found
  std::fill(table.begin(), table.end(), kDead);
  begin();
  open(grammar->start(), kBottom);
  first = addState();
}

uint32_t Automaton::addFrame(uint32_t node, uint32_t parent) {
  auto [place, isNew] = frameIds.try_emplace(uint64_t(parent) << 32 | node, frames.size());
  if (isNew)
    frames.push_back({node, parent});
  return place->second;
}

bool Automaton::isNew(uint64_t key) {
  if (seenCount * 2 >= seen.size()) {
    std::vector<std::pair<uint64_t, uint32_t>> old(seen.size() * 2, {0, 0});
    old.swap(seen);
    for (auto &entry : old)
      if (entry.second == round) {
        size_t at = mix(entry.first) & (seen.size() - 1);
        while (seen[at].second == round)
          at = (at + 1) & (seen.size() - 1);
        seen[at] = entry;
      }
  }
  size_t at = mix(key) & (seen.size() - 1);
  for (; seen[at].second == round; at = (at + 1) & (seen.size() - 1))
    if (seen[at].first == key)
      return false;
  seen[at] = {key, round};
  ++seenCount;
  return true;
}

void Automaton::begin() {
  ++round;
  lastStep = steps + kMostSteps;
}

// Adds the readings that go on with a byte from `node` on. No rule begins with itself, so this
// ends; what was opened before is not opened again, so it ends soon.
void Automaton::open(uint32_t begin, uint32_t below) {
  pending.push_back({begin, below});
  while (!pending.empty()) {
    Top top = pending.back();
    pending.pop_back();
    const Grammar::Node &node = grammar->node(top.node);
    if (!node.alive)
      continue;
    if (found.size() >= kMostReadings || ++steps > lastStep) {
      pending.clear();
      return;
    }
    switch (node.kind) {
    case Grammar::Node::Bytes:
      if (isNew(top.key()))
        found.push_back(top);
      break;
    case Grammar::Node::Fork:
      if (isNew(top.key())) {
        pending.push_back({node.other, top.frame});
        pending.push_back({node.next, top.frame});
      }
      break;
    case Grammar::Node::Call:
      pending.push_back({node.other, grammar->node(node.next).kind == Grammar::Node::Return
                                         ? top.frame
                                         : addFrame(node.next, top.frame)});
      break;
    case Grammar::Node::Return:
      if (top.frame != kBottom)
        pending.push_back({frames[top.frame].node, frames[top.frame].parent});
      else if (isNew(Top{kEnd, kBottom}.key()))
        found.push_back({kEnd, kBottom});
      break;
    }
  }
}

Automaton::State Automaton::addState() {
  std::sort(found.begin(), found.end(),
            [](const Top &a, const Top &b) { return a.key() < b.key(); });
  uint64_t hash = found.size();
  for (const Top &top : found)
    hash = mix(hash ^ top.key());
  auto [begin, end] = stateIds.equal_range(hash);
  State state = kUnknown;
  for (auto same = begin; same != end && state == kUnknown; ++same) {
    const Reading &reading = states[same->second];
    if (reading.count == found.size() &&
        std::equal(found.begin(), found.end(), tops.begin() + reading.begin,
                   [](const Top &a, const Top &b) { return a.key() == b.key(); }))
      state = same->second;
  }
  if (state == kUnknown) {
    state = static_cast<State>(states.size());
    bool mayEnd =
        std::any_of(found.begin(), found.end(), [](const Top &top) { return top.node == kEnd; });
    states.push_back({tops.size(), static_cast<uint32_t>(found.size()), mayEnd,
                      found.size() > mayEnd, kUnknown});
    tops.insert(tops.end(), found.begin(), found.end());
    table.resize(table.size() + classCount, kUnknown);
    stateIds.emplace(hash, state);
  }
  found.clear();
  seenCount = 0;
  return state;
}

Automaton::State Automaton::find(State state, uint8_t byte) {
  // The bytes around this one that the same nodes take.
  uint8_t low = 0, high = 255;
  begin();
  const Reading reading = states[state];
  for (size_t i = reading.begin; i < reading.begin + reading.count; ++i) {
    Top top = tops[i];
    if (top.node == kEnd)
      continue;
    ++steps;
    const Grammar::Node &node = grammar->node(top.node);
    if (byte < node.low) {
      high = std::min<uint8_t>(high, node.low - 1);
    } else if (byte > node.high) {
      low = std::max<uint8_t>(low, node.high + 1);
    } else {
      low = std::max(low, node.low);
      high = std::min(high, node.high);
      open(node.next, top.frame);
    }
  }
  State next = addState();
  std::fill(table.begin() + state * classCount + grammar->classOf(low),
            table.begin() + state * classCount + grammar->classOf(high) + 1, next);
  return next;
}

Automaton::State Automaton::import(const Automaton &other, State state) {
  begin();
  const Reading &reading = other.states[state];
  std::vector<uint32_t> stack;
  for (size_t i = reading.begin; i < reading.begin + reading.count; ++i) {
    Top top = other.tops[i];
    stack.clear();
    for (uint32_t frame = top.frame; frame != kBottom; frame = other.frames[frame].parent)
      stack.push_back(other.frames[frame].node);
    uint32_t below = kBottom;
    for (size_t j = stack.size(); j > 0; --j)
      below = addFrame(stack[j - 1], below);
    found.push_back({top.node, below});
  }
  return addState();
}

Automaton::State Automaton::afterPlain(State state) {
  if (states[state].afterPlain == kUnknown) {
    State next = findAfterPlain(state);
    states[state].afterPlain = next;
  }
  return states[state].afterPlain;
}

Automaton::State Automaton::findAfterPlain(State state) {
  State all = step(state, ' ');
  // What each sequence of ranges leads to must be `all`.
  static const std::vector<std::vector<ByteRange>> kPlain =
      CodeSet({{' ', '!'}, {'#', '['}, {']', 0x10ffff}}).byteSequences();
  for (size_t i = 0; i < kPlain.size() && all != kDead; ++i) {
    std::vector<State> places = {state};
    for (const ByteRange &range : kPlain[i]) {
      std::vector<State> next;
      for (State place : places) {
        int lastClass = -1;
        for (int byte = range.first; byte <= range.last; ++byte)
          if (grammar->classOf(byte) != lastClass) {
            lastClass = grammar->classOf(byte);
            State to = step(place, byte);
            if (to == kDead)
              return kDead;
            next.push_back(to);
          }
      }
      std::sort(next.begin(), next.end());
      next.erase(std::unique(next.begin(), next.end()), next.end());
      places = std::move(next);
      if (places.size() > 4) // then it hardly ends well
        return kDead;
    }
    if (places.size() != 1 || places[0] != all)
      return kDead;
  }
  return all;
}

size_t Automaton::memory() const {
  return states.size() * (sizeof(Reading) + 64) + tops.size() * sizeof(Top) +
         table.size() * sizeof(uint32_t) + frames.size() * (sizeof(Frame) + 48);
}

bool matches(const std::shared_ptr<const Grammar> &grammar, std::string_view text) {
  Automaton automaton(grammar);
  Automaton::State state = automaton.start();
  for (char c : text)
    state = automaton.step(state, static_cast<uint8_t>(c));
  return automaton.mayEnd(state);
}

} // namespace pianola::grammar
