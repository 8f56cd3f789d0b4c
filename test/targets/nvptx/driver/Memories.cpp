// Memory of the device and of the host, copies and fills.
#include "test/targets/nvptx/driver/Stage.h"

#include <cstring>

namespace pianola::cuda {

namespace {

using Memories = Stage;

TEST_F(Memories, AllocateAndFree) {
  size_t before = 0, during = 0, after = 0, total = 0;
  EXPECT_SUCCESS(api().cuMemGetInfo_v2(&before, &total));
  EXPECT_EQ(before, total);
  CUdeviceptr address = allocate(1 << 20), none = 0;
  EXPECT_EQ(address % 256, 0u);
  EXPECT_SUCCESS(api().cuMemGetInfo_v2(&during, &total));
  EXPECT_EQ(before - during, 1u << 20);
  EXPECT_ERROR(INVALID_VALUE, api().cuMemAlloc_v2(&none, 0));
  EXPECT_ERROR(OUT_OF_MEMORY, api().cuMemAlloc_v2(&none, total));
  EXPECT_ERROR(INVALID_VALUE, api().cuMemFree_v2(address + 256));
  EXPECT_SUCCESS(api().cuMemFree_v2(address));
  EXPECT_ERROR(INVALID_VALUE, api().cuMemFree_v2(address));
  EXPECT_SUCCESS(api().cuMemFree_v2(0));
  EXPECT_SUCCESS(api().cuMemGetInfo_v2(&after, &total));
  EXPECT_EQ(before, after);
}

TEST_F(Memories, CopiesStayInside) {
  CUdeviceptr x = put<uint32_t>({1, 2, 3, 4}), y = allocate(16);
  EXPECT_SUCCESS(api().cuMemcpyDtoD_v2(y + 4, x, 12));
  EXPECT_SUCCESS(api().cuMemsetD32_v2(y, 7, 1));
  EXPECT_EQ(get<uint32_t>(y, 4), (std::vector<uint32_t>{7, 1, 2, 3}));
  EXPECT_SUCCESS(api().cuMemsetD8_v2(y + 13, 0xff, 3));
  EXPECT_EQ(get<uint32_t>(y, 4)[3], 0xffffff03u);
  uint32_t word = 0;
  EXPECT_ERROR(INVALID_VALUE, api().cuMemcpyDtoH_v2(&word, x + 13, 4));
  EXPECT_ERROR(INVALID_VALUE, api().cuMemcpyHtoD_v2(x + 16, &word, 4));
  EXPECT_ERROR(INVALID_VALUE, api().cuMemcpyHtoD_v2(4096, &word, 4));
  EXPECT_ERROR(INVALID_VALUE, api().cuMemcpyDtoD_v2(y, x, 17));
  EXPECT_ERROR(INVALID_VALUE, api().cuMemsetD32_v2(y + 2, 0, 1));
  EXPECT_ERROR(INVALID_VALUE, api().cuMemsetD32_v2(y, 0, 5));
  EXPECT_SUCCESS(api().cuMemcpyHtoD_v2(x, &word, 0));
}

TEST_F(Memories, UnifiedCopies) {
  CUdeviceptr x = allocate(8), y = allocate(8);
  uint64_t value = 0x123456789abcdef0, back = 0;
  auto at = [](void *pointer) { return reinterpret_cast<CUdeviceptr>(pointer); };
  EXPECT_SUCCESS(api().cuMemcpy(x, at(&value), 8));
  EXPECT_SUCCESS(api().cuMemcpy(y, x, 8));
  EXPECT_SUCCESS(api().cuMemcpy(at(&back), y, 8));
  EXPECT_EQ(back, value);
  auto *pinned = pin<uint64_t>(2);
  EXPECT_SUCCESS(api().cuMemcpyAsync(at(pinned), y, 8, nullptr));
  EXPECT_SUCCESS(api().cuMemcpyAsync(at(pinned + 1), at(pinned), 8, nullptr));
  EXPECT_SUCCESS(api().cuStreamSynchronize(nullptr));
  EXPECT_EQ(pinned[1], value);
}

TEST_F(Memories, Pinned) {
  auto *memory = pin<uint32_t>(1024);
  CUdeviceptr address = 0;
  ASSERT_SUCCESS(api().cuMemHostGetDevicePointer_v2(&address, memory + 3, 0));
  EXPECT_EQ(address, reinterpret_cast<CUdeviceptr>(memory + 3)); // unified addressing
  EXPECT_ERROR(INVALID_VALUE, api().cuMemHostGetDevicePointer_v2(&address, memory + 1024, 0));
  unsigned flags = 0, type = 0;
  EXPECT_SUCCESS(api().cuMemHostGetFlags(&flags, memory));
  EXPECT_EQ(flags, HostDeviceMap);
  EXPECT_SUCCESS(api().cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address));
  EXPECT_EQ(type, unsigned(CU_MEMORYTYPE_HOST));
  EXPECT_ERROR(INVALID_VALUE, api().cuMemFree_v2(reinterpret_cast<CUdeviceptr>(memory)));
  // The device works on it, and a run over its end is heard.
  memory[0] = 5;
  EXPECT_SUCCESS(launch(function("add_one"), 4, 256, 0, nullptr,
                        reinterpret_cast<CUdeviceptr>(memory), 1024u));
  EXPECT_SUCCESS(api().cuCtxSynchronize());
  EXPECT_EQ(memory[0], 6u);
  EXPECT_EQ(memory[1023], 1u);
  EXPECT_SUCCESS(api().cuMemFreeHost(memory));
  EXPECT_ERROR(INVALID_VALUE, api().cuMemFreeHost(memory));
  auto *again = pin<uint32_t>(4);
  testing::internal::CaptureStderr();
  EXPECT_SUCCESS(
      launch(function("add_one"), 1, 32, 0, nullptr, reinterpret_cast<CUdeviceptr>(again), 5u));
  EXPECT_ERROR(ILLEGAL_ADDRESS, api().cuCtxSynchronize());
  testing::internal::GetCapturedStderr();
}

TEST_F(Memories, PointerAttributes) {
  CUdeviceptr x = allocate(100), base = 0;
  size_t size = 0;
  unsigned type = 0;
  CUcontext of = nullptr;
  EXPECT_SUCCESS(api().cuMemGetAddressRange_v2(&base, &size, x + 50));
  EXPECT_EQ(base, x);
  EXPECT_EQ(size, 100u);
  EXPECT_ERROR(NOT_FOUND, api().cuMemGetAddressRange_v2(&base, &size, x + 100));
  CUpointer_attribute which[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_CONTEXT,
                                 CU_POINTER_ATTRIBUTE_RANGE_SIZE};
  void *answers[] = {&type, &of, &size};
  EXPECT_SUCCESS(api().cuPointerGetAttributes(3, which, answers, x + 99));
  EXPECT_EQ(type, unsigned(CU_MEMORYTYPE_DEVICE));
  EXPECT_EQ(of, context);
  int plain = 0;
  auto mine = reinterpret_cast<CUdeviceptr>(&plain);
  EXPECT_ERROR(INVALID_VALUE,
               api().cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, mine));
  EXPECT_SUCCESS(api().cuPointerGetAttributes(3, which, answers, mine));
  EXPECT_EQ(type, 0u);
  EXPECT_EQ(of, nullptr);
}

/// What an asynchronous call promises of memory that is not pinned.
TEST_F(Memories, PageableSourceIsReadAtOnce) {
  auto *flag = pin<uint32_t>(1);
  CUstream stream = makeStream();
  CUdeviceptr x = allocate(4), seen = allocate(4);
  ASSERT_SUCCESS(launch(function("wait_for_host"), 1, 1, 0, stream,
                        reinterpret_cast<CUdeviceptr>(flag), seen));
  uint32_t word = 1;
  auto *pinned = pin<uint32_t>(1);
  *pinned = 1;
  EXPECT_SUCCESS(api().cuMemcpyHtoDAsync_v2(x, &word, 4, stream));
  EXPECT_SUCCESS(api().cuMemcpyHtoDAsync_v2(seen, pinned, 4, stream));
  word = 2, *pinned = 2;
  __atomic_store_n(flag, 1, __ATOMIC_SEQ_CST);
  uint32_t back = 0;
  EXPECT_SUCCESS(api().cuMemcpyDtoHAsync_v2(&back, x, 4, stream)); // waits
  EXPECT_EQ(back, 1u);
  EXPECT_EQ(get<uint32_t>(seen, 1)[0], 2u);
}

} // namespace

} // namespace pianola::cuda
