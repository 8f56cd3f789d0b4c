// ModelTexts.cpp - the texts beside a model's weights: those of a directory, or made of a GGUF
// file.
#include "lib/checkpoint/ModelTexts.h"

#include "lib/checkpoint/GgufConfig.h"
#include "lib/checkpoint/GgufTokenizer.h"
#include "lib/checkpoint/InputFile.h"
#include "lib/checkpoint/Refusal.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

namespace pianola {

// Reading the header again for each text costs less than what becomes of the text.
static llvm::Expected<std::optional<std::string>> makeText(llvm::StringRef path,
                                                           llvm::StringRef name, uint64_t most) {
  using Make = llvm::Expected<std::string> (*)(const GgufFile &);
  Make make = llvm::StringSwitch<Make>(name)
                  .Case("config.json", ggufConfig)
                  .Case("generation_config.json", ggufGeneration)
                  .Case("tokenizer.json", ggufTokenizer)
                  .Case("tokenizer_config.json", ggufTokenizerConfig)
                  .Default(nullptr);
  if (!make)
    return std::nullopt;
  llvm::Expected<std::unique_ptr<GgufFile>> file = GgufFile::open(path);
  if (!file)
    return file.takeError();
  llvm::Expected<std::string> text = make(**file);
  if (!text)
    return text.takeError();
  if (text->size() > most)
    return refuse((*file)->name() + ": as " + name + " it is " + llvm::Twine(text->size()) +
                  " bytes long, expected up to " + llvm::Twine(most));
  return text->empty() ? std::nullopt : std::optional(std::move(*text));
}

static std::string pathOf(llvm::StringRef directory, llvm::StringRef name) {
  llvm::SmallString<256> path(directory);
  llvm::sys::path::append(path, name);
  return path.str().str();
}

llvm::Expected<std::optional<std::string>> findModelText(llvm::StringRef model,
                                                         llvm::StringRef name, uint64_t most) {
  if (isGguf(model))
    return makeText(model, name, most);
  if (!llvm::sys::fs::exists(pathOf(model, name)))
    return std::nullopt;
  llvm::Expected<std::string> text = readText(pathOf(model, name), most);
  if (!text)
    return text.takeError();
  return std::move(*text);
}

llvm::Expected<std::string> readModelText(llvm::StringRef model, llvm::StringRef name,
                                          uint64_t most) {
  llvm::Expected<std::optional<std::string>> text = findModelText(model, name, most);
  if (!text)
    return text.takeError();
  if (*text)
    return std::move(**text);
  return readText(pathOf(model, name), most); // says that it is not there
}

} // namespace pianola
