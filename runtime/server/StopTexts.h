// StopTexts.h - texts that end a generation, wherever tokens begin and end.
#ifndef PIANOLA_RUNTIME_SERVER_STOPTEXTS_H
#define PIANOLA_RUNTIME_SERVER_STOPTEXTS_H

#include <string>
#include <vector>

namespace pianola::server {

class StopTexts {
public:
  /// None of them empty.
  explicit StopTexts(std::vector<std::string> stops) : stops(std::move(stops)) {}

  /// What is certain to stand before the first stop. After one was found nothing comes any more.
  std::string feed(const std::string &text);
  /// What was held back, as it might have begun a stop.
  std::string finish();

  /// The one that came first, and of those that begin at one place the one that was named first.
  bool isFound() const { return found; }

private:
  std::vector<std::string> stops;
  std::string held;
  bool found = false;
};

} // namespace pianola::server

#endif
