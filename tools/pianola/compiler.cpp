// compiler.cpp - pianola-compiler: every verb. `pianola` starts it for those that need LLVM.
#include "lib/driver/RollCache.h"
#include "lib/driver/Version.h"
#include "tools/pianola/Faults.h"
#include "tools/pianola/Verbs.h"

#include "llvm/Config/llvm-config.h"
#include "llvm/Support/ErrorHandling.h"

namespace pianola {

static Result<std::string> rollOf(const RollRequest &request) {
  CompileOptions options;
  options.directory = request.directory;
  options.target = request.target;
  options.maxModelLen = request.maxModelLen;
  options.hiddenStates = request.hiddenStates;
  Progress progress(true);
  llvm::Expected<std::string> cached = cachedRoll(options, progress, llvm::errs());
  if (!cached)
    return Status::error(llvm::toString(cached.takeError()));
  return *cached;
}

} // namespace pianola

int main(int argc, char **argv) {
  pianola::endFaultsClearly();
  // LLVM's own allocations do not come by the new handler.
  llvm::install_bad_alloc_error_handler(
      [](void *, const char *, bool) { pianola::endOutOfMemory(); });
  CLI::App app{"Pianola compiles a language model into one file, a roll, and plays it."};
  app.set_version_flag("--version", std::string("pianola ") + pianola::kVersion + " (" +
                                        PIANOLA_COMMIT +
                                        "), LLVM " LLVM_VERSION_STRING ", targets: host, nvptx");
  app.require_subcommand(1);
  int exitCode = 0;
  pianola::addChatVerb(app, exitCode, pianola::rollOf);
  pianola::addCompileVerb(app, exitCode);
  pianola::addBenchVerb(app, exitCode);
  pianola::addInspectVerb(app, exitCode);
  pianola::addLogitsVerb(app, exitCode);
  pianola::addPerplexityVerb(app, exitCode);
  pianola::addPredictVerb(app, exitCode);
  pianola::addRunVerb(app, exitCode, pianola::rollOf);
  pianola::addServeVerb(app, exitCode, pianola::rollOf);
  pianola::addTemplateVerb(app, exitCode);
  pianola::addTokenizeVerbs(app, exitCode);
  return pianola::runVerb(app, argc, argv, exitCode);
}
