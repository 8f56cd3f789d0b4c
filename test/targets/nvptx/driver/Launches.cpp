// Launches: parameters, what is refused, what a wrong note does to the context.
#include "test/targets/nvptx/driver/Stage.h"

#include <cstring>

namespace pianola::cuda {

namespace {

using Launches = Stage;
constexpr uint32_t count = 1000;

TEST_F(Launches, Saxpy) {
  std::vector<float> x(count), y(count), expected(count);
  for (uint32_t i = 0; i < count; ++i)
    x[i] = float(i), y[i] = float(2 * i + 1), expected[i] = 3 * x[i] + y[i];
  CUdeviceptr onX = put(x), onY = put(y);
  ASSERT_SUCCESS(launch(function("saxpy"), 4, 256, 0, nullptr, 3.0f, onX, onY, count));
  EXPECT_SUCCESS(api().cuCtxSynchronize());
  EXPECT_EQ(get<float>(onY, count), expected);
}

TEST_F(Launches, ParametersInOneBuffer) {
  CUdeviceptr y = allocate(4);
  struct {
    uint8_t low = 5;
    uint8_t padding[7] = {};
    CUdeviceptr address;
    uint32_t value = 100;
    uint32_t end = 0;
  } bytes;
  bytes.address = y;
  size_t size = sizeof bytes;
  void *extra[] = {reinterpret_cast<void *>(1), &bytes, reinterpret_cast<void *>(2), &size,
                   nullptr};
  CUfunction store = function("store_pair");
  auto start = [&] {
    return api().cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra);
  };
  ASSERT_SUCCESS(start());
  EXPECT_EQ(get<uint32_t>(y, 1)[0], 105u);
  size = 12;
  EXPECT_ERROR(INVALID_VALUE, start());
  EXPECT_ERROR(INVALID_VALUE,
               api().cuLaunchKernel(store, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
}

TEST_F(Launches, RefusesBadShapes) {
  CUdeviceptr y = allocate(4096);
  CUfunction narrow = function("narrow");
  EXPECT_ERROR(INVALID_VALUE, launch(narrow, 0, 32, 0, nullptr, y));
  EXPECT_ERROR(INVALID_VALUE, launch(narrow, 1, 0, 0, nullptr, y));
  EXPECT_ERROR(INVALID_VALUE, launch(narrow, 1, 1025, 0, nullptr, y));
  EXPECT_ERROR(INVALID_VALUE, launch(narrow, 1, 65, 0, nullptr, y)); // __launch_bounds__(64)
  EXPECT_ERROR(INVALID_HANDLE, launch(nullptr, 1, 32, 0, nullptr, y));
  EXPECT_ERROR(INVALID_HANDLE, launch(narrow, 1, 32, 0, reinterpret_cast<CUstream>(64), y));
  EXPECT_SUCCESS(launch(narrow, 1, 64, 0, nullptr, y));
  EXPECT_SUCCESS(api().cuCtxSynchronize());
}

TEST_F(Launches, SharedMemoryIsAskedFor) {
  std::vector<uint32_t> x(1024), backwards(1024);
  for (uint32_t i = 0; i < 1024; ++i)
    x[i] = i, backwards[i] = 1023 - i;
  CUdeviceptr onX = put(x), y = allocate(4096);
  CUfunction reverse = function("reverse");
  int value = 0;
  EXPECT_SUCCESS(
      api().cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, reverse));
  EXPECT_EQ(value, 48 << 10);
  EXPECT_SUCCESS(launch(reverse, 1, 1024, 48 << 10, nullptr, onX, y));
  EXPECT_ERROR(INVALID_VALUE, launch(reverse, 1, 1024, (48 << 10) + 4, nullptr, onX, y));
  auto ask = [&](int bytes) {
    return api().cuFuncSetAttribute(reverse, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                    bytes);
  };
  EXPECT_ERROR(INVALID_VALUE, ask((227 << 10) + 1));
  EXPECT_ERROR(INVALID_VALUE, ask(-1));
  EXPECT_SUCCESS(ask(227 << 10));
  EXPECT_SUCCESS(launch(reverse, 1, 1024, 227 << 10, nullptr, onX, y));
  EXPECT_EQ(get<uint32_t>(y, 1024), backwards);
}

TEST_F(Launches, Occupancy) {
  CUfunction reverse = function("reverse");
  auto blocks = [&](int threads, size_t shared) {
    int answer = -1;
    EXPECT_SUCCESS(
        api().cuOccupancyMaxActiveBlocksPerMultiprocessor(&answer, reverse, threads, shared));
    return answer;
  };
  EXPECT_EQ(blocks(1024, 0), 2);        // 2048 threads
  EXPECT_EQ(blocks(32, 0), 32);         // 32 blocks
  EXPECT_EQ(blocks(128, 227 << 10), 1); // 228 KiB, 1 KiB of each block's reserved
  EXPECT_EQ(blocks(128, 113 << 10), 2);
  EXPECT_EQ(blocks(128, 114 << 10), 1);
  EXPECT_EQ(blocks(128, 228 << 10), 0);
}

TEST_F(Launches, Attributes) {
  auto value = [&](const char *name, CUfunction_attribute attribute) {
    int answer = -1;
    EXPECT_SUCCESS(api().cuFuncGetAttribute(&answer, attribute, function(name)));
    return answer;
  };
  EXPECT_EQ(value("narrow", CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK), 64);
  EXPECT_EQ(value("saxpy", CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK), 1024);
  EXPECT_EQ(value("play_tokens", CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES), 4);
  EXPECT_EQ(value("saxpy", CU_FUNC_ATTRIBUTE_PTX_VERSION), 80);
  EXPECT_EQ(value("saxpy", CU_FUNC_ATTRIBUTE_BINARY_VERSION), 90);
  EXPECT_GT(value("saxpy", CU_FUNC_ATTRIBUTE_NUM_REGS), 0);
}

TEST_F(Launches, Cooperative) {
  load(readText(PIANOLA_SOURCE_DIR "/test/targets/nvptx/emulator/kernels/grid.sm_80.ptx"));
  CUfunction sync = function("grid_sync");
  constexpr uint32_t blocks = 4, threads = 64, n = blocks * threads;
  uint32_t steps = 3;
  std::vector<float> a(n), b(n);
  for (uint32_t i = 0; i < n; ++i)
    a[i] = float(i * i % 31);
  CUdeviceptr onA = put(a), onB = put(b);
  for (uint32_t s = 0; s < steps; ++s) {
    for (uint32_t i = 0; i < n; ++i)
      b[i] = i > 0 && i + 1 < n ? (a[i - 1] + a[i + 1]) * 0.5f : a[i];
    std::swap(a, b);
  }
  uint32_t size = n;
  void *parameters[] = {&onA, &onB, &size, &steps};
  auto start = [&](unsigned grid) {
    return api().cuLaunchCooperativeKernel(sync, grid, 1, 1, threads, 1, 1, 0, nullptr, parameters);
  };
  EXPECT_ERROR(COOPERATIVE_LAUNCH_TOO_LARGE, start(132 * 32 + 1));
  ASSERT_SUCCESS(start(blocks));
  EXPECT_SUCCESS(api().cuCtxSynchronize());
  EXPECT_EQ(get<float>(onB, n), a);

  // The same as an attribute.
  CUlaunchAttribute attributes[2] = {};
  attributes[0].id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
  attributes[0].value.cooperative = 1;
  attributes[1].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  attributes[1].value.clusterDim = {1, 1, 1};
  CUlaunchConfig config = {132 * 32 + 1, 1, 1, threads, 1, 1, 0, nullptr, attributes, 2};
  EXPECT_ERROR(COOPERATIVE_LAUNCH_TOO_LARGE,
               api().cuLaunchKernelEx(&config, sync, parameters, nullptr));
  config.gridDimX = blocks;
  EXPECT_SUCCESS(api().cuLaunchKernelEx(&config, sync, parameters, nullptr));
  attributes[1].value.clusterDim.x = 2;
  EXPECT_ERROR(INVALID_CLUSTER_SIZE, api().cuLaunchKernelEx(&config, sync, parameters, nullptr));
  EXPECT_SUCCESS(api().cuCtxSynchronize());
}

TEST_F(Launches, WildStoreStays) {
  CUdeviceptr x = allocate(64);
  uint32_t n = 64;
  EXPECT_SUCCESS(api().cuMemsetD8_v2(x, 0, 64));
  CUfunction add = function("add_one");
  testing::internal::CaptureStderr();
  ASSERT_SUCCESS(launch(add, 1, 64, 0, nullptr, x, n)); // 16 are there
  EXPECT_ERROR(ILLEGAL_ADDRESS, api().cuCtxSynchronize());
  std::string heard = testing::internal::GetCapturedStderr();
  EXPECT_NE(heard.find("out-of-bounds"), std::string::npos) << heard;
  // Nothing goes on in this context, but it can be destroyed, and another one is healthy.
  EXPECT_ERROR(ILLEGAL_ADDRESS, launch(add, 1, 16, 0, nullptr, x, 16u));
  EXPECT_ERROR(ILLEGAL_ADDRESS, api().cuMemAlloc_v2(&x, 64));
  begin();
  x = put<uint32_t>({1, 2});
  EXPECT_SUCCESS(launch(function("add_one"), 1, 2, 0, nullptr, x, 2u));
  EXPECT_EQ(get<uint32_t>(x, 2), (std::vector<uint32_t>{2, 3}));
}

TEST_F(Launches, TrapAndMisaligned) {
  testing::internal::CaptureStderr();
  ASSERT_SUCCESS(launch(function("stop"), 1, 1, 0, nullptr));
  EXPECT_ERROR(LAUNCH_FAILED, api().cuStreamSynchronize(nullptr));
  EXPECT_ERROR(LAUNCH_FAILED, api().cuStreamSynchronize(nullptr));
  begin();
  struct {
    CUdeviceptr address;
    uint32_t value = 1, end = 0;
  } pair;
  pair.address = allocate(64) + 2;
  ASSERT_SUCCESS(launch(function("store_pair"), 1, 1, 0, nullptr, uint8_t(0), pair));
  EXPECT_ERROR(MISALIGNED_ADDRESS, api().cuCtxSynchronize());
  EXPECT_FALSE(testing::internal::GetCapturedStderr().empty());
}

TEST_F(Launches, DeadlockIsATimeout) {
  CUdeviceptr flag = put<uint32_t>({0});
  testing::internal::CaptureStderr();
  ASSERT_SUCCESS(launch(function("wait_for_nobody"), 1, 32, 0, nullptr, flag));
  EXPECT_ERROR(LAUNCH_TIMEOUT, api().cuCtxSynchronize());
  EXPECT_NE(testing::internal::GetCapturedStderr().find("deadlock"), std::string::npos);
}

TEST_F(Launches, FindingsFailOnce) {
  // Reads of memory that nothing wrote stop nothing, and the context stays healthy.
  CUdeviceptr x = allocate(64);
  testing::internal::CaptureStderr();
  ASSERT_SUCCESS(launch(function("add_one"), 1, 16, 0, nullptr, x, 16u));
  EXPECT_ERROR(LAUNCH_FAILED, api().cuCtxSynchronize());
  EXPECT_SUCCESS(api().cuCtxSynchronize());
  EXPECT_NE(testing::internal::GetCapturedStderr().find("uninitialised"), std::string::npos);

  begin({{"PIANOLA_EMULATOR_FINDINGS", "report"}});
  x = allocate(64);
  testing::internal::CaptureStderr();
  ASSERT_SUCCESS(launch(function("add_one"), 1, 16, 0, nullptr, x, 16u));
  EXPECT_SUCCESS(api().cuCtxSynchronize());
  EXPECT_NE(testing::internal::GetCapturedStderr().find("uninitialised"), std::string::npos);

  begin({{"PIANOLA_EMULATOR_CHECKS", "none"}});
  x = allocate(64);
  testing::internal::CaptureStderr();
  ASSERT_SUCCESS(launch(function("add_one"), 1, 16, 0, nullptr, x, 16u));
  EXPECT_SUCCESS(api().cuCtxSynchronize());
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

} // namespace

} // namespace pianola::cuda
