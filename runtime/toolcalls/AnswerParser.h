// AnswerParser.h - takes the text of an answer apart while it comes: content, reasoning, calls.
//
// However the text is cut into pieces, the same parts come out, but for where they are cut. Held
// back is what may begin a marker, white space that may stand before one, and of a call what comes
// before its name and the first of its arguments are known; nothing else.
//
// What looks like a call and is none becomes content, to the letter. A call that has begun stays
// one: its arguments are JSON, or the beginning of it if the text ends early or goes on in a way
// that JSON does not; the rest is content then. Calls in tags keep a parameter that is not a string
// until it is complete: of a text that ends in one, that parameter is missing.
//
// White space around calls, and around what a model thinks, is left out; after its thoughts only
// line ends are.
#ifndef PIANOLA_RUNTIME_TOOLCALLS_ANSWERPARSER_H
#define PIANOLA_RUNTIME_TOOLCALLS_ANSWERPARSER_H

#include "runtime/toolcalls/AnswerFormat.h"
#include "runtime/toolcalls/CallReader.h"

#include <memory>

namespace pianola {

/// A piece of an answer.
struct AnswerPart {
  enum Kind { Content, Reasoning, CallBegin, CallArguments, CallEnd };
  Kind kind;
  std::string text; // content, reasoning or a piece of the arguments' JSON
  size_t call = 0;  // which, from 0, of CallBegin, CallArguments, CallEnd
  std::string name; // of CallBegin
};

/// A whole answer, from its parts.
struct Answer {
  struct Call {
    std::string name, arguments;
  };
  std::string content, reasoning;
  std::vector<Call> calls;

  void add(const std::vector<AnswerPart> &parts);
};

class AnswerParser {
public:
  /// Without `wantsCalls` calls are content. `beginsThinking`: the prompt ended in a thought.
  /// `tools`: OpenAI's list, or null; there names and types are looked up.
  AnswerParser(AnswerFormat format, bool wantsCalls, bool beginsThinking,
               const nlohmann::ordered_json &tools);

  std::vector<AnswerPart> feed(std::string_view text);
  /// What was held back. Each call that has begun ends here at last.
  std::vector<AnswerPart> finish();

private:
  enum State {
    Begin, // before a thought
    Reasoning,
    Content,
    InCall,
    AfterMarker, // Mistral's: a list or a name comes
    InList,      // Mistral's, after a call
    LlamaCalls,  // before a call, if there is one
  };
  void take(char c);
  void takeAll(const std::string &text);
  void takeBegin(char c);
  void takeReasoning(char c);
  void takeContent(char c);
  void takeInCall(char c);
  void takeAfterMarker(char c);
  void takeInList(char c);
  void takeLlamaCalls(char c);

  void beginAnswer();
  void beginContent();
  void beginCall(std::unique_ptr<CallReader> next);
  void beginMarkedCall();
  void endCall();
  void giveUpCall(std::string rest);
  void passContent(std::string_view text);
  void pass(AnswerPart::Kind kind, char c);
  void emit(AnswerPart::Kind kind, std::string_view text);

  AnswerFormat format;
  bool wantsCalls, beginsThinking;
  std::unique_ptr<const Tools> tools; // its address stays
  State state = Begin;
  std::vector<AnswerPart> parts;

  MarkerSearch search;
  std::string spaces;                                     // held back
  enum { Nothing, LineEnds, AllSpace } skipped = Nothing; // of what comes
  bool mayClose = false; // the end of a call that was complete before it

  std::unique_ptr<CallReader> reader;
  std::string raw; // all of a call that has not begun, for content
  bool isListed = false;
  bool isAnnounced = false; // CallBegin is out
  size_t calls = 0;
};

} // namespace pianola

#endif
