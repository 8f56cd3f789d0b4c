// ModelText.cpp - the tokenizer of what the command line names.
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

static bool isRoll(const std::string &path) {
  char magic[sizeof(PianolaRollHeader::magic)] = {};
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) &&
         std::ifstream(path, std::ios::binary).read(magic, sizeof(magic)) &&
         std::memcmp(magic, PIANOLA_ROLL_MAGIC, sizeof(magic)) == 0;
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
  std::error_code error;
  bool isDirectory = std::filesystem::is_directory(model, error);
  Result<std::string> json = readTextFile(isDirectory ? model + "/tokenizer.json" : model);
  return json ? parse(model, *json) : json.status();
}

} // namespace pianola
