// The device: its row in the table, as the driver's attributes say it.
#include "test/targets/nvptx/driver/Stage.h"

#include <cmath>
#include <cstdlib>

namespace pianola::cuda {

namespace {

int valueOf(CUdevice_attribute attribute) {
  int value = -1;
  EXPECT_SUCCESS(api().cuDeviceGetAttribute(&value, attribute, 0)) << attribute;
  return value;
}

std::string productName() {
  char name[64] = {};
  EXPECT_SUCCESS(api().cuDeviceGetName(name, sizeof name, 0));
  return name;
}

class Devices : public Stage {
  void SetUp() override { EXPECT_SUCCESS(api().cuInit(0)); }
};

TEST_F(Devices, H200IsTheUsualOne) {
  int count = 0, version = 0;
  CUdevice device = -1;
  EXPECT_SUCCESS(api().cuDeviceGetCount(&count));
  EXPECT_EQ(count, 1);
  EXPECT_SUCCESS(api().cuDeviceGet(&device, 0));
  EXPECT_EQ(device, 0);
  EXPECT_ERROR(INVALID_DEVICE, api().cuDeviceGet(&device, 1));
  EXPECT_SUCCESS(api().cuDriverGetVersion(&version));
  EXPECT_EQ(version, 13000);
  EXPECT_EQ(productName(), "NVIDIA H200");
  char few[7];
  EXPECT_SUCCESS(api().cuDeviceGetName(few, sizeof few, 0));
  EXPECT_STREQ(few, "NVIDIA");
  size_t bytes = 0;
  EXPECT_SUCCESS(api().cuDeviceTotalMem_v2(&bytes, 0));
  EXPECT_EQ(bytes, 141'000'000'000u);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT), 132);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR), 9);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR), 0);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_WARP_SIZE), 32);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK), 1024);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR), 2048);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK), 48 << 10);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN), 227 << 10);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR), 228 << 10);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR), 65536);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE), 50 << 20);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_CLOCK_RATE), 1980000);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH), 1);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING), 1);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY), 1);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY), 0);
  int value;
  EXPECT_ERROR(INVALID_VALUE, api().cuDeviceGetAttribute(&value, CUdevice_attribute(9999), 0));
  EXPECT_ERROR(INVALID_DEVICE,
               api().cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 1));
}

TEST_F(Devices, BandwidthFollowsFromTheMemoryClock) {
  for (auto [name, bandwidth] : {std::pair("h200", 4800e9), {"rtx4090", 1008e9}, {"l4", 300e9}}) {
    begin({{"PIANOLA_EMULATED_DEVICE", name}});
    double clock = valueOf(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE) * 1e3;
    double bytes = valueOf(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH) / 8.0;
    EXPECT_NEAR(2 * clock * bytes / bandwidth, 1, 1e-4) << name;
  }
}

TEST_F(Devices, ChosenByTheEnvironment) {
  begin({{"PIANOLA_EMULATED_DEVICE", "rtx3090"}});
  EXPECT_EQ(productName(), "NVIDIA GeForce RTX 3090");
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR), 6);
  EXPECT_EQ(valueOf(CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR), 16);
  end();
  setenv("PIANOLA_EMULATED_DEVICE", "theremin", 1);
  testing::internal::CaptureStderr();
  EXPECT_ERROR(NO_DEVICE, api().cuInit(0));
  std::string heard = testing::internal::GetCapturedStderr();
  EXPECT_NE(heard.find("'theremin' is not known; there are gb10, "), std::string::npos) << heard;
  unsetenv("PIANOLA_EMULATED_DEVICE");
  setenv("PIANOLA_EMULATOR_CHECKS", "some", 1);
  testing::internal::CaptureStderr();
  EXPECT_ERROR(INVALID_VALUE, api().cuInit(0));
  EXPECT_NE(testing::internal::GetCapturedStderr().find("neither 'all' nor 'none'"),
            std::string::npos);
  unsetenv("PIANOLA_EMULATOR_CHECKS");
  EXPECT_ERROR(INVALID_VALUE, api().cuInit(1));
  EXPECT_SUCCESS(api().cuInit(0));
  EXPECT_EQ(productName(), "NVIDIA H200");
}

} // namespace

} // namespace pianola::cuda
