// PatternLength.cpp - a pattern's texts of some lengths.
//
// The pattern becomes an automaton whose states are the places of characters in it (Glushkov,
// 1961), and each of these a rule for each number of characters that may stand before it.
#include "runtime/grammar/Refusal.h"
#include "runtime/grammar/StringPattern.h"

#include <algorithm>
#include <map>

namespace pianola::grammar {

namespace {

constexpr size_t kMostPlaces = 2000, kMostSteps = 100000;

class Places {
public:
  struct Part {
    bool isEmpty = false; // the empty text, too
    std::vector<uint32_t> first, last;
  };

  Part add(const Expression &expression) {
    if (expression.kind == Expression::Class) {
      if (codes.size() >= kMostPlaces)
        refuse("with these lengths it is too large");
      codes.push_back(expression.codes);
      follows.emplace_back();
      uint32_t place = static_cast<uint32_t>(codes.size() - 1);
      return {false, {place}, {place}};
    }
    Part all;
    if (expression.kind == Expression::Choice) {
      for (const Expression &part : expression.parts) {
        Part own = add(part);
        all.isEmpty |= own.isEmpty;
        append(all.first, own.first);
        append(all.last, own.last);
      }
      return all;
    }
    all.isEmpty = true;
    if (expression.kind == Expression::Sequence) {
      for (const Expression &part : expression.parts)
        all = join(std::move(all), add(part));
      return all;
    }
    // Repetitions stand one after the other, and the last one perhaps in a circle.
    const Expression &one = expression.parts[0];
    bool isOpen = expression.most == kUnbounded;
    uint32_t count = isOpen ? std::max<uint32_t>(expression.least, 1) : expression.most;
    for (uint32_t i = 0; i < count; ++i) {
      Part own = add(one);
      if (isOpen && i + 1 == count)
        connect(own.last, own.first);
      own.isEmpty |= i >= expression.least;
      all = join(std::move(all), std::move(own));
    }
    return all;
  }

  std::vector<CodeSet> codes;
  std::vector<std::vector<uint32_t>> follows;

private:
  void append(std::vector<uint32_t> &to, const std::vector<uint32_t> &more) {
    if ((steps += more.size()) > kMostSteps)
      refuse("with these lengths it is too large");
    to.insert(to.end(), more.begin(), more.end());
  }
  void connect(const std::vector<uint32_t> &from, const std::vector<uint32_t> &to) {
    for (uint32_t place : from)
      append(follows[place], to);
  }
  Part join(Part a, Part b) {
    connect(a.last, b.first);
    if (a.isEmpty)
      append(a.first, b.first);
    if (b.isEmpty)
      append(b.last, a.last);
    return {a.isEmpty && b.isEmpty, std::move(a.first), std::move(b.last)};
  }
  size_t steps = 0;
};

} // namespace

Expression writtenWithLength(const Expression &characters, uint32_t least, uint32_t most,
                             Rules &rules) {
  Places places;
  Places::Part all = places.add(characters);
  std::vector<uint32_t> classes;
  for (const CodeSet &codes : places.codes)
    classes.push_back(rules.add("a character", written(classOf(codes))));
  std::vector<bool> isLast(classes.size(), false);
  for (uint32_t place : all.last)
    isLast[place] = true;
  for (std::vector<uint32_t> &follows : places.follows) {
    std::sort(follows.begin(), follows.end());
    follows.erase(std::unique(follows.begin(), follows.end()), follows.end());
  }

  // What may follow a place that is character number `count`. Without a most, all counts from
  // `least` on are the same.
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> ruleOfPlace;
  std::vector<std::pair<uint32_t, uint32_t>> waiting;
  size_t steps = 0;
  auto after = [&](const std::vector<uint32_t> &follows, uint32_t count, bool mayEnd) {
    std::vector<Expression> ways;
    if (mayEnd && count >= least)
      ways.push_back(sequenceOf({}));
    uint32_t next = most == kUnbounded ? std::min(count + 1, least) : count + 1;
    if (next > most)
      return choiceOf(std::move(ways));
    for (uint32_t place : follows) {
      if (++steps > kMostSteps)
        refuse("with these lengths it is too large");
      auto [found, isNew] = ruleOfPlace.try_emplace({place, next}, 0);
      if (isNew) {
        found->second = rules.add("a pattern");
        waiting.push_back({place, next});
      }
      ways.push_back(sequenceOf({ruleOf(classes[place]), ruleOf(found->second)}));
    }
    return choiceOf(std::move(ways));
  };
  Expression body = after(all.first, 0, all.isEmpty);
  for (size_t i = 0; i < waiting.size(); ++i) {
    auto [place, count] = waiting[i];
    Expression rest = after(places.follows[place], count, isLast[place]);
    rules.rules[ruleOfPlace[{place, count}]].body = std::move(rest);
  }
  return body;
}

} // namespace pianola::grammar
