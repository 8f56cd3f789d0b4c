#include "runtime/cuda/Driver.h"

#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>

namespace pianola::cuda {

namespace {

/// What dlerror says of a missing file repeats its name.
std::string reasonOf(const std::string &path) {
  const char *text = dlerror();
  std::string reason = text ? text : "no reason is known";
  if (reason.compare(0, path.size() + 2, path + ": ") == 0)
    reason.erase(0, path.size() + 2);
  return reason;
}

template <typename F> bool find(void *handle, const char *name, F &function) {
  function = reinterpret_cast<F>(dlsym(handle, name));
  return function;
}

} // namespace

std::string Driver::describe(CUresult error) const {
  const char *name = nullptr, *text = nullptr;
  if (cuGetErrorName(error, &name) != CUDA_SUCCESS || !name)
    return "error " + std::to_string(int(error));
  cuGetErrorString(error, &text);
  return text ? std::string(name) + " (" + text + ")" : name;
}

Status Driver::failure(const std::string &call, CUresult error) const {
  return Status::error(call + ": " + describe(error));
}

Result<const Driver *> openDriver(const std::string &wanted) {
  static std::mutex mutex;
  static auto *opened = new std::map<std::string, std::unique_ptr<const Driver>>;
  std::string path = wanted;
  if (const char *named = getenv("PIANOLA_CUDA_DRIVER"); path.empty() && named)
    path = named;
  if (path.empty())
    path = "libcuda.so.1";

  std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<const Driver> &known = (*opened)[path];
  if (known)
    return known.get();
  auto driver = std::make_unique<Driver>();
  driver->path = path;
  driver->handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!driver->handle)
    return Status::error("the CUDA driver '" + path + "' cannot be opened: " + reasonOf(path));
#define PIANOLA_FIND(name, parameters)                                                             \
  if (!find(driver->handle, #name, driver->name)) {                                                \
    dlclose(driver->handle);                                                                       \
    return Status::error("the CUDA driver '" + path + "' has no function " #name);                 \
  }
  PIANOLA_CUDA_FUNCTIONS(PIANOLA_FIND)
#undef PIANOLA_FIND
  known = std::move(driver);
  return known.get();
}

Result<std::string> emulatorPath() {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path executable = fs::read_symlink("/proc/self/exe", error);
  if (error)
    return Status::error("/proc/self/exe: " + error.message());
  fs::path folder = executable.parent_path();
  for (int up = 0; up < 2; ++up) {
    folder = folder.parent_path();
    fs::path library = folder / "lib" / "libpianola-cuda.so";
    if (fs::exists(library, error))
      return library.string();
  }
  return Status::error("the emulator libpianola-cuda.so is not beside " + executable.string() +
                       ", in ../lib");
}

} // namespace pianola::cuda
