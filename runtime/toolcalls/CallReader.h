// CallReader.h - reads one call of a tool, byte by byte.
#ifndef PIANOLA_RUNTIME_TOOLCALLS_CALLREADER_H
#define PIANOLA_RUNTIME_TOOLCALLS_CALLREADER_H

#include "runtime/toolcalls/JsonScanner.h"
#include "runtime/toolcalls/MarkerSearch.h"
#include "runtime/toolcalls/Tools.h"

namespace pianola {

class CallReader {
public:
  virtual ~CallReader() = default;

  enum Step {
    More,   // taken
    Last,   // taken, and the call ends with it
    Past,   // not taken: the call ended before it
    Broken, // not taken: no call goes on like this
  };
  /// Nothing is fed after any step but More.
  virtual Step feed(char c) = 0;
  /// What came before that byte and is not taken either.
  std::string takeUntaken() { return std::exchange(untaken, {}); }

  /// The name is complete and the arguments have begun; this call cannot become text any more.
  bool hasBegun() const { return begun; }
  const std::string &name() const { return function; }
  /// The arguments' JSON since the last time.
  std::string takeArguments() { return begun ? std::exchange(arguments, {}) : std::string(); }

protected:
  bool begun = false;
  std::string function, arguments, untaken;
};

/// Of names, keys and ids.
inline constexpr size_t kLongestName = 256;

/// {"name": "f", "arguments": {...}}, in any order; "parameters" are arguments, too. What else is
/// in the object is passed over.
class ObjectCall : public CallReader {
public:
  /// Of names that `known` lacks there is no call, nor of objects without arguments; without
  /// `known` any name will do, and no arguments are {}.
  explicit ObjectCall(const Tools *known) : known(known) {}
  Step feed(char c) override;

private:
  enum State { Begin, KeyOrEnd, Key, Colon, Value, CommaOrEnd };
  Step step(char c);
  Step feedKey(char c);
  Step feedValue(char c);
  Step endObject();
  bool begin();

  const Tools *known;
  State state = Begin;
  enum Member { Other, Name, Arguments } member = Other;
  JsonScanner scanner;
  std::string literal; // the key or the name so far, in quotation marks
  bool argumentsBegun = false, argumentsDone = false;
};

/// name[ARGS]{...}, name[CALL_ID]id[ARGS]{...}, name{...}
class NamedCall : public CallReader {
public:
  Step feed(char c) override;

private:
  Step feedArguments(char c);

  enum State { Name, CallId, Arguments } state = Name;
  MarkerSearch search{{"[ARGS]", "[CALL_ID]"}};
  bool nameEnded = false; // white space came after it
  size_t idSize = 0;
  JsonScanner scanner;
};

/// How calls are written in tags.
struct CallTags {
  std::string beforeName; // may be empty
  std::string afterName;  // empty: the name ends before white space and tags
  std::string beforeKey, afterKey;
  std::string beforeValue; // may be empty
  std::string afterValue;
  /// A line end after what is before a value and before what is after it is not the value's.
  bool valuesHaveLines;
  std::vector<std::string> ends; // any of them
};

/// <function=f><parameter=k>v</parameter></function>, and the like. Values that can only be strings
/// come as they are read, others when they are complete.
class TagCall : public CallReader {
public:
  /// Both must live on.
  TagCall(const CallTags &tags, const Tools &tools);
  Step feed(char c) override;

private:
  enum State { Open, Name, Between, Key, BeforeValue, Value };
  Step expect(const std::string &tag, char c);
  Step feedName(char c);
  Step feedBetween(char c);
  Step feedKey(char c);
  Step feedValue(char c);
  Step breakOff(std::string held);
  Step goOn(State next);
  void beginMember();

  const CallTags &tags;
  const Tools &tools;
  State state = Open;
  std::string text; // of the tag, the key or the value so far
  MarkerSearch search;
  std::string key;
  JsonTypes types;
  bool hasMembers = false;
  bool asString = false, atBegin = false; // of the value
};

} // namespace pianola

#endif
