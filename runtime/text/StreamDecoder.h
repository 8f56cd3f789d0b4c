// StreamDecoder.h - turns ids into text as they come, never half a character.
#ifndef PIANOLA_RUNTIME_TEXT_STREAMDECODER_H
#define PIANOLA_RUNTIME_TEXT_STREAMDECODER_H

#include <cstdint>
#include <string>

namespace pianola {

class Tokenizer;

class StreamDecoder {
public:
  StreamDecoder(const Tokenizer &tokenizer, bool skipSpecial)
      : tokenizer(tokenizer), skipSpecial(skipSpecial) {}

  /// What this id completes; may be empty.
  std::string feed(int32_t id);
  /// What is left when no more ids come.
  std::string finish();

private:
  friend class Tokenizer;
  std::string takeBytes(const std::string &bytes);
  std::string endBytes();
  std::string trim(std::string text);

  const Tokenizer &tokenizer;
  bool skipSpecial;
  /// The text is wanted at the end alone, and then runs of bytes are judged as wholes.
  bool atOnce = false;
  bool begun = false;     // a token has come
  std::string held;       // bytes of a character that is not complete; of a run, if `atOnce`
  bool runBroken = false; // this run of byte tokens is not UTF-8
  size_t trimmed = 0;     // characters taken away where the text begins
  bool hasText = false;   // no more are
  size_t heldEnds = 0;    // characters held back that are taken away if the text ends
};

} // namespace pianola

#endif
