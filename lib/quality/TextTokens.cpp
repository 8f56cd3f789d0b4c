// TextTokens.cpp - the tokens of a text file.
#include "lib/quality/TextTokens.h"

#include "lib/checkpoint/InputFile.h"
#include "lib/checkpoint/ModelTexts.h"

namespace pianola {

static constexpr uint64_t kMostText = uint64_t(256) << 20;

llvm::Expected<std::unique_ptr<Tokenizer>> parseTokenizer(const std::string &model,
                                                          std::string_view json) {
  if (json.empty())
    return llvm::createStringError(model + ": has no tokenizer to read a text with");
  Result<std::unique_ptr<Tokenizer>> read = Tokenizer::fromJson(json);
  if (!read)
    return llvm::createStringError(model + ": " + read.message());
  return std::move(*read);
}

llvm::Expected<std::unique_ptr<Tokenizer>> readTokenizer(const std::string &directory) {
  llvm::Expected<std::optional<std::string>> json =
      findModelText(directory, "tokenizer.json", kMostText);
  if (!json)
    return json.takeError();
  return parseTokenizer(directory, *json ? std::string_view(**json) : std::string_view());
}

llvm::Expected<std::vector<int32_t>> readTokens(const std::string &path,
                                                const Tokenizer &tokenizer) {
  auto refuseText = [&](const llvm::Twine &what) {
    return llvm::createStringError(path + ": " + what);
  };
  llvm::Expected<std::string> text = readText(path, kMostText);
  if (!text)
    return text.takeError();
  if (text->empty())
    return refuseText("is empty");
  EncodeOptions options;
  options.addSpecial = false;
  Result<std::vector<int32_t>> ids = tokenizer.encode(*text, options);
  if (!ids)
    return refuseText(ids.message());
  if (ids->size() < 2)
    return refuseText("has " + llvm::Twine(ids->size()) + " tokens; two are the least");
  return std::move(*ids);
}

} // namespace pianola
