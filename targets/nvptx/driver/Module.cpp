// Modules: PTX text, or what the linker made of it. The linker makes a "cubin" that only this
// library takes: a mark, a size and the text, so that a cache of cubins has something to keep.
#include "targets/nvptx/driver/State.h"

#include <algorithm>
#include <cstring>

namespace pianola::cuda {

namespace {

constexpr uint32_t unasked = 48 << 10; ///< bytes of shared memory that a block has without asking
constexpr char mark[8] = {'\x7f', 'P', 'i', 'a', 'n', 'o', 'l', 'a'};

/// Where a caller wants to read what went wrong.
class Log {
public:
  Log(unsigned count, const CUjit_option *options, void **values) {
    for (unsigned i = 0; i < count; ++i) {
      bool isError =
          options[i] == CU_JIT_ERROR_LOG_BUFFER || options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES;
      Part &part = isError ? error : info;
      if (options[i] == CU_JIT_ERROR_LOG_BUFFER || options[i] == CU_JIT_INFO_LOG_BUFFER)
        part.text = static_cast<char *>(values[i]);
      if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES ||
          options[i] == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES)
        part.bytes = &values[i];
    }
  }
  /// Sizes that were given become the sizes that were written.
  void write(const std::string &errorText) {
    error.write(errorText);
    info.write("");
  }

private:
  struct Part {
    char *text = nullptr;
    void **bytes = nullptr;
    void write(const std::string &line) const {
      if (!bytes)
        return;
      auto room = reinterpret_cast<uintptr_t>(*bytes) & UINT32_MAX;
      size_t written = 0;
      if (text && room) {
        written = std::min<size_t>(line.size(), room - 1);
        std::memcpy(text, line.data(), written);
        text[written] = 0;
      }
      *bytes = reinterpret_cast<void *>(uintptr_t(written));
    }
  };
  Part error, info;
};

bool areOptionsValid(unsigned count, const CUjit_option *options, void **values) {
  return !count || (options && values);
}

/// The PTX of an image. Other machine code is not for this device.
CUresult textOf(const void *image, std::string_view &text) {
  const auto *bytes = static_cast<const char *>(image);
  if (!std::strncmp(bytes, mark, sizeof mark)) {
    uint64_t size;
    std::memcpy(&size, bytes + sizeof mark, sizeof size);
    text = {bytes + sizeof mark + sizeof size, size};
    return CUDA_SUCCESS;
  }
  if (!std::strncmp(bytes,
                    "\x7f"
                    "ELF",
                    4))
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  // PTX begins with a directive or a comment.
  const char *first = bytes + std::strspn(bytes, " \t\r\n");
  if (*first != '.' && *first != '/')
    return CUDA_ERROR_INVALID_IMAGE;
  text = bytes;
  return CUDA_SUCCESS;
}

CUresult load(CUmodule *handle, const void *image, Log log) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (!handle || !image)
    return CUDA_ERROR_INVALID_VALUE;
  std::string_view text;
  if (CUresult result = textOf(image, text)) {
    log.write("the image is neither PTX nor a cubin of this linker");
    return result;
  }
  auto loaded = call.context->device.load(text, "module");
  if (!loaded) {
    log.write(loaded.message());
    bool isMemory = loaded.message().find("no memory for") != std::string::npos;
    return isMemory ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_PTX;
  }
  log.write("");
  auto module = std::make_shared<CUmod_st>();
  module->context = call.context.get();
  module->module = *loaded;
  *handle = library().modules.add(std::move(module));
  return CUDA_SUCCESS;
}

} // namespace

extern "C" {

CUresult cuModuleLoadData(CUmodule *module, const void *image) {
  return load(module, image, Log(0, nullptr, nullptr));
}

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count,
                            CUjit_option *options, void **values) {
  if (!areOptionsValid(count, options, values))
    return CUDA_ERROR_INVALID_VALUE;
  return load(module, image, Log(count, options, values));
}

CUresult cuModuleUnload(CUmodule handle) {
  Call call(Needs::Context);
  if (call.wrong)
    return call.wrong;
  auto module = library().modules.find(handle);
  if (!module || module->context != call.context.get())
    return CUDA_ERROR_INVALID_HANDLE;
  call.waitForAll();
  library().functions.removeIf([&](const CUfunc_st &each) { return each.module == handle; });
  for (auto [variable, address] : module->module->addresses)
    if (Status status = call.context->device.release(address); !status.ok())
      complain(status.message());
  library().modules.remove(handle);
  return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule handle, const char *name) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto module = library().modules.find(handle);
  if (!module)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!function || !name)
    return CUDA_ERROR_INVALID_VALUE;
  CUfunction &known = module->functions[name];
  if (!known) {
    const ptx::Kernel *kernel = module->module->findKernel(name);
    if (!kernel) {
      module->functions.erase(name);
      return CUDA_ERROR_NOT_FOUND;
    }
    auto made = std::make_shared<CUfunc_st>();
    made->module = handle;
    made->code = module->module;
    made->kernel = kernel;
    made->maxDynamicShared = kernel->sharedBytes < unasked ? unasked - kernel->sharedBytes : 0;
    known = library().functions.add(std::move(made));
  }
  *function = known;
  return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes, CUmodule handle,
                              const char *name) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto module = library().modules.find(handle);
  if (!module)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!name)
    return CUDA_ERROR_INVALID_VALUE;
  auto found = module->context->device.variable(*module->module, name);
  if (!found)
    return CUDA_ERROR_NOT_FOUND;
  if (address)
    *address = found->first;
  if (bytes)
    *bytes = found->second;
  return CUDA_SUCCESS;
}

CUresult cuLinkCreate_v2(unsigned count, CUjit_option *options, void **values, CUlinkState *state) {
  Call call;
  if (call.wrong)
    return call.wrong;
  if (!state || !areOptionsValid(count, options, values))
    return CUDA_ERROR_INVALID_VALUE;
  auto link = std::make_shared<CUlinkState_st>();
  link->options.assign(options, options + count);
  link->values = values;
  *state = library().links.add(std::move(link));
  return CUDA_SUCCESS;
}

CUresult cuLinkAddData_v2(CUlinkState handle, CUjitInputType type, void *data, size_t size,
                          const char *name, unsigned, CUjit_option *, void **) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto link = library().links.find(handle);
  if (!link)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!data || !size)
    return CUDA_ERROR_INVALID_VALUE;
  if (type != CU_JIT_INPUT_PTX || !link->ptx.empty())
    return CUDA_ERROR_NOT_SUPPORTED;
  // PTX may end in a zero, or not.
  std::string text(static_cast<const char *>(data), size);
  text.resize(std::strlen(text.c_str()));
  // A device apart, so that a text that is only compiled takes no memory of the context.
  ptx::Device scratch(call.context->device.row());
  auto loaded = scratch.load(text, name ? name : "module");
  Log(unsigned(link->options.size()), link->options.data(), link->values)
      .write(loaded ? "" : loaded.message());
  if (!loaded)
    return CUDA_ERROR_INVALID_PTX;
  link->ptx = std::move(text);
  return CUDA_SUCCESS;
}

CUresult cuLinkComplete(CUlinkState handle, void **cubin, size_t *size) {
  Call call;
  if (call.wrong)
    return call.wrong;
  auto link = library().links.find(handle);
  if (!link)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!cubin || link->ptx.empty())
    return CUDA_ERROR_INVALID_VALUE;
  uint64_t bytes = link->ptx.size();
  link->cubin.assign(mark, mark + sizeof mark);
  link->cubin.insert(link->cubin.end(), reinterpret_cast<char *>(&bytes),
                     reinterpret_cast<char *>(&bytes + 1));
  link->cubin.insert(link->cubin.end(), link->ptx.begin(), link->ptx.end());
  *cubin = link->cubin.data();
  if (size)
    *size = link->cubin.size();
  return CUDA_SUCCESS;
}

CUresult cuLinkDestroy(CUlinkState state) {
  Call call(Needs::Initialised);
  if (call.wrong)
    return call.wrong;
  return library().links.remove(state) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

} // extern "C"

} // namespace pianola::cuda
