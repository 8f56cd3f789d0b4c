//===- RollCache.cpp - A model directory is compiled once -----------------===//

#include "lib/driver/RollCache.h"
#include "lib/checkpoint/GgufFile.h"
#include "lib/driver/Version.h"
#include "runtime/roll/Digest.h"
#include "targets/host/HostCpu.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include <set>
#include <thread>

using llvm::StringRef;

namespace pianola {

// Files that end up in a roll.
static bool isInput(StringRef name) {
  return name.ends_with(".safetensors") || name == "config.json" ||
         name == "generation_config.json" || name == "tokenizer.json" ||
         name == "tokenizer_config.json" || name == "chat_template.jinja" ||
         name == "model.safetensors.index.json";
}

static llvm::Expected<std::string> keyOf(const CompileOptions &options) {
  llvm::Expected<HostCpu> cpu = parseHostCpu(options.target);
  if (!cpu)
    return cpu.takeError();
  std::string text =
      std::string(kVersion) + "\n" + llvm::join(cpu->features, ",") + "\n" +
      std::to_string(options.workers) + " " + std::to_string(std::thread::hardware_concurrency()) +
      " " + std::to_string(options.maxModelLen) + " " + std::to_string(options.hiddenStates) + "\n";
  std::set<std::string> names;
  std::error_code error;
  if (isGguf(options.directory))
    names.insert(options.directory);
  else
    for (llvm::sys::fs::directory_iterator entry(options.directory, error), end;
         !error && entry != end; entry.increment(error))
      if (isInput(llvm::sys::path::filename(entry->path())))
        names.insert(entry->path());
  if (error)
    return llvm::createStringError(options.directory + ": " + error.message());
  for (const std::string &path : names) {
    llvm::Expected<InputFile> file = InputFile::open(path);
    if (!file)
      return file.takeError();
    StringRef name = file->name();
    std::optional<uint64_t> digest = 0;
    if (file->size() != 0)
      digest =
          fileSectionDigest(file->handle(), 0, file->size(), std::thread::hardware_concurrency());
    if (!digest)
      return llvm::createStringError(path + ": cannot be read");
    text += name.str() + " " + std::to_string(file->size()) + " " + llvm::utohexstr(*digest) + "\n";
  }
  return llvm::utohexstr(
      sectionDigest(reinterpret_cast<const uint8_t *>(text.data()), text.size(), 1), true, 16);
}

static llvm::Expected<std::string> cacheDirectory() {
  llvm::SmallString<128> path;
  if (auto given = llvm::sys::Process::GetEnv("PIANOLA_CACHE"))
    path = *given;
  else if (!llvm::sys::path::cache_directory(path))
    return llvm::createStringError("there is no place for compiled models: set PIANOLA_CACHE to a "
                                   "directory");
  else
    llvm::sys::path::append(path, "pianola");
  if (std::error_code error = llvm::sys::fs::create_directories(path))
    return llvm::createStringError(path + ": " + error.message());
  return path.str().str();
}

llvm::Expected<std::string> cachedRoll(CompileOptions options, Progress &progress,
                                       llvm::raw_ostream &notes) {
  llvm::Expected<std::string> directory = cacheDirectory();
  if (!directory)
    return directory.takeError();
  llvm::Expected<std::string> key = keyOf(options);
  if (!key)
    return key.takeError();
  options.output = *directory + "/" + *key + ".roll";
  if (llvm::sys::fs::exists(options.output)) {
    notes << "using " << options.output << "\n";
    return options.output;
  }
  notes << "compiling " << options.directory << " into " << options.output << "\n";
  if (llvm::Error error = compile(options, progress, llvm::nulls(), notes))
    return std::move(error);
  return options.output;
}

} // namespace pianola
