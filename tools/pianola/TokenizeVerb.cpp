// TokenizeVerb.cpp - pianola tokenize: ids and pieces of a text.
#include "lib/checkpoint/InputFile.h"
#include "runtime/text/Tokenizer.h"
#include "tools/pianola/Verbs.h"

#include <nlohmann/json.hpp>

namespace pianola {

void addTokenizeVerb(CLI::App &app, int &exitCode) {
  struct Options {
    std::string directory, text;
    bool noSpecial = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App *verb = app.add_subcommand("tokenize", "Print the tokens of a text, one a line");
  verb->add_option("model", options->directory, "Directory with tokenizer.json")->required();
  verb->add_option("text", options->text)->required();
  verb->add_flag("--no-special", options->noSpecial,
                 "Leave out what the post-processor puts before and after");
  verb->callback([=, &exitCode] {
    llvm::Expected<std::string> file =
        readText(options->directory + "/tokenizer.json", uint64_t(256) << 20);
    if (!file) {
      exitCode = fail(llvm::toString(file.takeError()));
      return;
    }
    Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(*file);
    if (!tokenizer) {
      exitCode = fail(options->directory + ": " + tokenizer.message());
      return;
    }
    EncodeOptions encode;
    encode.addSpecial = !options->noSpecial;
    Result<std::vector<int32_t>> ids = (*tokenizer)->encode(options->text, encode);
    if (!ids) {
      exitCode = fail(ids.message());
      return;
    }
    for (int32_t id : *ids) {
      nlohmann::json piece = (*tokenizer)->decode({id}, /*skipSpecial=*/false);
      std::printf("%d\t%s\n", id, piece.dump().c_str());
    }
  });
}

} // namespace pianola
