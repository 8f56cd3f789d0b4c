// Kernels that run while the host goes on, and talk with it.
#include "test/targets/nvptx/driver/Stage.h"

#include <atomic>
#include <thread>

namespace pianola::cuda {

namespace {

using Persistent = Stage;

struct Ring {
  std::atomic<uint32_t> head, tail, cancel, unused;
  uint32_t tokens[8];
};

template <typename Predicate> bool comesTrue(Predicate holds) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::yield();
  }
  return true;
}

TEST_F(Persistent, TokensUntilCancelled) {
  auto *ring = pin<Ring>(1);
  CUdeviceptr onDevice = 0;
  ASSERT_SUCCESS(api().cuMemHostGetDevicePointer_v2(&onDevice, ring, 0));
  CUdeviceptr step = put<uint32_t>({0}), token = put<uint32_t>({0});
  uint32_t most = 1u << 30;
  void *parameters[] = {&onDevice, &step, &token, &most};
  CUfunction play = function("play_tokens");
  CUstream stream = makeStream();
  ASSERT_SUCCESS(api().cuLaunchCooperativeKernel(play, 2, 1, 1, 64, 1, 1, 0, stream, parameters));
  uint32_t expected = 1;
  for (uint32_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(comesTrue([&] { return ring->head.load() > i; })) << i;
    expected = expected * 1664525u + 1013904223u;
    ASSERT_EQ(ring->tokens[i % 8], expected) << i;
    ring->tail.store(i + 1);
    if (i == 50) { // the host may rest
      EXPECT_ERROR(NOT_READY, api().cuStreamQuery(stream));
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  ring->cancel.store(1);
  EXPECT_SUCCESS(api().cuStreamSynchronize(stream));
  EXPECT_SUCCESS(api().cuStreamQuery(stream));
}

TEST_F(Persistent, CopiesAndAllocationsGoOnMeanwhile) {
  auto *flag = pin<std::atomic<uint32_t>>(1);
  auto *source = pin<uint32_t>(1);
  CUdeviceptr seen = put<uint32_t>({0});
  CUstream kernels = makeStream(), copies = makeStream();
  auto address = reinterpret_cast<CUdeviceptr>(flag); // unified addressing
  ASSERT_SUCCESS(launch(function("wait_for_host"), 1, 1, 0, kernels, address, seen));
  CUdeviceptr other = allocate(4);
  *source = 77;
  uint32_t back = 0;
  EXPECT_SUCCESS(api().cuMemcpyHtoDAsync_v2(other, source, 4, copies));
  EXPECT_SUCCESS(api().cuMemcpyDtoHAsync_v2(&back, other, 4, copies));
  EXPECT_SUCCESS(api().cuStreamSynchronize(copies));
  EXPECT_EQ(back, 77u);
  EXPECT_ERROR(NOT_READY, api().cuStreamQuery(kernels));
  flag->store(5);
  EXPECT_SUCCESS(api().cuStreamSynchronize(kernels));
  EXPECT_EQ(get<uint32_t>(seen, 1)[0], 5u);
}

/// A flag in device memory, set by a copy while the kernel polls it.
TEST_F(Persistent, ACopyWakesTheKernel) {
  begin({{"PIANOLA_EMULATOR_PATIENCE", "20"}});
  auto *flag = pin<std::atomic<uint32_t>>(1);
  CUdeviceptr seen = put<uint32_t>({0});
  CUstream kernels = makeStream(), copies = makeStream();
  ASSERT_SUCCESS(launch(function("wait_for_host"), 1, 1, 0, kernels,
                        reinterpret_cast<CUdeviceptr>(flag), seen));
  EXPECT_SUCCESS(api().cuMemsetD32Async(reinterpret_cast<CUdeviceptr>(flag), 9, 1, copies));
  EXPECT_SUCCESS(api().cuStreamSynchronize(kernels));
  EXPECT_EQ(get<uint32_t>(seen, 1)[0], 9u);
}

TEST_F(Persistent, PatienceWithTheHostEnds) {
  begin({{"PIANOLA_EMULATOR_PATIENCE", "0.2"}});
  auto *flag = pin<std::atomic<uint32_t>>(1);
  CUdeviceptr seen = put<uint32_t>({0});
  testing::internal::CaptureStderr();
  auto start = std::chrono::steady_clock::now();
  ASSERT_SUCCESS(launch(function("wait_for_host"), 1, 1, 0, nullptr,
                        reinterpret_cast<CUdeviceptr>(flag), seen));
  EXPECT_ERROR(LAUNCH_TIMEOUT, api().cuCtxSynchronize());
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_GE(seconds, 0.2);
  EXPECT_LT(seconds, 10);
  std::string heard = testing::internal::GetCapturedStderr();
  EXPECT_NE(heard.find(" at host"), std::string::npos) << heard;
}

/// Atomics of both sides on one word lose nothing.
TEST_F(Persistent, CountsTogether) {
  auto *counter = pin<std::atomic<uint32_t>>(1);
  constexpr uint32_t blocks = 64, threads = 128;
  CUfunction count = function("count_for_host");
  uint32_t mine = 0;
  std::atomic<bool> done{false};
  std::thread host([&] {
    for (; !done; ++mine)
      counter->fetch_add(1);
  });
  CUstream stream = makeStream();
  EXPECT_SUCCESS(launch(count, blocks, threads, 0, stream, reinterpret_cast<CUdeviceptr>(counter)));
  EXPECT_SUCCESS(api().cuStreamSynchronize(stream));
  done = true;
  host.join();
  EXPECT_EQ(counter->load(), mine + blocks * threads);
}

TEST_F(Persistent, RegisteredMemory) {
  alignas(64) static std::atomic<uint32_t> flag;
  flag = 0;
  CUdeviceptr address = 0;
  EXPECT_ERROR(INVALID_VALUE, api().cuMemHostGetDevicePointer_v2(&address, &flag, 0));
  ASSERT_SUCCESS(api().cuMemHostRegister_v2(&flag, 64, HostDeviceMap));
  EXPECT_ERROR(HOST_MEMORY_ALREADY_REGISTERED, api().cuMemHostRegister_v2(&flag, 4, 0));
  ASSERT_SUCCESS(api().cuMemHostGetDevicePointer_v2(&address, &flag, 0));
  CUdeviceptr seen = put<uint32_t>({0});
  CUstream stream = makeStream();
  ASSERT_SUCCESS(launch(function("wait_for_host"), 1, 1, 0, stream, address, seen));
  flag = 3;
  EXPECT_SUCCESS(api().cuStreamSynchronize(stream));
  EXPECT_EQ(get<uint32_t>(seen, 1)[0], 3u);
  EXPECT_SUCCESS(api().cuMemHostUnregister(&flag));
  EXPECT_ERROR(HOST_MEMORY_NOT_REGISTERED, api().cuMemHostUnregister(&flag));
}

} // namespace

} // namespace pianola::cuda
