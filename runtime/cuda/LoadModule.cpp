// LoadModule.cpp - the kernels of a roll, ready to be launched.
#include "runtime/cuda/LoadModule.h"

#include "runtime/cuda/CodeCache.h"

#include <cstring>

namespace pianola::cuda {

namespace {

/// The driver's compiler writes what it has to say of an error here.
class Log {
public:
  unsigned count() const { return 2; }
  CUjit_option *options() { return names; }
  void **values() { return places; }

  Status error(const Gpu &gpu, CUresult result) const {
    std::string message = "the driver cannot compile the roll's code for " + gpu.name + ": " +
                          gpu.driver.describe(result);
    std::string log(text, strnlen(text, sizeof(text)));
    while (!log.empty() && (log.back() == '\n' || log.back() == ' '))
      log.pop_back();
    return Status::error(log.empty() ? message : message + "\n" + log);
  }

private:
  char text[16 << 10] = {};
  CUjit_option names[2] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *places[2] = {text, reinterpret_cast<void *>(uintptr_t(sizeof(text)))};
};

/// Code that may not be for this device, or not whole: then nothing.
CUmodule tryLoad(const Gpu &gpu, std::string_view image) {
  // The driver may read a little beyond an image that it does not know.
  std::string copy(image);
  CUmodule module = nullptr;
  return gpu.driver.cuModuleLoadDataEx(&module, copy.data(), 0, nullptr, nullptr) == CUDA_SUCCESS
             ? module
             : nullptr;
}

Result<CUmodule> loadText(const Gpu &gpu, const std::string &ptx) {
  Log log;
  CUmodule module = nullptr;
  CUresult result =
      gpu.driver.cuModuleLoadDataEx(&module, ptx.c_str(), log.count(), log.options(), log.values());
  if (result != CUDA_SUCCESS)
    return log.error(gpu, result);
  return module;
}

/// PTX to a cubin.
Result<std::string> link(const Gpu &gpu, std::string &ptx) {
  Log log;
  CUlinkState state = nullptr;
  if (CUresult result =
          gpu.driver.cuLinkCreate_v2(log.count(), log.options(), log.values(), &state))
    return gpu.driver.failure("cuLinkCreate", result);
  void *cubin = nullptr;
  size_t bytes = 0;
  CUresult result = gpu.driver.cuLinkAddData_v2(state, CU_JIT_INPUT_PTX, ptx.data(), ptx.size() + 1,
                                                "roll", 0, nullptr, nullptr);
  if (result == CUDA_SUCCESS)
    result = gpu.driver.cuLinkComplete(state, &cubin, &bytes);
  std::string code;
  if (result == CUDA_SUCCESS)
    code.assign(static_cast<const char *>(cubin), bytes);
  gpu.driver.cuLinkDestroy(state);
  if (result != CUDA_SUCCESS)
    return log.error(gpu, result);
  return code;
}

} // namespace

Result<CUmodule> loadModule(const Gpu &gpu, const Roll &roll) {
  if (roll.manifest().target.capability == gpu.capability &&
      roll.sectionBytes(PIANOLA_SECTION_CUBIN) != 0)
    if (CUmodule module = tryLoad(gpu, roll.cubin()))
      return module;
  std::string ptx(roll.code());
  CodeCache cache(gpu, ptx);
  if (cache.path().empty())
    return loadText(gpu, ptx);
  if (std::optional<std::string> kept = cache.find())
    if (CUmodule module = tryLoad(gpu, *kept))
      return module;
  Result<std::string> cubin = link(gpu, ptx);
  if (!cubin)
    return cubin.status();
  CUmodule module = tryLoad(gpu, *cubin);
  if (!module)
    return loadText(gpu, ptx);
  cache.keep(*cubin);
  return module;
}

} // namespace pianola::cuda
