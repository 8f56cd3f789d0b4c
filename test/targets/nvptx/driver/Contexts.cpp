// Contexts: which one a thread works in, and that they do not know of each other.
#include "test/targets/nvptx/driver/Stage.h"

#include <thread>

namespace pianola::cuda {

namespace {

using Contexts = Stage;

TEST_F(Contexts, NoneIsCurrent) {
  end();
  CUdeviceptr address = 0;
  CUcontext current = nullptr;
  CUdevice device = -1;
  EXPECT_SUCCESS(api().cuCtxGetCurrent(&current));
  EXPECT_EQ(current, nullptr);
  EXPECT_ERROR(INVALID_CONTEXT, api().cuMemAlloc_v2(&address, 64));
  EXPECT_ERROR(INVALID_CONTEXT, api().cuCtxSynchronize());
  EXPECT_ERROR(INVALID_CONTEXT, api().cuCtxGetDevice(&device));
  EXPECT_ERROR(INVALID_CONTEXT, api().cuCtxPopCurrent_v2(&current));
  EXPECT_ERROR(INVALID_CONTEXT, api().cuCtxDestroy_v2(nullptr));
  EXPECT_ERROR(INVALID_DEVICE, api().cuCtxCreate_v2(&current, 0, 1));
  EXPECT_ERROR(INVALID_DEVICE, api().cuCtxCreate_v3(&current, nullptr, 0, 0, 1));
  EXPECT_ERROR(NOT_SUPPORTED, api().cuCtxCreate_v3(&current, nullptr, 1, 0, 0));
}

TEST_F(Contexts, Stack) {
  CUcontext second = nullptr, current = nullptr;
  CUctxCreateParams parameters = {};
  ASSERT_SUCCESS(api().cuCtxCreate_v4(&second, &parameters, ScheduleBlockingSync, 0));
  EXPECT_SUCCESS(api().cuCtxGetCurrent(&current));
  EXPECT_EQ(current, second);
  unsigned flags = 0;
  EXPECT_SUCCESS(api().cuCtxGetFlags(&flags));
  EXPECT_EQ(flags, ScheduleBlockingSync);
  EXPECT_SUCCESS(api().cuCtxPopCurrent_v2(&current));
  EXPECT_EQ(current, second);
  EXPECT_SUCCESS(api().cuCtxGetCurrent(&current));
  EXPECT_EQ(current, context);
  EXPECT_SUCCESS(api().cuCtxPushCurrent_v2(second));
  EXPECT_SUCCESS(api().cuCtxDestroy_v2(second));
  EXPECT_SUCCESS(api().cuCtxGetCurrent(&current));
  EXPECT_EQ(current, context);
  EXPECT_ERROR(INVALID_CONTEXT, api().cuCtxSetCurrent(second));
}

TEST_F(Contexts, ADestroyedOneIsNoticed) {
  CUcontext other = nullptr, popped = nullptr;
  ASSERT_SUCCESS(api().cuCtxCreate_v2(&other, 0, 0));
  std::thread([&] {
    EXPECT_SUCCESS(api().cuCtxSetCurrent(other));
    std::thread([&] { EXPECT_SUCCESS(api().cuCtxDestroy_v2(other)); }).join();
    CUdeviceptr address;
    EXPECT_ERROR(CONTEXT_IS_DESTROYED, api().cuMemAlloc_v2(&address, 64));
  }).join();
  EXPECT_SUCCESS(api().cuCtxPopCurrent_v2(&popped));
}

TEST_F(Contexts, Primary) {
  CUcontext first = nullptr, second = nullptr;
  unsigned flags = 0;
  int active = -1;
  EXPECT_SUCCESS(api().cuDevicePrimaryCtxGetState(0, &flags, &active));
  EXPECT_EQ(active, 0);
  EXPECT_SUCCESS(api().cuDevicePrimaryCtxSetFlags_v2(0, ScheduleBlockingSync));
  ASSERT_SUCCESS(api().cuDevicePrimaryCtxRetain(&first, 0));
  ASSERT_SUCCESS(api().cuDevicePrimaryCtxRetain(&second, 0));
  EXPECT_EQ(first, second);
  EXPECT_ERROR(INVALID_CONTEXT, api().cuCtxDestroy_v2(first));
  EXPECT_SUCCESS(api().cuDevicePrimaryCtxRelease_v2(0));
  EXPECT_SUCCESS(api().cuDevicePrimaryCtxGetState(0, &flags, &active));
  EXPECT_EQ(active, 1);
  EXPECT_EQ(flags, ScheduleBlockingSync);
  EXPECT_SUCCESS(api().cuDevicePrimaryCtxRelease_v2(0));
  EXPECT_ERROR(INVALID_CONTEXT, api().cuDevicePrimaryCtxRelease_v2(0));
  ASSERT_SUCCESS(api().cuDevicePrimaryCtxRetain(&first, 0));
  EXPECT_SUCCESS(api().cuDevicePrimaryCtxReset_v2(0));
  EXPECT_SUCCESS(api().cuDevicePrimaryCtxGetState(0, &flags, &active));
  EXPECT_EQ(active, 0);
  EXPECT_SUCCESS(api().cuDevicePrimaryCtxSetFlags_v2(0, 0));
}

TEST_F(Contexts, Limits) {
  size_t value = 0;
  EXPECT_SUCCESS(api().cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
  EXPECT_EQ(value, 1024u);
  EXPECT_SUCCESS(api().cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
  EXPECT_SUCCESS(api().cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
  EXPECT_EQ(value, 4096u);
  EXPECT_ERROR(UNSUPPORTED_LIMIT, api().cuCtxGetLimit(&value, CUlimit(99)));
}

/// Two threads, each with a context of its own; in one of them a kernel goes wrong.
TEST_F(Contexts, TwoAtOnce) {
  std::string text = kernelText();
  testing::internal::CaptureStderr();
  auto work = [&](uint32_t begin, bool goesWrong) {
    CUcontext mine = nullptr;
    CUmodule code = nullptr;
    CUfunction add = nullptr;
    CUdeviceptr x = 0;
    ASSERT_SUCCESS(api().cuCtxCreate_v2(&mine, 0, 0));
    ASSERT_SUCCESS(api().cuModuleLoadData(&code, text.c_str()));
    ASSERT_SUCCESS(api().cuModuleGetFunction(&add, code, "add_one"));
    ASSERT_SUCCESS(api().cuMemAlloc_v2(&x, 4096));
    std::vector<uint32_t> values(1024, begin);
    ASSERT_SUCCESS(api().cuMemcpyHtoD_v2(x, values.data(), 4096));
    for (uint32_t i = 0; i < 20; ++i) {
      uint32_t n = 1024;
      void *parameters[] = {&x, &n};
      ASSERT_SUCCESS(
          api().cuLaunchKernel(add, 8, 1, 1, 128, 1, 1, 0, nullptr, parameters, nullptr));
    }
    EXPECT_SUCCESS(api().cuMemcpyDtoH_v2(values.data(), x, 4096));
    EXPECT_EQ(values, std::vector<uint32_t>(1024, begin + 20));
    if (goesWrong) {
      uint32_t n = 4096;
      void *parameters[] = {&x, &n};
      EXPECT_SUCCESS(
          api().cuLaunchKernel(add, 32, 1, 1, 128, 1, 1, 0, nullptr, parameters, nullptr));
      EXPECT_ERROR(ILLEGAL_ADDRESS, api().cuCtxSynchronize());
    }
    EXPECT_SUCCESS(api().cuCtxDestroy_v2(mine));
  };
  std::thread one(work, 10, true), two(work, 500, false);
  one.join(), two.join();
  testing::internal::GetCapturedStderr();
  EXPECT_SUCCESS(api().cuCtxSynchronize());
}

} // namespace

} // namespace pianola::cuda
