// Arguments.cpp - reads the command line.
#include "tools/pianola/Verbs.h"

#include <algorithm>

namespace pianola {

// llama.cpp's options of several letters behind one dash, which the library for options does not
// take. Its `run -cnv` is our `chat`.
static std::vector<std::string> spellOut(int argc, char **argv) {
  static const std::pair<const char *, const char *> names[] = {{"-np", "--parallel"},
                                                                {"-sys", "--system"}};
  std::vector<std::string> arguments(argv + 1, argv + argc);
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (arguments[i] == "--")
      break;
    if (arguments[0] == "run" && (arguments[i] == "-cnv" || arguments[i] == "--conversation")) {
      arguments[0] = "chat";
      arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i--));
      continue;
    }
    for (const auto &[shorter, longer] : names)
      if (arguments[i] == shorter)
        arguments[i] = longer;
  }
  return arguments;
}

int runVerb(CLI::App &app, int argc, char **argv, const int &exitCode) {
  std::vector<std::string> arguments = spellOut(argc, argv);
  try {
    app.name(argv[0]);
    std::reverse(arguments.begin(), arguments.end()); // it takes them from the back
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return finishOutput(exitCode);
}

} // namespace pianola
