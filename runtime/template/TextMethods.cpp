// TextMethods.cpp - the methods of str.
#include "runtime/template/Characters.h"
#include "runtime/template/Filters.h"
#include "runtime/template/Interpreter.h"
#include "runtime/text/Unicode.h"

#include <algorithm>
#include <unordered_map>

namespace pianola::templates {

Text stripped(const Text &text, const Value *characters, bool left, bool right) {
  std::string_view all = text.bytes();
  std::string_view set;
  if (characters && !characters->is<None>()) {
    if (!characters->text())
      fail("strip arg must be None or str");
    set = characters->text()->bytes();
  }
  bool bySpace = !characters || characters->is<None>();
  auto goes = [&](size_t begin, size_t end) {
    std::string_view character = all.substr(begin, end - begin);
    return bySpace ? isSpace(character) : set.find(character) != std::string_view::npos;
  };
  size_t begin = 0, end = all.size();
  while (left && begin < end) {
    size_t next = begin + 1;
    while (next < end && (static_cast<uint8_t>(all[next]) & 0xc0) == 0x80)
      ++next;
    if (!goes(begin, next))
      break;
    begin = next;
  }
  while (right && begin < end) {
    size_t previous = characterBefore(all, end);
    if (!goes(previous, end))
      break;
    end = previous;
  }
  return text.part(begin, end);
}

Text replacedText(Interpreter &interpreter, const Text &text, const Text &from, const Text &to,
                  Integer most) {
  Text result;
  size_t done = 0;
  const std::string &all = text.bytes();
  auto put = [&](size_t begin, size_t end) {
    result.append(text, done, begin);
    result.append(to);
    done = end;
    interpreter.chargeText(result.size() / 64 + to.size());
  };
  if (from.empty()) {
    for (size_t start : characterStarts(all)) {
      if (most-- == 0)
        break;
      put(start, start);
    }
  } else {
    for (size_t at = 0; most != 0 && (at = all.find(from.bytes(), at)) != std::string::npos;
         at = done, --most)
      put(at, at + from.size());
  }
  result.append(text, done, text.size());
  interpreter.chargeText(result.size());
  return result;
}

namespace {

struct Call {
  Interpreter &interpreter;
  const Text &self;
  const Arguments &given;
  const std::string &name;
};

using Method = Value (*)(const Call &);

// Pieces of a text, from right to left if `fromRight`, `most` cuts at most (< 0: all).
Items splitAt(const Call &call, const Text &separator, Integer most, bool fromRight) {
  const std::string &all = call.self.bytes();
  if (separator.empty())
    fail("empty separator");
  Items pieces;
  size_t begin = 0, end = all.size();
  while (most-- != 0) {
    size_t at =
        fromRight ? (end < separator.size() ? std::string::npos
                                            : all.rfind(separator.bytes(), end - separator.size()))
                  : all.find(separator.bytes(), begin);
    if (at == std::string::npos)
      break;
    if (fromRight) {
      pieces.push_back(call.self.part(at + separator.size(), end));
      end = at;
    } else {
      pieces.push_back(call.self.part(begin, at));
      begin = at + separator.size();
    }
  }
  pieces.push_back(call.self.part(begin, end));
  if (fromRight)
    std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

Items splitAtSpace(const Call &call, Integer most, bool fromRight) {
  std::vector<std::pair<size_t, size_t>> words;
  const std::string &all = call.self.bytes();
  std::vector<size_t> starts = characterStarts(all);
  for (size_t i = 0; i + 1 < starts.size(); ++i) {
    if (isSpace(std::string_view(all).substr(starts[i], starts[i + 1] - starts[i])))
      continue;
    if (words.empty() || words.back().second != starts[i])
      words.emplace_back(starts[i], starts[i]);
    words.back().second = starts[i + 1];
  }
  // What is not cut any more goes to the end, or from the beginning, with the space within.
  if (most >= 0 && static_cast<Integer>(words.size()) > most + 1) {
    auto kept = static_cast<ptrdiff_t>(most);
    if (fromRight) {
      auto rest = words.end() - kept - 1;
      rest->first = 0;
      while (isSpace(std::string_view(all).substr(rest->first, 1)))
        ++rest->first;
      words.erase(words.begin(), rest);
    } else {
      words[static_cast<size_t>(kept)].second = all.size();
      words.resize(static_cast<size_t>(kept) + 1);
      // Space at the end stays there.
    }
  }
  Items pieces;
  for (auto [begin, end] : words)
    pieces.push_back(call.self.part(begin, end));
  return pieces;
}

Value split(const Call &call) {
  Bound bound(call.name, call.given, {"sep", "maxsplit"});
  bool fromRight = call.name == "rsplit";
  Integer most = bound.integer(1, -1);
  call.interpreter.chargeText(4 * call.self.size());
  bool bySpace = !bound[0] || bound[0]->is<None>();
  return Value::list(bySpace ? splitAtSpace(call, most, fromRight)
                             : splitAt(call, bound.text(0, ""), most, fromRight));
}

Value strip(const Call &call) {
  Bound bound(call.name, call.given, {"chars"});
  return stripped(call.self, bound[0], call.name != "rstrip", call.name != "lstrip");
}

Value replace(const Call &call) {
  Bound bound(call.name, call.given, {"old", "new", "count"});
  bound.required(0);
  bound.required(1);
  return replacedText(call.interpreter, call.self, bound.text(0, ""), bound.text(1, ""),
                      bound.integer(2, -1));
}

// The part of the text between two character positions that a method looks at.
struct Window {
  size_t begin, end;
  size_t firstCharacter; // of begin
};
Window windowOf(const Call &call, const Bound &bound) {
  std::vector<size_t> starts = characterStarts(call.self.bytes());
  auto size = static_cast<Integer>(starts.size()) - 1;
  auto at = [&](size_t i, Integer otherwise) {
    Integer given = bound[i] && !bound[i]->is<None>() ? bound.integer(i, 0) : otherwise;
    return std::max<Integer>(0, std::min(size, given < 0 ? given + size : given));
  };
  auto begin = static_cast<size_t>(at(1, 0)), end = static_cast<size_t>(at(2, size));
  return {starts[begin], std::max(starts[begin], starts[end]), begin};
}

// Python's start and end may lie beyond the text, and then nothing is found there.
bool liesOutside(const Call &call, const Bound &bound) {
  return bound[1] && !bound[1]->is<None>() &&
         bound.integer(1, 0) > static_cast<Integer>(countCharacters(call.self.bytes()));
}

Value startsOrEndsWith(const Call &call) {
  Bound bound(call.name, call.given, {"prefix", "start", "end"});
  const Value &wanted = bound.required(0);
  Window window = windowOf(call, bound);
  std::string_view part =
      std::string_view(call.self.bytes()).substr(window.begin, window.end - window.begin);
  bool atStart = call.name == "startswith";
  auto matches = [&](const Value &value) {
    if (const Undefined *undefined = value.as<Undefined>())
      failUndefined(*undefined);
    if (!value.text())
      fail(call.name + " first arg must be str or a tuple of str, not " + value.typeName());
    const std::string &text = value.text()->bytes();
    return text.size() <= part.size() &&
           part.substr(atStart ? 0 : part.size() - text.size(), text.size()) == text;
  };
  if (liesOutside(call, bound))
    return false;
  if (const Tuple *several = wanted.as<Tuple>())
    return std::any_of(several->items->begin(), several->items->end(), matches);
  return matches(wanted);
}

Value find(const Call &call) {
  Bound bound(call.name, call.given, {"sub", "start", "end"});
  bound.required(0);
  std::string sub = bound.text(0, "").bytes();
  Window window = windowOf(call, bound);
  std::string_view part =
      std::string_view(call.self.bytes()).substr(window.begin, window.end - window.begin);
  bool isLast = call.name[0] == 'r';
  size_t at = isLast ? part.rfind(sub) : part.find(sub);
  if (at != std::string_view::npos && !liesOutside(call, bound))
    return Value::integer(
        static_cast<Integer>(window.firstCharacter + countCharacters(part.substr(0, at))));
  if (call.name == "index" || call.name == "rindex")
    fail("substring not found");
  return Value::integer(-1);
}

Value count(const Call &call) {
  Bound bound(call.name, call.given, {"sub", "start", "end"});
  bound.required(0);
  std::string sub = bound.text(0, "").bytes();
  Window window = windowOf(call, bound);
  std::string_view part =
      std::string_view(call.self.bytes()).substr(window.begin, window.end - window.begin);
  if (liesOutside(call, bound))
    return Value::integer(0);
  if (sub.empty())
    return Value::integer(static_cast<Integer>(countCharacters(part)) + 1);
  Integer times = 0;
  for (size_t at = 0; (at = part.find(sub, at)) != std::string_view::npos; at += sub.size())
    ++times;
  return Value::integer(times);
}

Value join(const Call &call) {
  Bound bound(call.name, call.given, {"iterable"});
  Text result;
  Items items = iterate(bound.required(0));
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0)
      result.append(call.self);
    if (!items[i].text())
      fail("sequence item " + std::to_string(i) + ": expected str instance, " +
           items[i].typeName() + " found");
    result.append(*items[i].text());
    call.interpreter.chargeText(items[i].text()->size() + call.self.size());
  }
  call.interpreter.chargeText(result.size());
  return result;
}

Value lines(const Call &call) {
  Bound bound(call.name, call.given, {"keepends"});
  Items result;
  std::vector<std::pair<size_t, size_t>> all = splitLines(call.self.bytes());
  for (size_t i = 0; i < all.size(); ++i) {
    size_t end = !bound.isTrue(0, false) ? all[i].second
                 : i + 1 < all.size()    ? all[i + 1].first
                                         : call.self.size();
    result.push_back(call.self.part(all[i].first, end));
  }
  return Value::list(std::move(result));
}

template <CharacterClass Wanted> Value is(const Call &call) {
  Bound(call.name, call.given, {});
  return allAre(call.self.bytes(), Wanted);
}

Value isUpper(const Call &call) {
  Bound(call.name, call.given, {});
  return isAllUpper(call.self.bytes());
}

Value isLower(const Call &call) {
  Bound(call.name, call.given, {});
  return isAllLower(call.self.bytes());
}

template <std::string (*Convert)(std::string_view)> Value converted(const Call &call) {
  Bound(call.name, call.given, {});
  call.interpreter.chargeText(call.self.size());
  return call.self.became(Convert(call.self.bytes()));
}

Value format(const Call &call) { return formatBraces(call.interpreter, call.self, call.given); }

Value partition(const Call &call) {
  Bound bound(call.name, call.given, {"sep"});
  bound.required(0);
  Text separator = bound.text(0, "");
  if (separator.empty())
    fail("empty separator");
  bool isLast = call.name[0] == 'r';
  const std::string &all = call.self.bytes();
  size_t at = isLast ? all.rfind(separator.bytes()) : all.find(separator.bytes());
  if (at == std::string::npos)
    return isLast ? Value::tuple({"", "", call.self}) : Value::tuple({call.self, "", ""});
  return Value::tuple(
      {call.self.part(0, at), separator, call.self.part(at + separator.size(), all.size())});
}

Value removeAffix(const Call &call) {
  Bound bound(call.name, call.given, {"affix"});
  bound.required(0);
  std::string affix = bound.text(0, "").bytes();
  const std::string &all = call.self.bytes();
  bool isPrefix = call.name == "removeprefix";
  if (affix.empty() || affix.size() > all.size() ||
      all.compare(isPrefix ? 0 : all.size() - affix.size(), affix.size(), affix) != 0)
    return call.self;
  return isPrefix ? call.self.part(affix.size(), all.size())
                  : call.self.part(0, all.size() - affix.size());
}

// ljust, rjust, center and zfill.
Value padded(const Call &call) {
  Bound bound(call.name, call.given, {"width", "fillchar"});
  bound.required(0);
  auto size = static_cast<Integer>(countCharacters(call.self.bytes()));
  Integer missing = std::max<Integer>(0, bound.integer(0, 0) - size);
  Text fill = call.name == "zfill" ? Text("0") : bound.text(1, " ");
  if (countCharacters(fill.bytes()) != 1)
    fail("The fill character must be exactly one character long");
  if (missing > (1 << 30))
    fail("the text is too long", FailureKind::Limit);
  call.interpreter.chargeText(call.self.size() + static_cast<size_t>(missing) * fill.size());
  Integer width = bound.integer(0, 0);
  Integer left = call.name == "ljust"    ? 0
                 : call.name == "center" ? missing / 2 + (missing & width & 1)
                                         : missing;
  Text result;
  size_t sign = call.name == "zfill" && !call.self.empty() &&
                        (call.self.bytes()[0] == '-' || call.self.bytes()[0] == '+')
                    ? 1
                    : 0;
  result.append(call.self, 0, sign);
  for (Integer i = 0; i < left; ++i)
    result.append(fill);
  result.append(call.self, sign, call.self.size());
  for (Integer i = left; i < missing; ++i)
    result.append(fill);
  return result;
}

const std::unordered_map<std::string, Method> &methods() {
  static const std::unordered_map<std::string, Method> kMethods = {
      {"strip", strip},
      {"lstrip", strip},
      {"rstrip", strip},
      {"split", split},
      {"rsplit", split},
      {"splitlines", lines},
      {"replace", replace},
      {"startswith", startsOrEndsWith},
      {"endswith", startsOrEndsWith},
      {"find", find},
      {"rfind", find},
      {"index", find},
      {"rindex", find},
      {"count", count},
      {"join", join},
      {"isdigit", is<CharacterClass::Digit>},
      {"isdecimal", is<CharacterClass::Decimal>},
      {"isnumeric", is<CharacterClass::Numeric>},
      {"isalpha", is<CharacterClass::Alpha>},
      {"isalnum", is<CharacterClass::Alnum>},
      {"isspace", is<CharacterClass::Space>},
      {"isupper", isUpper},
      {"islower", isLower},
      {"upper", converted<upper>},
      {"lower", converted<lower>},
      {"title", converted<titled>},
      {"capitalize", converted<capitalised>},
      {"swapcase", converted<caseSwapped>},
      {"casefold", converted<caseFolded>},
      {"format", format},
      {"partition", partition},
      {"rpartition", partition},
      {"removeprefix", removeAffix},
      {"removesuffix", removeAffix},
      {"zfill", padded},
      {"ljust", padded},
      {"rjust", padded},
      {"center", padded},
  };
  return kMethods;
}

} // namespace

std::optional<Value> findTextMethod(const String &self, const std::string &name) {
  auto found = methods().find(name);
  if (found == methods().end())
    return std::nullopt;
  auto function = std::make_shared<Callable>();
  function->name = name;
  function->call = [=, text = self.text, method = found->second](Interpreter &interpreter,
                                                                 Arguments given) {
    interpreter.charge(text->size());
    return method({interpreter, *text, given, name});
  };
  return Value(Function(function));
}

} // namespace pianola::templates
