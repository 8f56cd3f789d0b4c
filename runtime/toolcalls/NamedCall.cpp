// NamedCall.cpp - reads a call that is a name and a JSON object.
#include "runtime/toolcalls/CallReader.h"

namespace pianola {

CallReader::Step NamedCall::feedArguments(char c) {
  if (scanner.isUntouched()) {
    if (isSpace(c))
      return More;
    if (c != '{')
      return Broken;
    begun = true;
  }
  JsonScanner::Step taken = scanner.feed(c);
  if (taken == JsonScanner::Bad)
    return Broken;
  arguments += c;
  return taken == JsonScanner::Last ? Last : More;
}

CallReader::Step NamedCall::feed(char c) {
  if (state == Arguments)
    return feedArguments(c);
  std::string passed;
  std::optional<size_t> marker = search.feed(c, passed);
  auto breakOff = [&] {
    untaken = passed + search.take();
    untaken.pop_back(); // c
    return Broken;
  };
  for (char each : passed) {
    if (each == '{' && !function.empty()) { // c, as markers have none
      state = Arguments;
      return feedArguments(c);
    }
    if (state == CallId) {
      if (isSpace(each) || ++idSize > kLongestName)
        return breakOff();
    } else if (isSpace(each)) {
      nameEnded = !function.empty();
    } else if (nameEnded || std::string_view("[]<>{}\"").find(each) != std::string_view::npos ||
               function.size() >= kLongestName) {
      return breakOff();
    } else {
      function += each;
    }
  }
  if (marker && function.empty()) {
    untaken = search[*marker];
    untaken.pop_back();
    return Broken;
  }
  if (marker)
    state = *marker == 0 ? Arguments : CallId;
  return More;
}

} // namespace pianola
