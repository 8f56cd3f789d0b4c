// TagCall.cpp - reads a call that is written in tags.
#include "runtime/toolcalls/CallReader.h"

namespace pianola {

/// What is longer before its end is known to be a string is taken for one.
static constexpr size_t kLongestValue = 1 << 20;

TagCall::TagCall(const CallTags &tags, const Tools &tools) : tags(tags), tools(tools) {
  if (tags.beforeName.empty())
    state = Name;
}

CallReader::Step TagCall::goOn(State next) {
  state = next;
  text.clear();
  if (next == Between) {
    std::vector<std::string> markers = tags.ends;
    markers.push_back(tags.beforeKey);
    search = MarkerSearch(std::move(markers));
  } else if (next == Key) {
    search = MarkerSearch({tags.afterKey});
  } else if (next == Value) {
    std::vector<std::string> markers = {tags.afterValue};
    if (tags.valuesHaveLines)
      markers.push_back("\n" + tags.afterValue);
    search = MarkerSearch(std::move(markers));
    types = tools.typesOf(function, key);
    asString = types.isOnly(JsonTypes::String);
    atBegin = tags.valuesHaveLines;
    if (asString) {
      beginMember();
      arguments += '"';
    }
  }
  return More;
}

CallReader::Step TagCall::breakOff(std::string held) {
  untaken = std::move(held);
  return Broken;
}

void TagCall::beginMember() {
  arguments += (hasMembers ? ", \"" : "\"") + escapedForJson(key) + "\": ";
  hasMembers = true;
}

CallReader::Step TagCall::feed(char c) {
  switch (state) {
  case Open:
    return expect(tags.beforeName, c);
  case Name:
    return feedName(c);
  case Between:
    return feedBetween(c);
  case Key:
    return feedKey(c);
  case BeforeValue:
    return expect(tags.beforeValue, c);
  default:
    return feedValue(c);
  }
}

CallReader::Step TagCall::expect(const std::string &tag, char c) {
  if (text.empty() && isSpace(c))
    return More;
  if (c != tag[text.size()])
    return breakOff(begun ? tags.beforeKey + key + tags.afterKey + text : text);
  text += c;
  return text != tag ? More : goOn(state == Open ? Name : Value);
}

CallReader::Step TagCall::feedName(char c) {
  bool byItself = tags.afterName.empty();
  if (byItself && function.empty() && isSpace(c))
    return More;
  if (!function.empty() && (byItself ? isSpace(c) || c == '<' : c == tags.afterName[0])) {
    goOn(Between);
    return c == '<' ? feedBetween(c) : More;
  }
  if (isSpace(c) || c == '<' || c == '>' || function.size() >= kLongestName)
    return breakOff({});
  function += c;
  return More;
}

CallReader::Step TagCall::feedBetween(char c) {
  if (search.held().empty() && isSpace(c))
    return More;
  std::string passed;
  std::optional<size_t> marker = search.feed(c, passed);
  if (!passed.empty()) {
    passed += search.take();
    passed.pop_back(); // c
    return breakOff(std::move(passed));
  }
  if (!marker)
    return More;
  if (!begun) {
    begun = true;
    arguments = "{";
  }
  if (*marker == tags.ends.size())
    return goOn(Key);
  arguments += '}';
  return Last;
}

CallReader::Step TagCall::feedKey(char c) {
  std::string passed;
  std::optional<size_t> marker = search.feed(c, passed);
  if (passed.find_first_of("<>\n") != std::string::npos ||
      text.size() + passed.size() > kLongestName) {
    std::string held = tags.beforeKey + text + passed + search.take();
    held.pop_back(); // c
    return breakOff(std::move(held));
  }
  text += passed;
  if (marker) {
    key = text;
    return goOn(tags.beforeValue.empty() ? Value : BeforeValue);
  }
  return More;
}

CallReader::Step TagCall::feedValue(char c) {
  std::string passed;
  std::optional<size_t> marker = search.feed(c, passed);
  if (atBegin && !passed.empty()) {
    if (passed[0] == '\n')
      passed.erase(0, 1);
    atBegin = false;
  }
  if (asString) {
    arguments += escapedForJson(passed);
  } else {
    text += passed;
    if (text.size() > kLongestValue) {
      asString = true;
      beginMember();
      arguments += '"' + escapedForJson(text);
      text.clear();
    }
  }
  if (!marker)
    return More;
  if (asString) {
    arguments += '"';
  } else {
    beginMember();
    arguments += parameterAsJson(text, types);
  }
  return goOn(Between);
}

} // namespace pianola
