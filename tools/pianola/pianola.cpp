// pianola.cpp - the driver: plays rolls, and starts the compiler for all else.
//
// To load LLVM and MLIR takes longer than to play the first token of a small model, so this program
// is not linked with them. pianola-compiler, beside it or on PATH, has every verb; it need not be
// installed where rolls are only played.
#include "tools/pianola/Faults.h"
#include "tools/pianola/ModelText.h"
#include "tools/pianola/Verbs.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <unistd.h>

namespace pianola {

// Without the compiler. A directory or a GGUF file may be a model, to be compiled first; if it is
// something else, the compiler's `run` does the same.
static bool onlyPlays(int argc, char **argv) {
  std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "tokenize" || verb == "detokenize" || verb == "template")
    return true;
  if (verb != "run" && verb != "chat" && verb != "serve" && verb != "bench" && verb != "inspect")
    return false;
  return std::none_of(argv + 2, argv + argc,
                      [&](const char *argument) { return isModel(argument); });
}

// Comes back if that cannot be.
static Status startCompiler(char **argv) {
  std::error_code error;
  std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  std::string path = (self.parent_path() / "pianola-compiler").string();
  execv(path.c_str(), argv);
  if (errno == ENOENT)
    execvp("pianola-compiler", argv);
  return Status::error("pianola-compiler, beside " + self.string() +
                       " or on PATH, cannot be started: " + std::strerror(errno));
}

} // namespace pianola

int main(int argc, char **argv) {
  pianola::endFaultsClearly();
  pianola::Status compiler;
  if (!pianola::onlyPlays(argc, argv))
    compiler = pianola::startCompiler(argv);
  CLI::App app{"Pianola compiles a language model into one file, a roll, and plays it."};
  app.set_version_flag("--version", "pianola " PIANOLA_VERSION ", without its compiler");
  app.footer("Other verbs are those of pianola-compiler, which is not here.");
  app.require_subcommand(1);
  int exitCode = 0;
  pianola::addBenchVerb(app, exitCode);
  pianola::addInspectVerb(app, exitCode);
  auto noCompiler = [&](const pianola::RollRequest &request) -> pianola::Result<std::string> {
    return compiler.ok()
               ? pianola::Status::error(request.directory +
                                        " became a model directory or file after the start")
               : compiler;
  };
  pianola::addChatVerb(app, exitCode, noCompiler);
  pianola::addRunVerb(app, exitCode, noCompiler);
  pianola::addServeVerb(app, exitCode, noCompiler);
  pianola::addTemplateVerb(app, exitCode);
  pianola::addTokenizeVerbs(app, exitCode);
  auto isNamed = [&](const CLI::App *verb) { return verb->get_name() == argv[1]; };
  if (!compiler.ok() && argc > 1 && argv[1][0] != '-' && app.get_subcommands(isNamed).empty())
    return pianola::fail(std::string(argv[1]) + " is no verb that plays, and " +
                         compiler.message());
  return pianola::runVerb(app, argc, argv, exitCode);
}
