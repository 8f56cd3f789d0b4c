// ModelText.cpp - tokenizer and chat template of what the command line names.
#include "tools/pianola/ModelText.h"

#include "runtime/roll/Roll.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace pianola {

static constexpr uint64_t kMostText = uint64_t(256) << 20;

Result<std::string> readTextFile(const std::string &path) {
  std::error_code error;
  std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status))
    return Status::error(path + ": " + std::strerror(ENOENT));
  if (!std::filesystem::is_regular_file(status))
    return Status::error(path + ": is not a regular file");
  uint64_t bytes = std::filesystem::file_size(path, error);
  if (error || bytes > kMostText)
    return Status::error(path + ": " + (error ? error.message() : "is larger than 256 MiB"));
  std::ifstream file(path, std::ios::binary);
  std::string text(bytes, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(bytes)))
    return Status::error(path + ": cannot be read");
  return text;
}

static bool beginsWith(const std::string &path, std::string_view magic) {
  std::string first(magic.size(), '\0');
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) &&
         std::ifstream(path, std::ios::binary)
             .read(first.data(), static_cast<std::streamsize>(first.size())) &&
         first == magic;
}

static bool isRoll(const std::string &path) {
  return beginsWith(path, {PIANOLA_ROLL_MAGIC, sizeof(PianolaRollHeader::magic)});
}

static bool isGguf(const std::string &path) {
  return std::filesystem::path(path).extension() == ".gguf" || beginsWith(path, "GGUF");
}

bool isModel(const std::string &path) {
  std::error_code missing;
  return std::filesystem::is_directory(path, missing) ||
         (std::filesystem::exists(path, missing) && isGguf(path));
}

static Status refuseGguf(const std::string &path) {
  return Status::error(path + ": is a GGUF file; what it says of text is in the roll that compile "
                              "makes of it");
}

static Result<std::unique_ptr<Tokenizer>> parse(const std::string &model, std::string_view json) {
  if (json.empty())
    return Status::error(model + ": has no tokenizer");
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::fromJson(json);
  if (!tokenizer)
    return Status::error(model + ": " + tokenizer.message());
  return tokenizer;
}

Result<std::unique_ptr<Tokenizer>> openTokenizer(const std::string &model) {
  if (isRoll(model)) {
    OpenOptions options;
    options.verifyTape = false; // weights are not needed
    Result<std::unique_ptr<Roll>> roll = Roll::open(model, options);
    return roll ? parse(model, (*roll)->tokenizer()) : roll.status();
  }
  if (isGguf(model))
    return refuseGguf(model);
  std::error_code error;
  bool isDirectory = std::filesystem::is_directory(model, error);
  Result<std::string> json = readTextFile(isDirectory ? model + "/tokenizer.json" : model);
  return json ? parse(model, *json) : json.status();
}

Result<ChatConfig> openChatConfig(const std::string &model) {
  if (isRoll(model)) {
    OpenOptions options;
    options.verifyTape = false;
    Result<std::unique_ptr<Roll>> roll = Roll::open(model, options);
    if (!roll)
      return roll.status();
    return ChatConfig{std::string((*roll)->chatTemplate()), (*roll)->manifest().chatTokens};
  }
  if (isGguf(model))
    return refuseGguf(model);
  std::error_code error;
  if (!std::filesystem::is_directory(model, error)) {
    Result<std::string> source = readTextFile(model);
    return source ? Result<ChatConfig>(ChatConfig{*source, {}}) : source.status();
  }
  std::string texts[2];
  const char *const names[2] = {"tokenizer_config.json", "chat_template.jinja"};
  for (int i = 0; i < 2; ++i) {
    std::string path = model + "/" + names[i];
    if (!std::filesystem::exists(path, error))
      continue;
    Result<std::string> text = readTextFile(path);
    if (!text)
      return text.status();
    texts[i] = std::move(*text);
  }
  Result<ChatConfig> config = ChatConfig::read(texts[0], texts[1]);
  return config ? config : Status::error(model + ": " + config.message());
}

} // namespace pianola
