// Modules: PTX, its errors, what the linker makes of it, variables.
#include "test/targets/nvptx/driver/Stage.h"

#include <algorithm>
#include <cstring>

namespace pianola::cuda {

namespace {

using Modules = Stage;

TEST_F(Modules, FunctionsAndVariables) {
  load();
  CUfunction first = function("saxpy"), again = function("saxpy"), none = nullptr;
  EXPECT_EQ(first, again);
  EXPECT_ERROR(NOT_FOUND, api().cuModuleGetFunction(&none, module, "nobody"));
  EXPECT_ERROR(INVALID_HANDLE, api().cuModuleGetFunction(&none, nullptr, "saxpy"));
  CUmodule of = nullptr;
  EXPECT_SUCCESS(api().cuFuncGetModule(&of, first));
  EXPECT_EQ(of, module);
  CUdeviceptr table = 0;
  size_t bytes = 0;
  ASSERT_SUCCESS(api().cuModuleGetGlobal_v2(&table, &bytes, module, "table"));
  EXPECT_EQ(bytes, 16u);
  EXPECT_ERROR(INVALID_VALUE, api().cuMemFree_v2(table));
  EXPECT_ERROR(NOT_FOUND, api().cuModuleGetGlobal_v2(&table, &bytes, module, "chair"));
  EXPECT_EQ(get<uint32_t>(table, 4), (std::vector<uint32_t>{3, 1, 4, 1}));
  uint32_t nine = 9;
  EXPECT_SUCCESS(api().cuMemcpyHtoD_v2(table + 4, &nine, 4));
  CUdeviceptr y = allocate(16);
  EXPECT_SUCCESS(launch(function("copy_table"), 1, 4, 0, nullptr, y));
  EXPECT_EQ(get<uint32_t>(y, 4), (std::vector<uint32_t>{3, 9, 4, 1}));
  EXPECT_SUCCESS(api().cuModuleUnload(module));
  EXPECT_ERROR(INVALID_HANDLE, api().cuModuleUnload(module));
  EXPECT_ERROR(INVALID_HANDLE, launch(first, 1, 1, 0, nullptr, 1.0f, y, y, 1u));
}

TEST_F(Modules, BadPtxIsExplained) {
  std::string text = kernelText();
  size_t at = text.find("fma.rn.f32");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 3, "fms");
  char error[200] = "untouched", info[50] = "untouched";
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                            CU_JIT_INFO_LOG_BUFFER,  CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
                            CU_JIT_MAX_REGISTERS,    CU_JIT_TARGET_FROM_CUCONTEXT};
  void *values[] = {error,
                    reinterpret_cast<void *>(sizeof error),
                    info,
                    reinterpret_cast<void *>(sizeof info),
                    reinterpret_cast<void *>(128),
                    nullptr};
  CUmodule made = nullptr;
  EXPECT_ERROR(INVALID_PTX, api().cuModuleLoadDataEx(&made, text.c_str(), 6, options, values));
  EXPECT_NE(strstr(error, "fms"), nullptr) << error;
  std::string line = std::to_string(1 + std::count(text.begin(), text.begin() + long(at), '\n'));
  EXPECT_NE(strstr(error, (":" + line + ":").c_str()), nullptr) << error;
  EXPECT_EQ(reinterpret_cast<size_t>(values[1]), strlen(error));
  EXPECT_STREQ(info, "");
  // A short buffer gets as much as fits.
  values[1] = reinterpret_cast<void *>(8);
  EXPECT_ERROR(INVALID_PTX, api().cuModuleLoadDataEx(&made, text.c_str(), 6, options, values));
  EXPECT_EQ(strlen(error), 7u);
  EXPECT_ERROR(INVALID_PTX, api().cuModuleLoadData(&made, text.c_str()));
  EXPECT_ERROR(INVALID_IMAGE, api().cuModuleLoadData(&made, "words"));
  EXPECT_ERROR(NO_BINARY_FOR_GPU, api().cuModuleLoadData(&made, "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0"));
  EXPECT_ERROR(INVALID_VALUE, api().cuModuleLoadData(&made, nullptr));
  EXPECT_ERROR(INVALID_VALUE, api().cuModuleLoadDataEx(&made, text.c_str(), 1, nullptr, nullptr));
}

TEST_F(Modules, CodeForAnotherDevice) {
  std::string text =
      readText(PIANOLA_SOURCE_DIR "/test/targets/nvptx/emulator/kernels/grid.sm_90a.ptx");
  CUmodule made = nullptr;
  EXPECT_SUCCESS(api().cuModuleLoadData(&made, text.c_str()));
  begin({{"PIANOLA_EMULATED_DEVICE", "a100"}});
  EXPECT_ERROR(INVALID_PTX, api().cuModuleLoadData(&made, text.c_str()));
}

TEST_F(Modules, LinkedOnceLoadedOften) {
  std::string text = kernelText();
  std::vector<char> kept;
  {
    CUlinkState link = nullptr;
    ASSERT_SUCCESS(api().cuLinkCreate_v2(0, nullptr, nullptr, &link));
    void *cubin = nullptr;
    size_t size = 0;
    EXPECT_ERROR(INVALID_VALUE, api().cuLinkComplete(link, &cubin, &size));
    ASSERT_SUCCESS(api().cuLinkAddData_v2(link, CU_JIT_INPUT_PTX, text.data(), text.size() + 1,
                                          "driver.ptx", 0, nullptr, nullptr));
    ASSERT_SUCCESS(api().cuLinkComplete(link, &cubin, &size));
    kept.assign(static_cast<char *>(cubin), static_cast<char *>(cubin) + size);
    EXPECT_SUCCESS(api().cuLinkDestroy(link));
    EXPECT_ERROR(INVALID_HANDLE, api().cuLinkDestroy(link));
  }
  ASSERT_SUCCESS(api().cuModuleLoadData(&module, kept.data()));
  CUdeviceptr x = put<uint32_t>({41});
  EXPECT_SUCCESS(launch(function("add_one"), 1, 1, 0, nullptr, x, 1u));
  EXPECT_EQ(get<uint32_t>(x, 1)[0], 42u);

  char error[200] = "";
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {error, reinterpret_cast<void *>(sizeof error)};
  CUlinkState link = nullptr;
  ASSERT_SUCCESS(api().cuLinkCreate_v2(2, options, values, &link));
  std::string bad = ".version 8.0\n.target sm_80\nnonsense\n";
  EXPECT_ERROR(INVALID_PTX, api().cuLinkAddData_v2(link, CU_JIT_INPUT_PTX, bad.data(), bad.size(),
                                                   "bad.ptx", 0, nullptr, nullptr));
  EXPECT_NE(strstr(error, "bad.ptx:"), nullptr) << error;
  EXPECT_SUCCESS(api().cuLinkDestroy(link));
}

} // namespace

} // namespace pianola::cuda
