// Streams and events: what waits for what.
#include "test/targets/nvptx/driver/Stage.h"

#include <atomic>

namespace pianola::cuda {

namespace {

using Streams = Stage;

TEST_F(Streams, LifeAndHandles) {
  CUstream stream = nullptr;
  EXPECT_ERROR(INVALID_VALUE, api().cuStreamCreate(&stream, 2));
  ASSERT_SUCCESS(api().cuStreamCreateWithPriority(&stream, StreamNonBlocking, -9));
  int priority = 0, least = 1, greatest = 1;
  unsigned flags = 0;
  CUcontext of = nullptr;
  EXPECT_SUCCESS(api().cuCtxGetStreamPriorityRange(&least, &greatest));
  EXPECT_SUCCESS(api().cuStreamGetPriority(stream, &priority));
  EXPECT_EQ(priority, greatest);
  EXPECT_SUCCESS(api().cuStreamGetFlags(stream, &flags));
  EXPECT_EQ(flags, StreamNonBlocking);
  EXPECT_SUCCESS(api().cuStreamGetCtx(stream, &of));
  EXPECT_EQ(of, context);
  EXPECT_SUCCESS(api().cuStreamDestroy_v2(stream));
  EXPECT_ERROR(INVALID_HANDLE, api().cuStreamDestroy_v2(stream));
  EXPECT_ERROR(INVALID_HANDLE, api().cuStreamSynchronize(stream));
  EXPECT_SUCCESS(api().cuStreamSynchronize(reinterpret_cast<CUstream>(1)));
  EXPECT_SUCCESS(api().cuStreamSynchronize(reinterpret_cast<CUstream>(2)));
}

TEST_F(Streams, WorkIsDoneInOrder) {
  CUdeviceptr x = put(std::vector<uint32_t>(256, 0));
  CUfunction add = function("add_one");
  CUstream stream = makeStream();
  auto *result = pin<uint32_t>(256);
  for (int i = 0; i < 10; ++i)
    ASSERT_SUCCESS(launch(add, 2, 128, 0, stream, x, 256u));
  EXPECT_SUCCESS(api().cuMemcpyDtoHAsync_v2(result, x, 1024, stream));
  EXPECT_SUCCESS(api().cuMemsetD32Async(x, 100, 256, stream));
  EXPECT_SUCCESS(api().cuStreamDestroy_v2(stream)); // what it was given is still done
  EXPECT_SUCCESS(api().cuCtxSynchronize());
  EXPECT_EQ(result[0], 10u);
  EXPECT_EQ(result[255], 10u);
  EXPECT_EQ(get<uint32_t>(x, 1)[0], 100u);
}

TEST_F(Streams, EventsOrderThem) {
  CUfunction add = function("add_one");
  for (const char *seed : {"1", "2", "3"}) {
    begin({{"PIANOLA_EMULATOR_SEED", seed}});
    add = function("add_one");
    CUdeviceptr x = allocate(1024);
    CUstream one = makeStream(), two = makeStream();
    CUevent filled = nullptr;
    ASSERT_SUCCESS(api().cuEventCreate(&filled, EventDisableTiming));
    EXPECT_SUCCESS(api().cuStreamWaitEvent(two, filled, 0)); // never recorded: nothing to wait for
    auto *pinned = pin<uint32_t>(256);
    pinned[255] = 20;
    EXPECT_SUCCESS(api().cuMemcpyHtoDAsync_v2(x, pinned, 1024, one));
    EXPECT_SUCCESS(api().cuEventRecord(filled, one));
    EXPECT_SUCCESS(api().cuStreamWaitEvent(two, filled, 0));
    EXPECT_SUCCESS(launch(add, 2, 128, 0, two, x, 256u));
    EXPECT_SUCCESS(api().cuStreamSynchronize(two));
    EXPECT_SUCCESS(api().cuEventQuery(filled));
    EXPECT_EQ(get<uint32_t>(x, 256)[255], 21u);
    EXPECT_SUCCESS(api().cuEventDestroy_v2(filled));
    EXPECT_ERROR(INVALID_HANDLE, api().cuEventQuery(filled));
  }
}

/// Without an event, some seed runs the streams the wrong way round.
TEST_F(Streams, AMissingEventIsFound) {
  bool early = false, late = false;
  for (int seed = 0; seed < 20; ++seed) {
    begin({{"PIANOLA_EMULATOR_SEED", std::to_string(seed)}});
    CUstream gate = makeStream(), one = makeStream(), two = makeStream();
    CUdeviceptr x = put<uint32_t>({0}), y = put<uint32_t>({9});
    auto *flag = pin<uint32_t>(1);
    CUfunction copy = function("wait_for_host");
    CUevent open = nullptr;
    ASSERT_SUCCESS(api().cuEventCreate(&open, 0));
    ASSERT_SUCCESS(launch(copy, 1, 1, 0, gate, reinterpret_cast<CUdeviceptr>(flag), x));
    EXPECT_SUCCESS(api().cuEventRecord(open, gate));
    for (CUstream each : {one, two})
      EXPECT_SUCCESS(api().cuStreamWaitEvent(each, open, 0));
    EXPECT_SUCCESS(api().cuMemsetD32Async(x, 5, 1, one));
    EXPECT_SUCCESS(api().cuMemcpyDtoDAsync_v2(y, x, 4, two));
    __atomic_store_n(flag, 1, __ATOMIC_SEQ_CST);
    EXPECT_SUCCESS(api().cuCtxSynchronize());
    (get<uint32_t>(y, 1)[0] == 5 ? late : early) = true;
  }
  EXPECT_TRUE(early && late);
}

TEST_F(Streams, TheDefaultStreamWaitsForBlockingOnes) {
  CUstream blocking = makeStream(0);
  CUdeviceptr x = put<uint32_t>({0});
  auto *flag = pin<uint32_t>(1);
  ASSERT_SUCCESS(
      launch(function("wait_for_host"), 1, 1, 0, blocking, reinterpret_cast<CUdeviceptr>(flag), x));
  EXPECT_SUCCESS(launch(function("add_one"), 1, 1, 0, nullptr, x, 1u));
  EXPECT_ERROR(NOT_READY, api().cuStreamQuery(nullptr));
  __atomic_store_n(flag, 6, __ATOMIC_SEQ_CST);
  EXPECT_SUCCESS(api().cuStreamSynchronize(nullptr));
  EXPECT_EQ(get<uint32_t>(x, 1)[0], 7u);
}

TEST_F(Streams, HostFunctions) {
  CUstream stream = makeStream();
  CUdeviceptr x = put<uint32_t>({0});
  static std::atomic<int> calls;
  calls = 0;
  auto count = [](void *data) {
    ++calls;
    *static_cast<int *>(data) += 10;
  };
  int data = 1;
  EXPECT_SUCCESS(launch(function("add_one"), 1, 1, 0, stream, x, 1u));
  EXPECT_SUCCESS(api().cuLaunchHostFunc(stream, count, &data));
  EXPECT_SUCCESS(api().cuLaunchHostFunc(stream, count, &data));
  EXPECT_SUCCESS(api().cuStreamSynchronize(stream));
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(data, 21);
  EXPECT_ERROR(INVALID_VALUE, api().cuLaunchHostFunc(stream, nullptr, nullptr));
}

TEST_F(Streams, TimeIsEmulated) {
  CUevent begin = nullptr, end = nullptr, untimed = nullptr;
  ASSERT_SUCCESS(api().cuEventCreate(&begin, 0));
  ASSERT_SUCCESS(api().cuEventCreate(&end, EventBlockingSync));
  ASSERT_SUCCESS(api().cuEventCreate(&untimed, EventDisableTiming));
  float milliseconds = -1;
  EXPECT_ERROR(INVALID_HANDLE, api().cuEventElapsedTime(&milliseconds, begin, end));
  CUdeviceptr x = put(std::vector<uint32_t>(1 << 20, 0));
  auto measure = [&](uint32_t n) {
    EXPECT_SUCCESS(api().cuEventRecord(begin, nullptr));
    EXPECT_SUCCESS(launch(function("add_one"), n / 256, 256, 0, nullptr, x, n));
    EXPECT_SUCCESS(api().cuEventRecord(end, nullptr));
    EXPECT_SUCCESS(api().cuEventSynchronize(end));
    EXPECT_SUCCESS(api().cuEventElapsedTime(&milliseconds, begin, end));
    return milliseconds;
  };
  float small = measure(1 << 16), large = measure(1 << 18), again = measure(1 << 16);
  EXPECT_GT(small, 0);
  EXPECT_GT(large, small);
  EXPECT_NEAR(again / small, 1, 1e-3); // whatever this machine was busy with
  EXPECT_SUCCESS(api().cuEventRecord(untimed, nullptr));
  EXPECT_ERROR(INVALID_HANDLE, api().cuEventElapsedTime(&milliseconds, begin, untimed));
}

} // namespace

} // namespace pianola::cuda
