#include "test/targets/nvptx/driver/Stage.h"

#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <sstream>
#include <type_traits>

namespace pianola::cuda {

// What a player calls is what the emulator has.
#define PIANOLA_SAME(name, parameters)                                                             \
  static_assert(std::is_same_v<decltype(Driver::name), decltype(WholeApi::name)>, #name);
PIANOLA_CUDA_FUNCTIONS(PIANOLA_SAME)
#undef PIANOLA_SAME

const WholeApi &api() {
  static const WholeApi all = [] {
    WholeApi found;
    auto path = emulatorPath();
    auto driver = path ? openDriver(*path) : Result<const Driver *>(path.status());
    if (!driver) {
      ADD_FAILURE() << driver.message();
      abort();
    }
#define PIANOLA_FIND(name, parameters)                                                             \
  found.name = reinterpret_cast<decltype(found.name)>(dlsym((*driver)->handle, #name));            \
  EXPECT_NE(found.name, nullptr) << #name;
    PIANOLA_DRIVER_API(PIANOLA_FIND)
#undef PIANOLA_FIND
    return found;
  }();
  return all;
}

std::string readText(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return file ? text.str() : "";
}

std::string kernelText() {
  return readText(PIANOLA_SOURCE_DIR "/test/targets/nvptx/driver/kernels/driver.sm_80.ptx");
}

void Stage::SetUp() { begin(); }
void Stage::TearDown() { end(); }

void Stage::begin(const std::map<std::string, std::string> &environment) {
  end();
  for (const auto &[name, value] : environment) {
    setenv(name.c_str(), value.c_str(), 1);
    changed.push_back(name);
  }
  ASSERT_SUCCESS(api().cuInit(0));
  ASSERT_SUCCESS(api().cuCtxCreate_v2(&context, 0, 0));
}

void Stage::end() {
  if (context)
    EXPECT_SUCCESS(api().cuCtxDestroy_v2(context));
  context = nullptr, module = nullptr;
  for (const std::string &name : changed)
    unsetenv(name.c_str());
  changed.clear();
}

void Stage::load(const std::string &text) {
  ASSERT_SUCCESS(api().cuModuleLoadData(&module, text.c_str()));
}

CUfunction Stage::function(const char *name) {
  if (!module)
    load();
  CUfunction found = nullptr;
  EXPECT_SUCCESS(api().cuModuleGetFunction(&found, module, name));
  return found;
}

CUdeviceptr Stage::allocate(size_t bytes) {
  CUdeviceptr address = 0;
  EXPECT_SUCCESS(api().cuMemAlloc_v2(&address, bytes));
  return address;
}

CUstream Stage::makeStream(unsigned flags) {
  CUstream stream = nullptr;
  EXPECT_SUCCESS(api().cuStreamCreate(&stream, flags));
  return stream;
}

} // namespace pianola::cuda
