#include "targets/nvptx/Devices.h"

namespace pianola {

namespace {

constexpr uint64_t KiB = 1 << 10, MiB = 1 << 20;
constexpr uint64_t GB = 1'000'000'000;
constexpr double GBs = 1e9, MHz = 1e6;

} // namespace

const std::vector<DeviceRow> &devices() {
  // Shared memory of an SM and of a block, threads and blocks of an SM by capability: CUDA C++
  // programming guide, table of technical specifications. The rest: data sheets and architecture
  // papers of each product.
  static const std::vector<DeviceRow> table = {
      // name, product, capability, SMs, shared/SM, shared/block, threads, blocks, L2, memory,
      // bandwidth, clock
      {"gb10", "NVIDIA GB10", 121, 48, 100 * KiB, 99 * KiB, 1536, 24, 24 * MiB, 128 * GB, 273 * GBs,
       2500 * MHz},
      {"rtx5090", "NVIDIA GeForce RTX 5090", 120, 170, 100 * KiB, 99 * KiB, 1536, 24, 96 * MiB,
       32 * GB, 1792 * GBs, 2407 * MHz},
      {"b200", "NVIDIA B200", 100, 148, 228 * KiB, 227 * KiB, 2048, 32, 126 * MiB, 180 * GB,
       8000 * GBs, 1965 * MHz},
      {"gh200", "NVIDIA GH200 480GB", 90, 132, 228 * KiB, 227 * KiB, 2048, 32, 50 * MiB, 96 * GB,
       4000 * GBs, 1980 * MHz},
      {"h200", "NVIDIA H200", 90, 132, 228 * KiB, 227 * KiB, 2048, 32, 50 * MiB, 141 * GB,
       4800 * GBs, 1980 * MHz},
      {"h100", "NVIDIA H100 80GB HBM3", 90, 132, 228 * KiB, 227 * KiB, 2048, 32, 50 * MiB, 80 * GB,
       3350 * GBs, 1980 * MHz},
      {"l40s", "NVIDIA L40S", 89, 142, 100 * KiB, 99 * KiB, 1536, 24, 96 * MiB, 48 * GB, 864 * GBs,
       2520 * MHz},
      {"l4", "NVIDIA L4", 89, 58, 100 * KiB, 99 * KiB, 1536, 24, 48 * MiB, 24 * GB, 300 * GBs,
       2040 * MHz},
      {"rtx4090", "NVIDIA GeForce RTX 4090", 89, 128, 100 * KiB, 99 * KiB, 1536, 24, 72 * MiB,
       24 * GB, 1008 * GBs, 2520 * MHz},
      {"rtx3090", "NVIDIA GeForce RTX 3090", 86, 82, 100 * KiB, 99 * KiB, 1536, 16, 6 * MiB,
       24 * GB, 936 * GBs, 1695 * MHz},
      {"a100", "NVIDIA A100-SXM4-80GB", 80, 108, 164 * KiB, 163 * KiB, 2048, 32, 40 * MiB, 80 * GB,
       2039 * GBs, 1410 * MHz},
  };
  return table;
}

const DeviceRow *findDevice(std::string_view name) {
  for (const DeviceRow &row : devices())
    if (row.name == name)
      return &row;
  return nullptr;
}

} // namespace pianola
