// How a driver is found, and what is said where there is none.
#include "test/targets/nvptx/driver/Stage.h"

#include <cstdlib>
#include <dlfcn.h>

namespace pianola::cuda {

namespace {

TEST(Opening, ByPathAndEnvironment) {
  auto path = emulatorPath();
  ASSERT_TRUE(path) << path.message();
  auto driver = openDriver(*path);
  ASSERT_TRUE(driver) << driver.message();
  EXPECT_EQ((*driver)->path, *path);
  setenv("PIANOLA_CUDA_DRIVER", path->c_str(), 1);
  auto again = openDriver();
  unsetenv("PIANOLA_CUDA_DRIVER");
  ASSERT_TRUE(again) << again.message();
  EXPECT_EQ(*again, *driver);
}

TEST(Opening, ErrorsNameTheLibrary) {
  auto none = openDriver("/nowhere/libcuda.so.1");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.message(), "the CUDA driver '/nowhere/libcuda.so.1' cannot be opened: cannot open "
                            "shared object file: No such file or directory");
  setenv("PIANOLA_CUDA_DRIVER", "/nowhere/else.so", 1);
  auto named = openDriver();
  unsetenv("PIANOLA_CUDA_DRIVER");
  ASSERT_FALSE(named);
  EXPECT_NE(named.message().find("/nowhere/else.so"), std::string::npos);
  auto other = openDriver("libc.so.6");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.message(), "the CUDA driver 'libc.so.6' has no function cuInit");
}

TEST(Opening, ErrorsInWords) {
  auto path = emulatorPath();
  ASSERT_TRUE(path);
  auto opened = openDriver(*path);
  ASSERT_TRUE(opened);
  const Driver &driver = **opened;
  EXPECT_EQ(driver.describe(CUDA_ERROR_OUT_OF_MEMORY),
            "CUDA_ERROR_OUT_OF_MEMORY (there is not enough memory)");
  EXPECT_EQ(driver.describe(CUresult(12345)), "error 12345");
  EXPECT_EQ(driver.failure("cuMemAlloc", CUDA_ERROR_INVALID_VALUE).message(),
            "cuMemAlloc: CUDA_ERROR_INVALID_VALUE (an argument is not valid)");
}

TEST(Opening, FunctionsByPlainName) {
  auto ask = [](const char *name, int version) {
    void *function = nullptr;
    EXPECT_SUCCESS(api().cuGetProcAddress_v2(name, &function, version, 0, nullptr)) << name;
    return function;
  };
  auto at = [](auto *function) { return reinterpret_cast<void *>(function); };
  EXPECT_EQ(ask("cuInit", 12000), at(api().cuInit));
  EXPECT_EQ(ask("cuMemAlloc", 12000), at(api().cuMemAlloc_v2));
  EXPECT_EQ(ask("cuCtxCreate", 11000), at(api().cuCtxCreate_v2));
  EXPECT_EQ(ask("cuCtxCreate", 12000), at(api().cuCtxCreate_v3));
  EXPECT_EQ(ask("cuCtxCreate", 13000), at(api().cuCtxCreate_v4));
  EXPECT_EQ(ask("cuMemsetD8Async", 12000), at(api().cuMemsetD8Async));
  EXPECT_EQ(ask("cuLaunchKernel", 12000), at(api().cuLaunchKernel));
  void *function = nullptr;
  CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SUCCESS;
  EXPECT_ERROR(NOT_FOUND, api().cuGetProcAddress_v2("cuNothing", &function, 13000, 0, nullptr));
  EXPECT_SUCCESS(api().cuGetProcAddress_v2("cuNothing", &function, 13000, 0, &found));
  EXPECT_EQ(found, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
  EXPECT_EQ(function, nullptr);
}

} // namespace

} // namespace pianola::cuda
