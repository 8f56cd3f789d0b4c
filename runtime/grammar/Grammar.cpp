// Grammar.cpp - expressions to nodes, from their ends to their beginnings.
#include "runtime/grammar/Grammar.h"

#include "runtime/grammar/Refusal.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace pianola::grammar {

namespace {
constexpr size_t kMostNodes = 1000000;
constexpr uint32_t kReturn = 0; // one node serves all rules
} // namespace

class GrammarCompiler {
public:
  std::shared_ptr<const Grammar> compile(const Rules &rules);

private:
  using Node = Grammar::Node;
  using Texts = std::vector<std::string_view>;

  uint32_t add(Node::Kind kind, uint32_t next, uint32_t other = 0, uint8_t low = 0,
               uint8_t high = 0) {
    if (graph->nodes.size() >= kMostNodes)
      refuse("the grammar is too large: more than " + std::to_string(kMostNodes) + " nodes");
    graph->nodes.push_back({kind, low, high, false, next, other});
    return static_cast<uint32_t>(graph->nodes.size() - 1);
  }
  uint32_t addText(std::string_view text, uint32_t next) {
    for (size_t i = text.size(); i > 0; --i)
      next = add(Node::Bytes, next, 0, text[i - 1], text[i - 1]);
    return next;
  }
  uint32_t addFork(const std::vector<uint32_t> &ways) {
    uint32_t node = ways.back();
    for (size_t i = ways.size() - 1; i > 0; --i)
      node = add(Node::Fork, ways[i - 1], node);
    return node;
  }
  // A fork of which nothing is alive.
  uint32_t addNothing() {
    uint32_t node = add(Node::Fork, 0, 0);
    graph->nodes[node].next = graph->nodes[node].other = node;
    return node;
  }
  uint32_t addRule(const Expression &body);
  uint32_t addExpression(const Expression &expression, uint32_t next);
  uint32_t addClass(const CodeSet &codes, uint32_t next);
  uint32_t addTexts(Texts::const_iterator begin, Texts::const_iterator end, size_t done,
                    uint32_t next);
  uint32_t addChoice(const std::vector<Expression> &parts, uint32_t next);
  uint32_t addRepeat(const Expression &expression, uint32_t next);

  void findAlive();
  void refuseLeftRecursion(const Rules &rules);
  void findClasses();

  std::shared_ptr<Grammar> graph = std::make_shared<Grammar>();
  // `other` of calls is a rule until all rules are there, then its first node.
  std::vector<uint32_t> starts;
};

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

uint32_t GrammarCompiler::addRule(const Expression &body) {
  uint32_t start = addExpression(body, kReturn);
  starts.push_back(start);
  return static_cast<uint32_t>(starts.size() - 1);
}

uint32_t GrammarCompiler::addClass(const CodeSet &codes, uint32_t next) {
  // Many sequences have the same end: E1 80-BF 80-BF and E0 A0-BF 80-BF.
  std::map<std::tuple<uint8_t, uint8_t, uint32_t>, uint32_t> shared;
  std::vector<uint32_t> ways;
  for (const std::vector<ByteRange> &sequence : codes.byteSequences()) {
    uint32_t node = next;
    for (size_t i = sequence.size(); i > 0; --i) {
      auto [first, last] = sequence[i - 1];
      auto [place, isNew] = shared.try_emplace({first, last, node}, 0);
      if (isNew)
        place->second = add(Node::Bytes, node, 0, first, last);
      node = place->second;
    }
    ways.push_back(node);
  }
  return ways.empty() ? addNothing() : addFork(ways);
}

// Texts in order, whose first `done` bytes are the same and stand before this: a tree of them, so
// that a list of thousands of words costs no more than its letters.
uint32_t GrammarCompiler::addTexts(Texts::const_iterator begin, Texts::const_iterator end,
                                   size_t done, uint32_t next) {
  std::vector<uint32_t> ways;
  if (begin->size() == done) {
    ways.push_back(next);
    ++begin;
  }
  while (begin != end) {
    char byte = (*begin)[done];
    auto groupEnd =
        std::find_if(begin, end, [&](std::string_view text) { return text[done] != byte; });
    std::string_view first = *begin, last = *(groupEnd - 1);
    size_t same = done;
    while (same < std::min(first.size(), last.size()) && first[same] == last[same])
      ++same;
    uint32_t rest = addTexts(begin, groupEnd, same, next);
    ways.push_back(addText(first.substr(done, same - done), rest));
    begin = groupEnd;
  }
  return addFork(ways);
}

uint32_t GrammarCompiler::addChoice(const std::vector<Expression> &parts, uint32_t next) {
  std::vector<uint32_t> ways;
  Texts texts;
  for (const Expression &part : parts)
    if (part.kind == Expression::Text)
      texts.push_back(part.text);
    else
      ways.push_back(addExpression(part, next));
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  if (!texts.empty())
    ways.push_back(addTexts(texts.begin(), texts.end(), 0, next));
  return ways.empty() ? addNothing() : addFork(ways);
}

uint32_t GrammarCompiler::addRepeat(const Expression &expression, uint32_t next) {
  uint32_t least = expression.least, most = expression.most;
  uint32_t copies = most == kUnbounded ? least + 1 : most;
  if (copies > kMostRepeats)
    refuse("too many repetitions: " + std::to_string(most == kUnbounded ? least : most) +
           "; at most " + std::to_string(kMostRepeats) + " are allowed");
  const Expression &part = expression.parts[0];
  // What is repeated often stands once, as a rule.
  bool isRule = copies > 1 && part.kind != Expression::Rule &&
                !(part.kind == Expression::Text && part.text.size() <= 4);
  uint32_t rule = isRule ? addRule(part) : 0;
  auto addOne = [&](uint32_t after) {
    return isRule ? add(Node::Call, after, rule) : addExpression(part, after);
  };
  if (most == kUnbounded) {
    uint32_t fork = add(Node::Fork, next, next);
    uint32_t one = addOne(fork);
    graph->nodes[fork].next = one;
    next = fork;
  } else {
    uint32_t end = next;
    for (uint32_t i = least; i < most; ++i) {
      uint32_t one = addOne(next);
      next = add(Node::Fork, one, end);
    }
  }
  for (uint32_t i = 0; i < least; ++i)
    next = addOne(next);
  return next;
}

uint32_t GrammarCompiler::addExpression(const Expression &expression, uint32_t next) {
  switch (expression.kind) {
  case Expression::Text:
    return addText(expression.text, next);
  case Expression::Class:
    return addClass(expression.codes, next);
  case Expression::Sequence:
    for (size_t i = expression.parts.size(); i > 0; --i)
      next = addExpression(expression.parts[i - 1], next);
    return next;
  case Expression::Choice:
    return addChoice(expression.parts, next);
  case Expression::Repeat:
    return addRepeat(expression, next);
  case Expression::Rule:
    return add(Node::Call, next, expression.rule);
  }
  return next;
}

//===----------------------------------------------------------------------===//
// The graph as a whole
//===----------------------------------------------------------------------===//

// A node is alive if what follows it is: found from the ends backwards.
void GrammarCompiler::findAlive() {
  std::vector<Node> &nodes = graph->nodes;
  std::vector<uint32_t> first(nodes.size() + 1, 0), users;
  auto eachNeed = [&](auto visit) {
    for (uint32_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].kind != Node::Return)
        visit(nodes[i].next, i);
      if (nodes[i].kind == Node::Call || nodes[i].kind == Node::Fork)
        visit(nodes[i].other, i);
    }
  };
  eachNeed([&](uint32_t needed, uint32_t) { ++first[needed + 1]; });
  for (size_t i = 1; i < first.size(); ++i)
    first[i] += first[i - 1];
  users.resize(first.back());
  std::vector<uint32_t> place(first.begin(), first.end() - 1);
  eachNeed([&](uint32_t needed, uint32_t user) { users[place[needed]++] = user; });

  std::vector<uint32_t> work = {kReturn};
  nodes[kReturn].alive = true;
  while (!work.empty()) {
    uint32_t node = work.back();
    work.pop_back();
    for (uint32_t i = first[node]; i < first[node + 1]; ++i) {
      Node &user = nodes[users[i]];
      if (user.alive ||
          (user.kind == Node::Call && !(nodes[user.next].alive && nodes[user.other].alive)))
        continue;
      user.alive = true;
      work.push_back(users[i]);
    }
  }
}

// A rule that calls itself before any byte has no reading that ends.
void GrammarCompiler::refuseLeftRecursion(const Rules &rules) {
  const std::vector<Node> &nodes = graph->nodes;
  std::map<uint32_t, uint32_t> ruleAt; // of its first node
  for (uint32_t i = 0; i < starts.size(); ++i)
    ruleAt.try_emplace(starts[i], i);

  // The nodes before the first byte of each rule, until no more rules turn out to match nothing.
  std::vector<bool> isEmpty(starts.size(), false);
  std::vector<uint32_t> seen(nodes.size(), 0), work;
  uint32_t round = 0;
  auto visit = [&](uint32_t rule, auto call) {
    ++round;
    bool ends = false;
    work.assign(1, starts[rule]);
    while (!work.empty()) {
      uint32_t index = work.back();
      work.pop_back();
      if (seen[index] == round || !nodes[index].alive)
        continue;
      seen[index] = round;
      const Node &node = nodes[index];
      if (node.kind == Node::Fork) {
        work.push_back(node.next);
        work.push_back(node.other);
      } else if (node.kind == Node::Return) {
        ends = true;
      } else if (node.kind == Node::Call) {
        uint32_t called = ruleAt.at(node.other);
        call(called);
        if (isEmpty[called])
          work.push_back(node.next);
      }
    }
    return ends;
  };
  std::vector<std::vector<uint32_t>> callers(starts.size());
  std::vector<uint32_t> again;
  for (uint32_t rule = 0; rule < starts.size(); ++rule) {
    visit(rule, [&](uint32_t called) { callers[called].push_back(rule); });
    again.push_back(rule);
  }
  while (!again.empty()) {
    uint32_t rule = again.back();
    again.pop_back();
    if (isEmpty[rule])
      continue;
    if (visit(rule, [&](uint32_t called) {
          if (std::find(callers[called].begin(), callers[called].end(), rule) ==
              callers[called].end())
            callers[called].push_back(rule);
        })) {
      isEmpty[rule] = true;
      again.insert(again.end(), callers[rule].begin(), callers[rule].end());
    }
  }

  // A rule that can be taken away once all that it begins with are: if some stay, they are in a
  // circle or lead into one.
  std::vector<std::vector<uint32_t>> begins(starts.size());
  std::vector<uint32_t> left(starts.size(), 0);
  for (auto &list : callers)
    list.clear();
  for (uint32_t rule = 0; rule < starts.size(); ++rule) {
    visit(rule, [&](uint32_t called) { begins[rule].push_back(called); });
    left[rule] = static_cast<uint32_t>(begins[rule].size());
    for (uint32_t called : begins[rule])
      callers[called].push_back(rule);
    if (left[rule] == 0)
      again.push_back(rule);
  }
  while (!again.empty()) {
    uint32_t rule = again.back();
    again.pop_back();
    for (uint32_t caller : callers[rule])
      if (--left[caller] == 0)
        again.push_back(caller);
  }
  for (uint32_t rule = 0; rule < starts.size(); ++rule) {
    if (left[rule] == 0)
      continue;
    // Follow what stays: some rule comes twice. Only rules of the user's have names.
    std::vector<bool> passed(starts.size(), false);
    uint32_t at = rule;
    while (!passed[at]) {
      passed[at] = true;
      at = *std::find_if(begins[at].begin(), begins[at].end(),
                         [&](uint32_t called) { return left[called] > 0; });
    }
    for (uint32_t step = 0; step < starts.size() && at >= rules.rules.size(); ++step)
      at = *std::find_if(begins[at].begin(), begins[at].end(),
                         [&](uint32_t called) { return left[called] > 0; });
    refuse((at < rules.rules.size() ? rules.rules[at].name : std::string("a repetition")) +
           " begins with itself, so it would never end");
  }
}

void GrammarCompiler::findClasses() {
  std::array<bool, 257> begins{};
  for (const Node &node : graph->nodes)
    if (node.kind == Node::Bytes && node.alive)
      begins[node.low] = begins[node.high + 1] = true;
  uint8_t current = 0;
  for (int byte = 0; byte < 256; ++byte) {
    if (byte > 0 && begins[byte])
      ++current;
    graph->classes[byte] = current;
  }
}

std::shared_ptr<const Grammar> GrammarCompiler::compile(const Rules &rules) {
  add(Node::Return, 0);
  starts.resize(rules.rules.size());
  for (size_t i = 0; i < rules.rules.size(); ++i) {
    uint32_t start = addExpression(rules.rules[i].body, kReturn);
    // No two rules begin at one node: rules are known by it.
    starts[i] = add(Node::Fork, start, start);
  }
  for (size_t i = rules.rules.size(); i < starts.size(); ++i)
    starts[i] = add(Node::Fork, starts[i], starts[i]);
  for (Node &node : graph->nodes)
    if (node.kind == Node::Call)
      node.other = starts[node.other];
  graph->begin = starts[0];
  findAlive();
  if (!graph->nodes[graph->begin].alive)
    refuse(rules.rules[0].name + ": no text can match");
  refuseLeftRecursion(rules);
  findClasses();
  return graph;
}

Result<std::shared_ptr<const Grammar>> Grammar::compile(const Rules &rules) {
  try {
    return GrammarCompiler().compile(rules);
  } catch (const Refusal &refusal) {
    return Status::error(refusal.message);
  }
}

} // namespace pianola::grammar
