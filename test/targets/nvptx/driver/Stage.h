// Stage.h - where kernels are launched through the driver's functions: the emulator as a driver,
// opened as a player opens it, and one context.
#ifndef PIANOLA_TEST_TARGETS_NVPTX_DRIVER_STAGE_H
#define PIANOLA_TEST_TARGETS_NVPTX_DRIVER_STAGE_H

#include "runtime/cuda/Driver.h"
#include "targets/nvptx/driver/DriverApi.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace pianola::cuda {

/// Every function of the library, where Driver only has those that a player needs.
struct WholeApi {
#define PIANOLA_MEMBER(name, parameters) CUresult(*name) parameters = nullptr;
  PIANOLA_DRIVER_API(PIANOLA_MEMBER)
#undef PIANOLA_MEMBER
};

/// The functions, once the library is open.
const WholeApi &api();

inline const char *nameOf(CUresult result) {
  const char *name = nullptr;
  api().cuGetErrorName(result, &name);
  return name ? name : "an error without a name";
}

#define EXPECT_SUCCESS(call) EXPECT_STREQ(nameOf(call), "CUDA_SUCCESS")
#define ASSERT_SUCCESS(call) ASSERT_STREQ(nameOf(call), "CUDA_SUCCESS")
#define EXPECT_ERROR(error, call) EXPECT_STREQ(nameOf(call), "CUDA_ERROR_" #error)

std::string readText(const std::string &path);
std::string kernelText(); ///< of kernels/driver.sm_80.ptx

class Stage : public ::testing::Test {
protected:
  void SetUp() override;
  void TearDown() override;

  /// A context on a device that reads the environment anew.
  void begin(const std::map<std::string, std::string> &environment = {});
  void end();
  void load(const std::string &text = kernelText());
  CUfunction function(const char *name);
  CUdeviceptr allocate(size_t bytes);
  template <typename T> CUdeviceptr put(const std::vector<T> &values) {
    CUdeviceptr address = allocate(values.size() * sizeof(T));
    EXPECT_SUCCESS(api().cuMemcpyHtoD_v2(address, values.data(), values.size() * sizeof(T)));
    return address;
  }
  template <typename T> std::vector<T> get(CUdeviceptr address, size_t count) {
    std::vector<T> values(count);
    EXPECT_SUCCESS(api().cuMemcpyDtoH_v2(values.data(), address, count * sizeof(T)));
    return values;
  }
  template <typename T> T *pin(size_t count) {
    void *memory = nullptr;
    EXPECT_SUCCESS(api().cuMemHostAlloc(&memory, count * sizeof(T), HostDeviceMap));
    for (size_t i = 0; memory && i < count; ++i)
      new (static_cast<T *>(memory) + i) T();
    return static_cast<T *>(memory);
  }
  template <typename... T>
  CUresult launch(CUfunction kernel, unsigned grid, unsigned block, unsigned dynamicShared,
                  CUstream stream, T... values) {
    void *parameters[] = {&values..., nullptr};
    return api().cuLaunchKernel(kernel, grid, 1, 1, block, 1, 1, dynamicShared, stream, parameters,
                                nullptr);
  }
  CUstream makeStream(unsigned flags = StreamNonBlocking);

  CUcontext context = nullptr;
  CUmodule module = nullptr;

private:
  std::vector<std::string> changed; ///< variables of the environment
};

} // namespace pianola::cuda

#endif
