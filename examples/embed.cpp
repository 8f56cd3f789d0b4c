// embed.cpp - asks a model from C++: embed X.roll QUESTION... prints answers as they come.
#include "pianola/pianola.hpp"

#include <iostream>

// Data goes into JSON as a string and nothing else. A JSON library would do this.
static std::string quote(const std::string &text) {
  std::string quoted = "\"";
  for (unsigned char c : text) {
    char escape[8];
    std::snprintf(escape, sizeof(escape), c < 0x20 || c == '"' || c == '\\' ? "\\u%04x" : "%c", c);
    quoted += escape;
  }
  return quoted + '"';
}

int main(int argc, char **argv) try {
  if (argc < 3) {
    std::cerr << "usage: embed X.roll QUESTION...\n";
    return 2;
  }
  pianola::Model model(argv[1]);
  pianola::Text text(model);
  pianola::Session session(model);
  std::string messages;
  for (int i = 2; i < argc; ++i) {
    messages += (i > 2 ? ", " : "") + ("{\"role\": \"user\", \"content\": " + quote(argv[i]) + "}");
    session.feedPrompt(
        text.encodeChat("{\"messages\": [" + messages + "], \"add_generation_prompt\": true}"));
    std::string answer;
    session.generateText(text, [&](std::string_view piece) {
      std::cout << piece << std::flush;
      answer += piece;
    });
    std::cout << "\n";
    messages += ", {\"role\": \"assistant\", \"content\": " + quote(answer) + "}";
  }
} catch (const pianola::Error &error) {
  std::cerr << "error: " << error.what() << "\n";
  return 1;
}
